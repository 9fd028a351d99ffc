"""What an injected pod and the Services in front of it come to in the catalog: the controller's pure core.

A pod is one instance of one mesh service, with one sidecar. Its name in the mesh is what its author says;
else the name it was registered under; else that of the Service in front of it; else the injector's default,
the first container's name. A name once registered stays: it is in the sidecar's certificate.

Several Services may stand in front of a pod. One gives the name and port: the one that the annotation
`kubernetes-service` names, else one called like the mesh service, else one with a ClusterIP, else the first
by name. The ClusterIPs of all of them lead to the mesh service.

Source: Consul on Kubernetes 0.26, connect-inject/endpoints_controller.go; 1.0 docs, "Annotations".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pellucid.kube.annotations import (
    CONNECT_SERVICE,
    CONNECT_SERVICE_PORT,
    CONNECT_SERVICE_TAGS,
    CONNECT_SERVICE_UPSTREAMS,
    ENABLE_METRICS,
    ENDPOINTS_CONTROLLER,
    KUBERNETES_SERVICE,
    PROMETHEUS_SCRAPE_PORT,
    SERVICE_META_PREFIX,
    SERVICE_TAGS,
    InvalidAnnotationError,
    parse_boolean,
    parse_list,
    parse_port_number,
    parse_upstreams,
    resolve_port,
)
from pellucid.kube.controllers.endpoints.catalog import (
    META_MANAGED_BY,
    META_SERVICE,
    NODE_SUFFIX,
    RESERVED_META,
    Registration,
)
from pellucid.kube.controllers.endpoints.observed import ClusterService, Pod
from pellucid.kube.controllers.endpoints.settings import ControllerSettings
from pellucid.kube.controllers.endpoints.virtual_addresses import virtual_addresses
from pellucid.kube.sidecar_ports import INBOUND_PORT
from pellucid.model.checks import CheckStatus
from pellucid.model.pods import POD_NAME, POD_NAMESPACE, POD_UID
from pellucid.model.services import (
    ExposeConfig,
    ExposePath,
    Proxy,
    Service,
    ServiceKind,
    Upstream,
)

SIDECAR_SUFFIX = "-sidecar-proxy"
TRANSPARENT = "transparent"
PASSING_OUTPUT = "Kubernetes health checks passing"


class Problem(msgspec.Struct, frozen=True):
    """Why a pod is not registered. reason: one word for machines; message: for the pod's author."""

    reason: str
    message: str
    lost_service: str = ""
    """The mesh service that the pod cannot be an instance of, where that is the problem."""


def registrations(
    pod: Pod, services: Sequence[ClusterService], settings: ControllerSettings, registered_as: str = ""
) -> tuple[Registration, ...] | Problem:
    """The two instances of a pod; none while it has no address and once it has ended.

    services: those that select the pod; registered_as: the mesh service it is in the catalog as already.
    """
    if not pod.ip or not pod.node or pod.is_finished:
        return ()
    asked = pod.annotations.get(KUBERNETES_SERVICE, "").strip()
    if asked and asked not in (service.name for service in services):
        return Problem(
            "NoSuchService",
            f'{KUBERNETES_SERVICE} names "{asked}", but no Service of that name has this pod behind it: '
            "make it select the pod, or take the annotation away",
        )
    chosen = chosen_service(pod, services, registered_as)
    name = mesh_name(pod, chosen, registered_as)
    if not name:
        return Problem("NoServiceName", "the pod has no container to be named after; set connect-service")
    try:
        service = _service(pod, name, _service_port(pod, chosen), services, chosen)
        sidecar = _sidecar(pod, service, settings)
    except InvalidAnnotationError as error:
        return Problem("InvalidAnnotation", str(error))
    status, output = readiness(pod)
    return tuple(
        Registration(instance, pod.host_ip or pod.ip, status, output) for instance in (service, sidecar)
    )


def mesh_name(pod: Pod, chosen: ClusterService | None, registered_as: str = "") -> str:
    """The mesh service that a pod is an instance of."""
    default = pod.annotations.get(CONNECT_SERVICE, "")
    return pod.given_service or registered_as or (chosen.name if chosen else default)


def chosen_service(
    pod: Pod, services: Sequence[ClusterService], registered_as: str = ""
) -> ClusterService | None:
    """The one of the Services in front of a pod that it is registered for; None if there is none."""
    asked = pod.annotations.get(KUBERNETES_SERVICE, "").strip()
    return min(
        services,
        key=lambda service: (
            service.name != asked,
            service.name != (pod.given_service or registered_as),
            not service.cluster_ips,
            service.name,
        ),
        default=None,
    )


def readiness(pod: Pod) -> tuple[CheckStatus, str]:
    """The status of a pod's instances, and the check's output."""
    if pod.is_leaving:
        return CheckStatus.CRITICAL, f'Pod "{pod.namespace}/{pod.name}" is terminating'
    if pod.is_ready:
        return CheckStatus.PASSING, PASSING_OUTPUT
    return CheckStatus.CRITICAL, f'Pod "{pod.namespace}/{pod.name}" is not ready'


def _service_port(pod: Pod, chosen: ClusterService | None) -> int:
    """As annotated, else the first that a container declares, else where the Service leads; 0 for none."""
    text = pod.annotations.get(CONNECT_SERVICE_PORT, "").strip()
    if not text:
        led_to = (port.target for port in chosen.ports) if chosen else ()
        return pod.first_port or next((target for target in led_to if isinstance(target, int)), 0)
    number = resolve_port(text, pod.named_ports)
    if number is None:
        raise InvalidAnnotationError(
            f"{CONNECT_SERVICE_PORT} annotation value of {text} is neither a port from 1 to 65535 nor the "
            "name of one of the pod's ports"
        )
    return number


def _service(
    pod: Pod, name: str, service_port: int, services: Sequence[ClusterService], chosen: ClusterService | None
) -> Service:
    return Service(
        node=pod.node + NODE_SUFFIX,
        id=f"{pod.name}-{name}",
        name=name,
        tags=_tags(pod),
        address=pod.ip,
        tagged_addresses=dict(virtual_addresses(pod, service_port, services, chosen)) or None,
        meta=_meta(pod, chosen),
        port=service_port,
    )


def _sidecar(pod: Pod, service: Service, settings: ControllerSettings) -> Service:
    return msgspec.structs.replace(
        service,
        id=service.id + SIDECAR_SUFFIX,
        name=service.name + SIDECAR_SUFFIX,
        kind=ServiceKind.CONNECT_PROXY,
        port=INBOUND_PORT,
        proxy=Proxy(
            destination_service_name=service.name,
            destination_service_id=service.id,
            local_service_address="127.0.0.1" if service.port else "",
            local_service_port=service.port,
            mode=TRANSPARENT if pod.is_redirected else "",
            config=_proxy_config(pod, settings) or None,
            upstreams=tuple(_upstreams(pod)),
            expose=ExposeConfig(paths=tuple(_exposed_paths(pod))),
        ),
    )


def _upstreams(pod: Pod) -> Iterator[Upstream]:
    text = pod.annotations.get(CONNECT_SERVICE_UPSTREAMS, "")
    for upstream in parse_upstreams(text, pod.named_ports):
        yield Upstream(
            destination_name=upstream.name,
            destination_type=upstream.destination_type,
            datacenter=upstream.datacenter,
            local_bind_port=upstream.local_bind_port,
        )


def _tags(pod: Pod) -> tuple[str, ...]:
    lists = (pod.annotations.get(name, "") for name in (SERVICE_TAGS, CONNECT_SERVICE_TAGS))
    return tuple(tag for tags in lists for tag in parse_list(tags))


def _meta(pod: Pod, chosen: ClusterService | None) -> Mapping[str, str]:
    asked = {
        name.removeprefix(SERVICE_META_PREFIX): value
        for name, value in pod.annotations.items()
        if name.startswith(SERVICE_META_PREFIX)
    }
    own = {
        POD_NAME: pod.name,
        POD_UID: pod.uid,
        POD_NAMESPACE: pod.namespace,
        META_MANAGED_BY: ENDPOINTS_CONTROLLER,
    }
    if chosen is not None:
        own[META_SERVICE] = chosen.name
    return {key: value for key, value in asked.items() if key and key not in RESERVED_META} | own


def _proxy_config(pod: Pod, settings: ControllerSettings) -> dict[str, object]:
    switch, port = pod.annotations.get(ENABLE_METRICS), pod.annotations.get(PROMETHEUS_SCRAPE_PORT)
    is_on = settings.metrics_enabled if switch is None else parse_boolean(ENABLE_METRICS, switch)
    if not is_on:
        return {}
    number = parse_port_number(PROMETHEUS_SCRAPE_PORT, port) if port else settings.prometheus_scrape_port
    return {"envoy_prometheus_bind_addr": f"0.0.0.0:{number}"}


def _exposed_paths(pod: Pod) -> Iterator[ExposePath]:
    for probe in dict.fromkeys(pod.probes):
        yield ExposePath(
            path=probe.path,
            listener_port=probe.listener_port,
            local_path_port=probe.local_port,
            protocol=probe.protocol,
        )
