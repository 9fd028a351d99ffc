"""Clusters: the application, the way to the inner listener, upstreams, and the world outside.

Source: Consul 1.10 agent/xds/clusters.go, in the spelling Envoy 1.40 takes.
"""

from __future__ import annotations

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2, outlier_detection_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.transport_sockets.internal_upstream.v3 import internal_upstream_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import duration_pb2

from pellucid.model.config_entries import UpstreamConfig
from pellucid.xds.resources import escape_hatch
from pellucid.xds.resources.messages import (
    from_server,
    is_ip,
    milliseconds,
    packed,
    pipe_address,
    socket_address,
)
from pellucid.xds.resources.tls import upstream_tls
from pellucid.xds.view import (
    ORIGINAL_DESTINATION,
    InnerCluster,
    LocalApp,
    PassthroughCluster,
    UpstreamCluster,
    allowed_sources_name,
)

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HTTP2_PROTOCOLS = ("http2", "grpc")
_CONNECT_TIMEOUT_MS = 5000


def local_app(view: LocalApp) -> cluster_pb2.Cluster:
    """The application, or another of its ports."""
    if view.envoy_cluster_json:
        return escape_hatch.cluster(view.envoy_cluster_json, "envoy_local_cluster_json")
    address = pipe_address(view.socket_path) if view.socket_path else socket_address(view.address, view.port)
    cluster = _static(view.name, address, view.connect_timeout_ms)
    if not view.socket_path and not is_ip(view.address):
        cluster.type = cluster_pb2.Cluster.STRICT_DNS
    _speak(cluster, view.protocol)
    return cluster


def allowed_sources(view: InnerCluster) -> cluster_pb2.Cluster:
    """The way from the public listener to the inner one; it carries along who the peer is.

    Connections in its pool are kept apart by identity, because the identity is a hashable object that is
    shared with the upstream.
    """
    name = allowed_sources_name(view.port)
    inner = address_pb2.EnvoyInternalAddress(server_listener_name=name)
    cluster = _static(name, address_pb2.Address(envoy_internal_address=inner), _CONNECT_TIMEOUT_MS)
    plain = base_pb2.TransportSocket(
        name="envoy.transport_sockets.raw_buffer", typed_config=packed(raw_buffer_pb2.RawBuffer())
    )
    carrying = internal_upstream_pb2.InternalUpstreamTransport(transport_socket=plain)
    cluster.transport_socket.name = "envoy.transport_sockets.internal_upstream"
    cluster.transport_socket.typed_config.CopyFrom(packed(carrying))
    # The application's own limits count, in `local_app`; this hop must not add any.
    unlimited = circuit_breaker_pb2.CircuitBreakers.Thresholds()
    for limit in ("max_connections", "max_pending_requests", "max_requests"):
        getattr(unlimited, limit).value = 2**32 - 1
    cluster.circuit_breakers.thresholds.append(unlimited)
    _speak(cluster, view.protocol)
    return cluster


def original_destination() -> cluster_pb2.Cluster:
    """Wherever the application wanted to go, in plain."""
    return _to_dialled_address(ORIGINAL_DESTINATION)


def passthrough(view: PassthroughCluster) -> cluster_pb2.Cluster:
    """The very instance the application dialled, in mutual TLS."""
    cluster = _to_dialled_address(view.name)
    cluster.transport_socket.CopyFrom(upstream_tls(view.sni, view.spiffe_uris))
    return cluster


def upstream(view: UpstreamCluster) -> cluster_pb2.Cluster:
    """The healthy instances of a service, in mutual TLS."""
    if view.settings.envoy_cluster_json:
        cluster = escape_hatch.cluster(view.settings.envoy_cluster_json, "envoy_cluster_json")
        cluster.name = view.name
        cluster.transport_socket.CopyFrom(upstream_tls(view.sni, view.spiffe_uris))
        return cluster
    cluster = cluster_pb2.Cluster(
        name=view.name,
        alt_stat_name=view.name,
        type=cluster_pb2.Cluster.EDS,
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=from_server()),
        connect_timeout=milliseconds(view.connect_timeout_ms),
        circuit_breakers=_limits(view.settings),
        outlier_detection=_passive_health_check(view.settings),
        transport_socket=upstream_tls(view.sni, view.spiffe_uris),
    )
    # No panic: with every instance critical, a connection is refused rather than sent to a sick one.
    cluster.common_lb_config.healthy_panic_threshold.SetInParent()
    _speak(cluster, view.protocol)
    return cluster


def _static(name: str, address: address_pb2.Address, connect_timeout_ms: int) -> cluster_pb2.Cluster:
    endpoint = endpoint_components_pb2.LbEndpoint(endpoint=endpoint_components_pb2.Endpoint(address=address))
    group = endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=milliseconds(connect_timeout_ms),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(cluster_name=name, endpoints=[group]),
    )


def _to_dialled_address(name: str) -> cluster_pb2.Cluster:
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.ORIGINAL_DST,
        lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED,
        connect_timeout=milliseconds(_CONNECT_TIMEOUT_MS),
    )


def _speak(cluster: cluster_pb2.Cluster, protocol: str) -> None:
    if protocol not in _HTTP2_PROTOCOLS:
        return
    options = http_protocol_options_pb2.HttpProtocolOptions(
        explicit_http_config=http_protocol_options_pb2.HttpProtocolOptions.ExplicitHttpConfig(
            http2_protocol_options=protocol_pb2.Http2ProtocolOptions()
        )
    )
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(packed(options))


def _limits(settings: UpstreamConfig) -> circuit_breaker_pb2.CircuitBreakers:
    """Only the limits that were given; one of 0 is sent as 0."""
    breakers = circuit_breaker_pb2.CircuitBreakers()
    given = {
        "max_connections": settings.limits.max_connections,
        "max_pending_requests": settings.limits.max_pending_requests,
        "max_requests": settings.limits.max_concurrent_requests,
    } if settings.limits else {}  # fmt: skip
    given = {name: limit for name, limit in given.items() if limit is not None}
    if given:
        threshold = breakers.thresholds.add()
        for name, limit in given.items():
            getattr(threshold, name).value = limit
    return breakers


def _passive_health_check(settings: UpstreamConfig) -> outlier_detection_pb2.OutlierDetection:
    """Always on; Envoy's defaults hold for what is not given."""
    detection = outlier_detection_pb2.OutlierDetection()
    check = settings.passive_health_check
    if check is not None and check.interval:
        interval = duration_pb2.Duration()
        interval.FromNanoseconds(check.interval)
        detection.interval.CopyFrom(interval)
    if check is not None and check.max_failures:
        detection.consecutive_5xx.value = check.max_failures
    return detection
