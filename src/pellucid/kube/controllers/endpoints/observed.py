"""What the endpoints controller sees of pods, Services and EndpointSlices: small immutable values.

A pod's heartbeat, its managed fields, a container's restart count: none of that is in here, so none of it
makes the controller do anything. Reading never fails: what is missing or odd is empty.

Source: Kubernetes API reference, "Pod v1 core", "Service v1 core", "EndpointSlice v1 discovery.k8s.io".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from lightkube.generic_resource import GenericNamespacedResource, create_api_info

from pellucid.kube.annotations import (
    CONNECT_SERVICE,
    ORIGINAL_POD,
    PREFIX,
    REDIRECTED,
    TRANSPARENT_PROXY_STATUS,
)
from pellucid.kube.pods import (
    Object,
    containers_of,
    named_ports,
    native_sidecars_of,
    ports_of,
    redirecting_init_container,
)
from pellucid.kube.sidecar_ports import PROBE_PORTS

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
SLICE_MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
SLICE_CONTROLLER = "endpointslice-controller.k8s.io"
"""Its slices follow from Services' selectors, which are read directly."""
SERVICE_IGNORE_LABEL = f"{PREFIX}service-ignore"

GRPC_HEALTH_PATH = "/grpc.health.v1.Health/Check"
"""The method that a kubelet calls for a gRPC probe."""
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_FINISHED = frozenset(("Succeeded", "Failed"))
_HEADLESS = frozenset(("", "None"))
_TCP = "TCP"
_DEFAULT_GRACE_S = 30


class PodObject(GenericNamespacedResource):
    """A pod, as the API server writes it."""

    _api_info = create_api_info("", "v1", "Pod", "pods")


class ServiceObject(GenericNamespacedResource):
    """A Service, as the API server writes it."""

    _api_info = create_api_info("", "v1", "Service", "services")


class EndpointSliceObject(GenericNamespacedResource):
    """An EndpointSlice, as the API server writes it."""

    _api_info = create_api_info("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")


class EndpointSliceBetaObject(GenericNamespacedResource):
    """As it was before Kubernetes 1.21; what matters here is the same."""

    _api_info = create_api_info("discovery.k8s.io", "v1beta1", "EndpointSlice", "endpointslices")


class RewrittenProbe(msgspec.Struct, frozen=True):
    """An HTTP or gRPC probe that the kubelet sends to `listener_port`, and the application's port for it."""

    path: str
    listener_port: int
    local_port: int
    protocol: str = "http"


class Pod(msgspec.Struct, frozen=True):
    """An injected pod."""

    namespace: str
    name: str
    uid: str
    created_at: str = ""
    """RFC 3339, to the second."""
    node: str = ""
    host_ip: str = ""
    ip: str = ""
    """Empty until the pod has one."""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The mesh's own, under their full names."""
    given_service: str = ""
    """The mesh service that the pod's author named; the annotation itself may hold the injector's default."""
    first_port: int = 0
    """The first port that the application's containers declare, 0 if they declare none."""
    named_ports: Mapping[str, int] = msgspec.field(default_factory=dict)
    probes: tuple[RewrittenProbe, ...] = ()
    is_redirected: bool = False
    """Something in the pod sends its traffic through the sidecar."""
    is_ready: bool = False
    is_leaving: bool = False
    grace_s: int = _DEFAULT_GRACE_S
    """How long it may take to leave."""
    is_finished: bool = False
    """All containers have ended for good."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


class ServicePort(msgspec.Struct, frozen=True):
    """A port of a Service, and the pod's port it leads to: a number, or a name."""

    number: int
    target: int | str


class ClusterService(msgspec.Struct, frozen=True):
    """A Kubernetes Service."""

    namespace: str
    name: str
    selector: tuple[tuple[str, str], ...] = ()
    """Labels of its pods, in order of their names; empty selects nothing."""
    cluster_ips: tuple[str, ...] = ()
    """One of each family it has, the Service's preferred one first; none for a headless Service."""
    ports: tuple[ServicePort, ...] = ()

    def selects(self, pod: Pod) -> bool:
        """True if the pod stands behind the Service."""
        return (
            bool(self.selector)
            and self.namespace == pod.namespace
            and all(pod.labels.get(name) == value for name, value in self.selector)
        )


class Slice(msgspec.Struct, frozen=True):
    """Pods that somebody put behind a Service by hand."""

    namespace: str
    service: str
    pods: tuple[str, ...]


def pod_of(item: Object) -> Pod:
    """What matters of a pod."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    annotations: dict[str, str] = metadata.get("annotations") or {}
    original = _original_pod(annotations.get(ORIGINAL_POD, ""))
    containers = containers_of(spec)
    grace = metadata.get("deletionGracePeriodSeconds")
    return Pod(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        created_at=metadata.get("creationTimestamp") or "",
        node=spec.get("nodeName", ""),
        host_ip=status.get("hostIP", ""),
        ip=status.get("podIP", ""),
        labels=metadata.get("labels") or {},
        annotations={
            name: value
            for name, value in annotations.items()
            if name.startswith(PREFIX) and name != ORIGINAL_POD
        },
        given_service=_given_service(annotations, original),
        first_port=next((port["containerPort"] for port in ports_of(containers)), 0),
        named_ports=named_ports(containers),
        probes=tuple(_rewritten_probes((*containers, *native_sidecars_of(spec)), original)),
        is_redirected=_is_redirected(annotations, spec),
        is_ready=_has_condition(status, "Ready"),
        is_leaving=bool(metadata.get("deletionTimestamp")),
        grace_s=_DEFAULT_GRACE_S if grace is None else grace,
        is_finished=status.get("phase") in _FINISHED,
    )


def cluster_service_of(item: Object) -> ClusterService | None:
    """What matters of a Service; None for one that asks to be passed over or leads out of the cluster."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    if (metadata.get("labels") or {}).get(SERVICE_IGNORE_LABEL) == "true" or spec.get(
        "type"
    ) == "ExternalName":
        return None
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return ClusterService(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        selector=tuple(sorted((spec.get("selector") or {}).items())),
        cluster_ips=tuple(address for address in addresses if address not in _HEADLESS),
        ports=tuple(
            ServicePort(port["port"], port.get("targetPort") or port["port"])
            for port in spec.get("ports") or ()
            if port.get("protocol", _TCP) == _TCP
        ),
    )


def slice_of(item: Object) -> Slice | None:
    """What matters of an EndpointSlice; None for one of no Service or without pods."""
    metadata = item["metadata"]
    service = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL, "")
    targets = (endpoint.get("targetRef") or {} for endpoint in item.get("endpoints") or ())
    pods = tuple(sorted({target["name"] for target in targets if target.get("kind") == "Pod"}))
    return Slice(metadata.get("namespace", ""), service, pods) if service and pods else None


def _original_pod(text: str) -> Object | None:
    """The pod as it was before it was injected, None if nobody wrote that down."""
    try:
        original = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return original if isinstance(original, Mapping) else None


def _given_service(annotations: Mapping[str, str], original: Object | None) -> str:
    if original is not None:
        annotations = (original.get("metadata") or {}).get("annotations") or {}
    return annotations.get(CONNECT_SERVICE, "").strip()


def _rewritten_probes(containers: Sequence[Object], original: Object | None) -> Iterator[RewrittenProbe]:
    """The probes that the injector made to go through the sidecar."""
    spec: Object = (original or {}).get("spec") or {}
    before = {c.get("name"): c for c in (*containers_of(spec), *native_sidecars_of(spec))}
    for container in containers:
        original_container = before.get(container.get("name")) or {}
        ports = named_ports([original_container])
        for kind in _PROBES:
            for how in ("httpGet", "grpc"):
                now, then = _asked(container, kind, how), _asked(original_container, kind, how)
                local = ports.get(then.get("port", ""), then.get("port", 0))
                if now.get("port") in PROBE_PORTS and isinstance(local, int) and local:
                    yield _rewritten(how, now, local)


def _asked(container: Object, kind: str, how: str) -> Object:
    return (container.get(kind) or {}).get(how) or {}


def _rewritten(how: str, probe: Object, local_port: int) -> RewrittenProbe:
    if how == "grpc":
        return RewrittenProbe(GRPC_HEALTH_PATH, probe["port"], local_port, "http2")
    return RewrittenProbe(probe.get("path") or "/", probe["port"], local_port)


def _is_redirected(annotations: Mapping[str, str], spec: Object) -> bool:
    """By the injector, or by an init container of the author's."""
    ours = annotations.get(TRANSPARENT_PROXY_STATUS) == REDIRECTED
    return ours or redirecting_init_container(spec) is not None


def _has_condition(status: Object, kind: str) -> bool:
    conditions: Sequence[Object] = status.get("conditions") or ()
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)
