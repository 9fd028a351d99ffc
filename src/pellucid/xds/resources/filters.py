"""Network filters: what happens on a connection once a listener has taken it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envoy.config.core.v3 import base_pb2, protocol_pb2, substitution_format_string_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.http.grpc_http1_bridge.v3 import config_pb2 as grpc_http1_bridge_pb2
from envoy.extensions.filters.http.grpc_stats.v3 import config_pb2 as grpc_stats_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.direct_response.v3 import config_pb2 as direct_response_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from google.protobuf import any_pb2

from pellucid.xds.resources.messages import from_server, milliseconds, packed
from pellucid.xds.wire import field

RBAC_STAT_PREFIX = "connect_authz"
HTTP_RBAC = "envoy.filters.http.rbac"
SOURCE_STATE = "pellucid.source"
"""The connection property that holds the peer's SPIFFE id."""

_HCM = http_connection_manager_pb2.HttpConnectionManager
_MAX_EARLY_BYTES = 64 * 1024
_AFTER_RESET_MS = 100
_ON_TLS_HANDSHAKE = 2
"""The number of `on_downstream_tls_handshake` in the filter's message; our generated types are older."""


def network_filter(name: str, config: Any) -> listener_components_pb2.Filter:
    """A filter with its configuration, a message or one already packed."""
    typed = config if isinstance(config, any_pb2.Any) else packed(config)
    return listener_components_pb2.Filter(name=name, typed_config=typed)


def tcp_proxy(stat_prefix: str, cluster: str) -> listener_components_pb2.Filter:
    """Bytes in, bytes out."""
    return network_filter(
        "envoy.filters.network.tcp_proxy", tcp_proxy_pb2.TcpProxy(stat_prefix=stat_prefix, cluster=cluster)
    )


def tcp_proxy_once_identified(stat_prefix: str, cluster: str) -> listener_components_pb2.Filter:
    """As `tcp_proxy`, but the far side is only reached when it is known who the peer is."""
    proxy = tcp_proxy_pb2.TcpProxy(
        stat_prefix=stat_prefix,
        cluster=cluster,
        upstream_connect_mode=tcp_proxy_pb2.ON_DOWNSTREAM_TLS_HANDSHAKE,
    )
    proxy.max_early_data_bytes.value = _MAX_EARLY_BYTES
    return network_filter("envoy.filters.network.tcp_proxy", proxy)


def remember_source() -> listener_components_pb2.Filter:
    """Keeps the peer's SPIFFE id, from its certificate, with the connection and what it leads to."""
    value = value_pb2.FilterStateValue(
        object_key=SOURCE_STATE,
        factory_key="envoy.hashable_string",
        format_string=substitution_format_string_pb2.SubstitutionFormatString(
            text_format_source=base_pb2.DataSource(inline_string="%DOWNSTREAM_PEER_URI_SAN%"),
            omit_empty_values=True,
        ),
        shared_with_upstream=value_pb2.FilterStateValue.ONCE,
    )
    config = packed(set_filter_state_pb2.Config())
    config.value = field(_ON_TLS_HANDSHAKE, value.SerializeToString(deterministic=True))
    return network_filter("envoy.filters.network.set_filter_state", config)


def close_at_once() -> listener_components_pb2.Filter:
    """Says nothing and hangs up."""
    return network_filter("envoy.filters.network.direct_response", direct_response_pb2.Config())


def network_rbac(rules: rbac_pb2.RBAC) -> listener_components_pb2.Filter:
    """Refuses connections by who opens them, for listeners written by operators."""
    config = network_rbac_pb2.RBAC(rules=rules, stat_prefix=RBAC_STAT_PREFIX)
    return network_filter("envoy.filters.network.rbac", config)


def upstream_requests(stat_prefix: str, protocol: str, route_name: str) -> listener_components_pb2.Filter:
    """Requests to an upstream. Routes come by RDS, so that changing them ends no connection."""
    return _requests(stat_prefix, protocol, route_name, [_router()])


def public_requests(protocol: str, route_name: str) -> listener_components_pb2.Filter:
    """Requests from other proxies. The rules come with the routes, by RDS, and hold for open connections."""
    rbac = _http_filter(HTTP_RBAC, http_rbac_pb2.RBAC())
    return _requests("public_listener", protocol, route_name, [rbac, _router()])


def exposed_requests(stat_prefix: str, protocol: str, routes: Any) -> listener_components_pb2.Filter:
    """Requests from anywhere, for paths that are exposed."""
    manager = _manager(stat_prefix, protocol, [_router()])
    manager.route_config.CopyFrom(routes)
    return network_filter("envoy.filters.network.http_connection_manager", manager)


def http_rbac(rules: rbac_pb2.RBAC) -> http_connection_manager_pb2.HttpFilter:
    """Refuses requests by who sends them, for listeners written by operators."""
    return _http_filter(HTTP_RBAC, http_rbac_pb2.RBAC(rules=rules))


def _requests(
    stat_prefix: str,
    protocol: str,
    route_name: str,
    last: Sequence[http_connection_manager_pb2.HttpFilter],
) -> listener_components_pb2.Filter:
    manager = _manager(stat_prefix, protocol, last)
    manager.rds.route_config_name = route_name
    manager.rds.config_source.CopyFrom(from_server())
    return network_filter("envoy.filters.network.http_connection_manager", manager)


def _manager(
    stat_prefix: str, protocol: str, last: Sequence[http_connection_manager_pb2.HttpFilter]
) -> http_connection_manager_pb2.HttpConnectionManager:
    manager = _HCM(stat_prefix=stat_prefix, codec_type=_HCM.AUTO)
    manager.tracing.random_sampling.SetInParent()
    # A response that is cut off ends its connection; nothing is gained by lingering for the peer.
    manager.delayed_close_timeout.CopyFrom(milliseconds(_AFTER_RESET_MS))
    if protocol in ("http2", "grpc"):
        manager.http2_protocol_options.CopyFrom(protocol_pb2.Http2ProtocolOptions())
    if protocol == "grpc":
        stats = grpc_stats_pb2.FilterConfig()
        stats.stats_for_all_methods.value = True
        manager.http_filters.append(_http_filter("envoy.filters.http.grpc_stats", stats))
        bridge = grpc_http1_bridge_pb2.Config()
        manager.http_filters.append(_http_filter("envoy.filters.http.grpc_http1_bridge", bridge))
    manager.http_filters.extend(last)
    return manager


def _router() -> http_connection_manager_pb2.HttpFilter:
    return _http_filter("envoy.filters.http.router", router_pb2.Router())


def _http_filter(name: str, config: Any) -> http_connection_manager_pb2.HttpFilter:
    return http_connection_manager_pb2.HttpFilter(name=name, typed_config=packed(config))
