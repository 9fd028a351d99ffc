"""What people give Kubernetes: Services, and Deployments that want to be in the mesh."""

from __future__ import annotations

from typing import Any

PREFIX = "consul.hashicorp.com/"
POD_ADDRESS = "10.244.0.5"


def service(name: str) -> dict[str, Any]:
    ports = [{"port": 8080, "targetPort": "http", "protocol": "TCP"}]
    spec = {"selector": {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def deployment(name: str, annotations: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": name,
        "image": "example/hello",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
    }
    metadata = {
        "labels": {"app": name},
        "annotations": {PREFIX + key: text for key, text in annotations.items()},
    }
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": metadata, "spec": {"containers": [container]}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
