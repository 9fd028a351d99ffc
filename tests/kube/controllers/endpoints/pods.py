"""Pods and Services as values, with everything a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from pellucid.kube.annotations import PREFIX
from pellucid.kube.controllers.endpoints.catalog import Registration
from pellucid.kube.controllers.endpoints.observed import ClusterService, Pod, ServicePort
from pellucid.kube.controllers.endpoints.registration import registrations
from pellucid.kube.controllers.endpoints.settings import ControllerSettings
from pellucid.kube.server_client import ServerAddress
from pellucid.model.services import Service

SETTINGS = ControllerSettings(ServerAddress("https://consul-consul-server.consul.svc:8501"))


def pod(name: str = "web-1", **given: Any) -> Pod:
    """A pod of a `web` deployment in namespace `default`, running and not ready.

    annotations: without their common prefix.
    """
    facts: dict[str, Any] = {
        "namespace": "default",
        "uid": f"uid-{name}",
        "node": "n1",
        "host_ip": "192.0.2.1",
        "ip": "10.1.0.1",
        "labels": {"app": "web"},
        "annotations": {"connect-service": "app"},
        "first_port": 8080,
        "named_ports": {"http": 8080, "admin": 9090},
    }
    facts |= given
    facts["annotations"] = {PREFIX + key: value for key, value in facts["annotations"].items()}
    return Pod(name=name, **facts)


def service(name: str = "web", **given: Any) -> ClusterService:
    """A Service for the pods of that deployment, port 80 to their 8080."""
    facts: dict[str, Any] = {
        "namespace": "default",
        "selector": (("app", "web"),),
        "cluster_ips": ("10.96.0.7",),
        "ports": (ServicePort(80, 8080),),
    }
    return ClusterService(name=name, **{**facts, **given})


def registered(
    one: Pod, *services: ClusterService, settings: ControllerSettings = SETTINGS, registered_as: str = ""
) -> tuple[Registration, Registration]:
    """The service and the sidecar of a pod that has no problem."""
    result = registrations(one, services, settings, registered_as)
    assert isinstance(result, tuple), result.message
    instance, sidecar = result
    return instance, sidecar


def instance_of(one: Pod, *services: ClusterService) -> Service:
    return registered(one, *services)[0].service


def sidecar_of(one: Pod, *services: ClusterService) -> Service:
    return registered(one, *services)[1].service
