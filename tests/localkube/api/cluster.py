"""A store with the namespace and service account every cluster has."""

from __future__ import annotations

from typing import Any

from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import NAMESPACES, SERVICE_ACCOUNTS
from pellucid.localkube.types.release import DEFAULT, Release
from pellucid.state.log import Log

Object = dict[str, Any]


async def resources_with_default_namespace(log: Log | None = None, release: Release = DEFAULT) -> Resources:
    resources = Resources(log or Log(), release=release)
    await resources.create(NAMESPACES, "", {"metadata": {"name": "default"}})
    await resources.create(SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})
    return resources


def config_map(name: str, **data: str) -> Object:
    return {"metadata": {"name": name}, "data": data}


def pod(name: str, image: str = "busybox:1", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def deployment(name: str, replicas: int = 1, image: str = "busybox:1") -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    }
