"""The annotations and labels by which people tell the mesh about a pod: their names, and how values are read.

Every function takes the text of one annotation, under its full name for the error. Booleans and numbers
follow Go, and errors begin with Consul's own words; what to write instead follows them. Items of lists may
have spaces around them.

Source: Consul on Kubernetes 0.26, connect-inject/annotations.go; 1.0 docs, "Annotations and Labels".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import msgspec

T = TypeVar("T")

PREFIX = "consul.hashicorp.com/"

CONNECT_INJECT = f"{PREFIX}connect-inject"
CONNECT_INJECT_STATUS = f"{PREFIX}connect-inject-status"
CONNECT_INJECT_MANAGED_BY = f"{PREFIX}connect-inject-managed-by"
ORIGINAL_POD = f"{PREFIX}original-pod"
CONNECT_SERVICE = f"{PREFIX}connect-service"
CONNECT_SERVICE_PORT = f"{PREFIX}connect-service-port"
CONNECT_SERVICE_UPSTREAMS = f"{PREFIX}connect-service-upstreams"
CONNECT_SERVICE_PROTOCOL = f"{PREFIX}connect-service-protocol"
CONNECT_SYNC_PERIOD = f"{PREFIX}connect-sync-period"
KUBERNETES_SERVICE = f"{PREFIX}kubernetes-service"
SERVICE_META_PREFIX = f"{PREFIX}service-meta-"
SERVICE_TAGS = f"{PREFIX}service-tags"
CONNECT_SERVICE_TAGS = f"{PREFIX}connect-service-tags"
"""The older spelling of SERVICE_TAGS; its tags come after those."""

TRANSPARENT_PROXY = f"{PREFIX}transparent-proxy"
EXCLUDE_INBOUND_PORTS = f"{PREFIX}transparent-proxy-exclude-inbound-ports"
EXCLUDE_OUTBOUND_PORTS = f"{PREFIX}transparent-proxy-exclude-outbound-ports"
EXCLUDE_OUTBOUND_CIDRS = f"{PREFIX}transparent-proxy-exclude-outbound-cidrs"
EXCLUDE_UIDS = f"{PREFIX}transparent-proxy-exclude-uids"
TRANSPARENT_PROXY_STATUS = f"{PREFIX}transparent-proxy-status"
OVERWRITE_PROBES = f"{PREFIX}transparent-proxy-overwrite-probes"

ENABLE_METRICS = f"{PREFIX}enable-metrics"
ENABLE_METRICS_MERGING = f"{PREFIX}enable-metrics-merging"
MERGED_METRICS_PORT = f"{PREFIX}merged-metrics-port"
PROMETHEUS_SCRAPE_PORT = f"{PREFIX}prometheus-scrape-port"
PROMETHEUS_SCRAPE_PATH = f"{PREFIX}prometheus-scrape-path"
SERVICE_METRICS_PORT = f"{PREFIX}service-metrics-port"
SERVICE_METRICS_PATH = f"{PREFIX}service-metrics-path"

ENVOY_EXTRA_ARGS = f"{PREFIX}envoy-extra-args"
PROXY_CPU_LIMIT = f"{PREFIX}sidecar-proxy-cpu-limit"
PROXY_CPU_REQUEST = f"{PREFIX}sidecar-proxy-cpu-request"
PROXY_MEMORY_LIMIT = f"{PREFIX}sidecar-proxy-memory-limit"
PROXY_MEMORY_REQUEST = f"{PREFIX}sidecar-proxy-memory-request"
PROXY_LIFECYCLE = f"{PREFIX}enable-sidecar-proxy-lifecycle"
PROXY_DRAIN_LISTENERS = f"{PREFIX}enable-sidecar-proxy-lifecycle-shutdown-drain-listeners"
PROXY_SHUTDOWN_GRACE = f"{PREFIX}sidecar-proxy-lifecycle-shutdown-grace-period-seconds"
PROXY_STARTUP_FAILURE = f"{PREFIX}sidecar-proxy-startup-failure-seconds"
PROXY_LIVENESS_FAILURE = f"{PREFIX}sidecar-proxy-liveness-failure-seconds"
ENVOY_CONCURRENCY = f"{PREFIX}consul-envoy-proxy-concurrency"
USER_VOLUMES = f"{PREFIX}consul-sidecar-user-volume"
USER_VOLUME_MOUNTS = f"{PREFIX}consul-sidecar-user-volume-mount"
NATIVE_SIDECAR = f"{PREFIX}enable-consul-dataplane-as-sidecar"

INJECTED = "injected"
"""The value of CONNECT_INJECT_STATUS on a pod with a sidecar."""
REDIRECTED = "enabled"
"""The value of TRANSPARENT_PROXY_STATUS on a pod whose traffic the injector redirects."""
ENDPOINTS_CONTROLLER = "consul-k8s-endpoints-controller"
"""The value of CONNECT_INJECT_MANAGED_BY."""

PREPARED_QUERY = "prepared_query"
HIGHEST_PORT = 65_535
LOWEST_UNPRIVILEGED_PORT = 1_024

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_GO_DECIMAL = re.compile(r"0|[1-9][0-9]*")
_GO_BASED = re.compile(r"0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+")
_LABELLED = re.compile(
    r"(?P<name>[^.]+)\.svc(\.(?P<namespace>[^.]+)\.ns)?(\.(?P<scope>[^.]+)\.(?P<kind>dc|peer|ap))?"
)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
_QUERY_NAME = re.compile(r"\S+")


class InvalidAnnotationError(ValueError):
    """An annotation does not say what it should; `str()` names it, its value and what to write."""


class UpstreamAnnotation(msgspec.Struct, frozen=True):
    """A destination that the application dials on loopback. destination_type: `service`, `prepared_query`."""

    name: str
    local_bind_port: int
    datacenter: str = ""
    destination_type: str = "service"


@contextmanager
def complaining(what: str) -> Iterator[None]:
    """`with complaining("error doing this"):` puts these words before an InvalidAnnotationError's own."""
    try:
        yield
    except InvalidAnnotationError as error:
        raise InvalidAnnotationError(f"{what}: {error}") from None


def parse_boolean(key: str, text: str) -> bool:
    """A switch, by the words that Go takes. Raises InvalidAnnotationError."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise InvalidAnnotationError(
        f'strconv.ParseBool: parsing "{text}": invalid syntax: set {key} to true or false'
    )


def parse_integer(text: str) -> int | None:
    """A number as Go writes them: decimal, or with 0x, 0o, 0b or 0 before it; None for anything else."""
    if _GO_DECIMAL.fullmatch(text):
        return int(text)
    if not _GO_BASED.fullmatch(text):
        return None
    return int(text, 0) if text[1] in "xXoObB" else int(text, 8)


def parse_port_number(key: str, text: str, lowest: int = 1) -> int:
    """A port from `lowest` up. Raises InvalidAnnotationError."""
    number = parse_integer(text.strip())
    if number is None:
        raise InvalidAnnotationError(f"{key} annotation value of {text} is not a valid integer")
    if not lowest <= number <= HIGHEST_PORT:
        kind = "unprivileged" if lowest == LOWEST_UNPRIVILEGED_PORT else "valid"
        raise InvalidAnnotationError(
            f"{key} annotation value of {text} is not in the {kind} port range {lowest}-{HIGHEST_PORT}"
        )
    return number


def parse_count(key: str, text: str) -> int:
    """A number of things or seconds, 0 or more. Raises InvalidAnnotationError."""
    number = parse_integer(text.strip())
    if number is None:
        raise InvalidAnnotationError(f"{key} annotation value of {text} is not a valid integer")
    return number


def resolve_port(text: str, named_ports: Mapping[str, int]) -> int | None:
    """A port by the name a container gives it, or by number; None if it is neither."""
    text = text.strip()
    if text in named_ports:
        return named_ports[text]
    number = parse_integer(text)
    return number if number is not None and 0 < number <= HIGHEST_PORT else None


def parse_list(text: str) -> tuple[str, ...]:
    """Items between commas, trimmed; empty ones don't count."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def parse_each(key: str, text: str, parse: Callable[[str, str], T]) -> tuple[T, ...]:
    """A list whose items are read by `parse(key, item)`, which may raise InvalidAnnotationError."""
    return tuple(parse(key, item) for item in parse_list(text))


def parse_upstreams(text: str, named_ports: Mapping[str, int]) -> tuple[UpstreamAnnotation, ...]:
    """The destinations of `connect-service-upstreams`, in order. Raises InvalidAnnotationError.

    An item is `name:port`, `name:port:datacenter`, `prepared_query:name:port`, or labelled:
    `name.svc:port`, `name.svc.<namespace>.ns:port`, `name.svc.<datacenter>.dc:port`. Two items can't have
    the same port.
    """
    upstreams = tuple(_upstreams(text, named_ports))
    items = {upstream.local_bind_port: upstream for upstream in upstreams}
    for upstream in upstreams:
        if items[upstream.local_bind_port] is not upstream:
            other = items[upstream.local_bind_port]
            raise InvalidAnnotationError(
                f'{CONNECT_SERVICE_UPSTREAMS}: upstreams "{upstream.name}" and "{other.name}" are both '
                f"given port {upstream.local_bind_port}: give each its own"
            )
    return upstreams


def _upstreams(text: str, named_ports: Mapping[str, int]) -> Iterator[UpstreamAnnotation]:
    for item in parse_list(text):
        parts = [part.strip() for part in item.split(":")]
        match parts:
            case [kind, name, port] if kind == PREPARED_QUERY:
                upstream = UpstreamAnnotation(name, _upstream_port(item, port, named_ports), "", kind)
            case [name, port]:
                destination, datacenter = _destination(item, name)
                bind_port = _upstream_port(item, port, named_ports)
                upstream = UpstreamAnnotation(destination, bind_port, datacenter)
            case [name, port, datacenter] if ".svc" not in name:
                destination, _ = _destination(item, name)
                bind_port = _upstream_port(item, port, named_ports)
                upstream = UpstreamAnnotation(destination, bind_port, datacenter)
                if not _NAME.fullmatch(datacenter):
                    raise _invalid_upstream(item, f'"{datacenter}" is not the name of a datacenter')
            case [_, _, _]:
                raise _structured_incorrectly(item)
            case _:
                raise _invalid_upstream(
                    item, "write name:port, name:port:datacenter or prepared_query:name:port"
                )
        if not (_NAME if upstream.destination_type == "service" else _QUERY_NAME).fullmatch(upstream.name):
            raise _invalid_upstream(item, f'"{upstream.name}" is not the name of a {_kind_of(upstream)}')
        yield upstream


def _destination(item: str, name: str) -> tuple[str, str]:
    """Service and datacenter of an upstream's name."""
    if "." not in name:
        return name, ""
    labelled = _LABELLED.fullmatch(name)
    if labelled is None:
        if ".svc" in name:
            raise _structured_incorrectly(item)
        raise _invalid_upstream(
            item, "namespaces are a feature of Consul Enterprise: write the service's name without one"
        )
    if labelled["kind"] in ("peer", "ap"):
        raise _invalid_upstream(
            item, "peers and admin partitions are not supported: name a service or a datacenter (dc)"
        )
    return labelled["name"], labelled["scope"] or ""


def _upstream_port(item: str, text: str, named_ports: Mapping[str, int]) -> int:
    port = resolve_port(text, named_ports)
    if port is None:
        raise _invalid_upstream(
            item,
            f'"{text}" is neither a port from 1 to {HIGHEST_PORT} nor the name of one of the pod\'s ports',
        )
    return port


def _kind_of(upstream: UpstreamAnnotation) -> str:
    return "prepared query" if upstream.destination_type == PREPARED_QUERY else "service"


def _invalid_upstream(item: str, problem: str) -> InvalidAnnotationError:
    return InvalidAnnotationError(f'upstream "{item}" is invalid: {problem} ({CONNECT_SERVICE_UPSTREAMS})')


def _structured_incorrectly(item: str) -> InvalidAnnotationError:
    return InvalidAnnotationError(
        f"upstream structured incorrectly: {item}: write name.svc:port, name.svc.<namespace>.ns:port or "
        f"name.svc.<datacenter>.dc:port ({CONNECT_SERVICE_UPSTREAMS})"
    )
