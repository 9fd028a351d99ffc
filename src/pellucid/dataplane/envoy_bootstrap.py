"""The configuration a sidecar Envoy starts with: who it is, and where everything else comes from.

All listeners, clusters, routes and certificates come over one delta ADS stream; the bootstrap holds only
the way there (`local_agent`), the admin address, and what makes counters readable. Deprecated or refused
shapes of Consul 1.10's template are replaced by what Envoy 1.40 takes; names stay Consul's.

Sources: Consul 1.10 command/connect/envoy/bootstrap_tpl; Envoy v3 API, `config.bootstrap.v3.Bootstrap`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pellucid.dataplane.bootstrap_template import render_template
from pellucid.dataplane.envoy_metrics import (
    Json,
    load_assignment,
    metrics_listeners,
    parse_json_object,
    parse_json_objects,
    socket_address,
    stats_config,
    stats_sinks,
)
from pellucid.dataplane.envoy_settings import (
    BootstrapSettings,
    InternetAddress,
    NamedAddress,
    UnixAddress,
    XdsServer,
)

LOCAL_AGENT_CLUSTER = "local_agent"
TOKEN_METADATA_KEY = "x-consul-token"  # noqa: S105 - the key's name

_HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_UPSTREAM_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_FILE_ACCESS_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
# The listener that sorts incoming connections by identity has no socket of its own (docs/deny.md).
_INTERNAL_LISTENERS = {
    "name": "envoy.bootstrap.internal_listener",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    },
}
_SOL_SOCKET = 1
_SO_MARK = 36
# A server that vanished without a word is noticed after 30 + 3 x 10 seconds.
_KEEPALIVE = {"keepalive_time": 30, "keepalive_interval": 10, "keepalive_probes": 3}
# Envoy by itself would not dial a server that is back for up to half a minute, and know nothing of what
# happens meanwhile. Each pause is random, up to the interval.
_RETRIES = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}


def build_bootstrap(settings: BootstrapSettings, environment: Mapping[str, str] | None = None) -> Json:
    """Envoy's bootstrap for one sidecar.

    environment: where `$NAME` in sink URLs is looked up.
    Raises InvalidSettingError naming the `Proxy.Config` key.
    """
    if settings.config.envoy_bootstrap_json_tpl:
        variables = _template_variables(settings, environment or {})
        rendered = render_template(settings.config.envoy_bootstrap_json_tpl, variables)
        return parse_json_object("envoy_bootstrap_json_tpl", rendered)
    bootstrap: Json = {
        "admin": _admin(settings),
        "node": _node(settings),
        "static_resources": {
            "clusters": [_local_agent(settings.xds), *_static_clusters(settings)],
            "listeners": _static_listeners(settings),
        },
        "dynamic_resources": _dynamic_resources(settings.token),
        "bootstrap_extensions": [_INTERNAL_LISTENERS],
        "stats_config": stats_config(settings),
        # A mesh of many services makes many clusters, of which a workload uses few: counting on first use
        # halves the time that Envoy needs for its first configuration.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
    }
    if sinks := stats_sinks(settings, environment or {}):
        bootstrap["stats_sinks"] = sinks
    if settings.config.envoy_stats_flush_interval:
        bootstrap["stats_flush_interval"] = settings.config.envoy_stats_flush_interval
    if settings.config.envoy_tracing_json:
        bootstrap["tracing"] = parse_json_object("envoy_tracing_json", settings.config.envoy_tracing_json)
    if settings.proxy_mark is not None:
        bootstrap["cluster_manager"] = {"upstream_bind_config": _marked_sockets(settings.proxy_mark)}
    return bootstrap


def render_bootstrap(bootstrap: Json) -> str:
    """The bootstrap as indented JSON, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(bootstrap), indent=2).decode() + "\n"


def _admin(settings: BootstrapSettings) -> Json:
    log = {"@type": _FILE_ACCESS_LOG, "path": settings.admin_access_log_path}
    return {
        "access_log": [{"name": "envoy.access_loggers.file", "typed_config": log}],
        "address": socket_address(settings.admin),
    }


def _node(settings: BootstrapSettings) -> Json:
    metadata = {"namespace": settings.namespace or "default"}
    if settings.envoy_version:
        metadata["envoy_version"] = settings.envoy_version
    return {"id": settings.proxy_id, "cluster": settings.proxy_cluster, "metadata": metadata}


def _local_agent(xds: XdsServer) -> Json:
    http2: Json = {"explicit_http_config": {"http2_protocol_options": {}}}
    type_url = f"type.googleapis.com/{_HTTP_PROTOCOL_OPTIONS}"
    cluster: Json = {
        "name": LOCAL_AGENT_CLUSTER,
        "type": "STRICT_DNS" if isinstance(xds.address, NamedAddress) else "STATIC",
        "connect_timeout": "1s",
        "ignore_health_on_host_removal": False,
        "typed_extension_protocol_options": {_HTTP_PROTOCOL_OPTIONS: {"@type": type_url, **http2}},
        "load_assignment": load_assignment(LOCAL_AGENT_CLUSTER, xds.address),
    }
    if not isinstance(xds.address, UnixAddress):
        cluster["upstream_connection_options"] = {"tcp_keepalive": _KEEPALIVE}
    if xds.ca_pem is not None:
        cluster["transport_socket"] = _tls(xds.ca_pem, xds.server_name)
    return cluster


def _tls(ca_pem: str, server_name: str | None) -> Json:
    validation: Json = {"trusted_ca": {"inline_string": ca_pem}}
    context: Json = {"@type": _UPSTREAM_TLS, "common_tls_context": {"validation_context": validation}}
    if server_name is not None:
        context["sni"] = server_name
        validation["match_typed_subject_alt_names"] = [{"san_type": "DNS", "matcher": {"exact": server_name}}]
    return {"name": "tls", "typed_config": context}


def _static_clusters(settings: BootstrapSettings) -> list[Json]:
    extra = settings.config.envoy_extra_static_clusters_json
    return [
        *metrics_listeners(settings).clusters,
        *parse_json_objects("envoy_extra_static_clusters_json", extra),
    ]


def _static_listeners(settings: BootstrapSettings) -> list[Json]:
    extra = settings.config.envoy_extra_static_listeners_json
    return [
        *metrics_listeners(settings).listeners,
        *parse_json_objects("envoy_extra_static_listeners_json", extra),
    ]


def _dynamic_resources(token: str) -> Json:
    ads = {"ads": {}, "resource_api_version": "V3"}
    stream = {
        "envoy_grpc": {"cluster_name": LOCAL_AGENT_CLUSTER, "retry_policy": _RETRIES},
        "initial_metadata": [{"key": TOKEN_METADATA_KEY, "value": token}],
    }
    return {
        "lds_config": ads,
        "cds_config": ads,
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            # It lists every extension, 60 KB of them; once for each stream is enough.
            "set_node_on_first_message_only": True,
            "grpc_services": [stream],
        },
    }


def _marked_sockets(mark: int) -> Json:
    option = {"level": _SOL_SOCKET, "name": _SO_MARK, "int_value": mark, "state": "STATE_PREBIND"}
    return {"socket_options": [{"description": "the proxy's mark", **option}]}


def _template_variables(settings: BootstrapSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables a bootstrap template may name, as texts that fit into JSON."""
    xds, admin = settings.xds, settings.admin
    sinks = stats_sinks(settings, environment)
    return {
        "ProxyID": settings.proxy_id,
        "ProxyCluster": settings.proxy_cluster,
        "ProxySourceService": settings.proxy_source_service,
        "AgentAddress": xds.address.ip if isinstance(xds.address, InternetAddress) else "",
        "AgentPort": str(xds.address.port) if isinstance(xds.address, InternetAddress) else "",
        "AgentSocket": xds.address.path if isinstance(xds.address, UnixAddress) else "",
        "AgentTLS": str(xds.ca_pem is not None).lower(),
        "AgentCAPEM": (xds.ca_pem or "").replace("\n", "\\n"),
        "AdminAccessLogPath": settings.admin_access_log_path,
        "AdminBindAddress": admin.ip if isinstance(admin, InternetAddress) else "",
        "AdminBindPort": str(admin.port) if isinstance(admin, InternetAddress) else "",
        "LocalAgentClusterName": LOCAL_AGENT_CLUSTER,
        "Token": settings.token,
        "StaticClustersJSON": _joined(_static_clusters(settings)),
        "StaticListenersJSON": _joined(_static_listeners(settings)),
        "StatsSinksJSON": f"[{_joined(sinks)}]" if sinks else "",
        "StatsConfigJSON": _text(stats_config(settings)),
        "StatsFlushInterval": settings.config.envoy_stats_flush_interval,
        "TracingConfigJSON": settings.config.envoy_tracing_json,
        "Namespace": settings.namespace or "default",
        "Datacenter": settings.datacenter,
        "EnvoyVersion": settings.envoy_version,
        "PrometheusBackendPort": str(settings.prometheus_backend_port or ""),
        "PrometheusScrapePath": settings.prometheus_scrape_path,
    }


def _joined(objects: Sequence[Json]) -> str:
    return ",".join(map(_text, objects))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
