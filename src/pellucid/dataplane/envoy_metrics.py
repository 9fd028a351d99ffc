"""The parts of a bootstrap that make Envoy's counters readable: tags, sinks, and listeners to scrape.

Source: Consul 1.10 docs, "Envoy Integration", "Bootstrap Configuration"; command/connect/envoy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pellucid.dataplane.envoy_settings import (
    Address,
    BootstrapSettings,
    InternetAddress,
    NamedAddress,
    UnixAddress,
    XdsAddress,
    parse_internet_address,
)
from pellucid.dataplane.redirect_settings import InvalidSettingError

Json = dict[str, Any]

_STATSD = ("envoy.stat_sinks.statsd", "type.googleapis.com/envoy.config.metrics.v3.StatsdSink")
_DOGSTATSD = ("envoy.stat_sinks.dog_statsd", "type.googleapis.com/envoy.config.metrics.v3.DogStatsdSink")
_HTTP_CONNECTION_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"

_PART = "[^.]+"
# A cluster is named [hash~][subset.]service.namespace.datacenter.routing.trust-domain.consul; a tag's
# expression captures first what leaves the counter's name, then the tag's value.
_CLUSTER_PARTS = (
    ("custom_hash", "(?:", _PART, "~)?"),
    ("service_subset", "(?:", _PART, r"\.)?"),
    ("service", "", _PART, r"\."),
    ("namespace", "", _PART, r"\."),
    ("datacenter", "", _PART, r"\."),
    ("routing_type", "", _PART, r"\."),
    ("trust_domain", "", _PART, r"\."),
)
_TARGET = r"((?:{p}\.)?{p}\.{p}\.{p})".replace("{p}", _PART)
_FULL_TARGET = r"((?:{p}~)?(?:{p}\.)?{p}\.{p}\.{p}\.{p}\.{p})".replace("{p}", _PART)
_UPSTREAM_TAGS = (
    ("consul.upstream.service", r"^(?:tcp|http)\.upstream\.(({p})(?:\.{p})?\.{p}\.)"),
    ("consul.upstream.datacenter", r"^(?:tcp|http)\.upstream\.({p}(?:\.{p})?\.({p})\.)"),
    ("consul.upstream.namespace", r"^(?:tcp|http)\.upstream\.({p}(?:\.({p}))?\.{p}\.)"),
)


def socket_address(address: XdsAddress) -> Json:
    """An address as Envoy's `core.v3.Address`."""
    if isinstance(address, UnixAddress):
        return {"pipe": {"path": address.path}}
    if isinstance(address, NamedAddress):
        return {"socket_address": {"address": address.host, "port_value": address.port}}
    return {"socket_address": {"address": address.ip, "port_value": address.port}}


def stats_config(settings: BootstrapSettings) -> Json:
    """`stats_config`: whose counters these are, and how service names are read out of counters' names.

    Raises InvalidSettingError.
    """
    if settings.config.envoy_stats_config_json:
        return parse_json_object("envoy_stats_config_json", settings.config.envoy_stats_config_json)
    return {"stats_tags": list(_stats_tags(settings)), "use_all_default_tags": True}


def stats_sinks(settings: BootstrapSettings, environment: Mapping[str, str]) -> list[Json]:
    """`stats_sinks`: statsd, dogstatsd, then the extra ones. Raises InvalidSettingError."""
    config = settings.config
    sinks = []
    if config.envoy_statsd_url:
        address = _sink_address("envoy_statsd_url", config.envoy_statsd_url, environment, ("udp",))
        sinks.append(_sink(_STATSD, address))
    if config.envoy_dogstatsd_url:
        address = _sink_address(
            "envoy_dogstatsd_url", config.envoy_dogstatsd_url, environment, ("udp", "unix")
        )
        sinks.append(_sink(_DOGSTATSD, address))
    return sinks + parse_json_objects("envoy_extra_stats_sinks_json", config.envoy_extra_stats_sinks_json)


class MetricsListeners(msgspec.Struct, frozen=True):
    """Listeners from which the proxy's counters are read, and the clusters that answer them."""

    listeners: list[Json]
    clusters: list[Json]


def metrics_listeners(settings: BootstrapSettings) -> MetricsListeners:
    """What `envoy_prometheus_bind_addr`, `envoy_stats_bind_addr` and a gateway's readiness ask for.

    Raises InvalidSettingError.
    """
    listeners = []
    backends: dict[str, Address] = {}
    admin = ("self_admin", settings.admin)
    if settings.config.envoy_prometheus_bind_addr:
        backend = admin
        if settings.prometheus_backend_port is not None:
            backend = ("prometheus_backend", InternetAddress("127.0.0.1", settings.prometheus_backend_port))
        backends.update([backend])
        bind = _bind_address("envoy_prometheus_bind_addr", settings.config.envoy_prometheus_bind_addr)
        match = {"path": settings.prometheus_scrape_path}
        listeners.append(_listener("envoy_prometheus_metrics", bind, match, "/stats/prometheus", backend[0]))
    if settings.config.envoy_stats_bind_addr:
        backends.update([admin])
        bind = _bind_address("envoy_stats_bind_addr", settings.config.envoy_stats_bind_addr)
        listeners.append(_listener("envoy_metrics", bind, {"prefix": "/stats"}, "/stats", admin[0]))
    if settings.ready_address is not None:
        backends.update([admin])
        listeners.append(
            _listener("envoy_ready", settings.ready_address, {"path": "/ready"}, "/ready", admin[0])
        )
    return MetricsListeners(listeners, [_static_cluster(*backend) for backend in backends.items()])


def parse_json_object(field: str, text: str) -> Json:
    """Raises InvalidSettingError unless the text is one JSON object."""
    found = parse_json_objects(field, text)
    if len(found) != 1:
        raise InvalidSettingError(field, text, "one JSON object")
    return found[0]


def parse_json_objects(field: str, text: str) -> list[Json]:
    """Comma-separated JSON objects. Raises InvalidSettingError."""
    try:
        return msgspec.json.decode(f"[{text}]", type=list[Json])
    except msgspec.DecodeError as problem:
        raise InvalidSettingError(field, text, f"JSON objects separated by commas ({problem})") from None


def _stats_tags(settings: BootstrapSettings) -> Iterator[Json]:
    fixed = dict(_user_tags(settings.config.envoy_stats_tags))
    standard = {
        "local_cluster": settings.proxy_cluster,
        "consul.source.service": settings.proxy_source_service,
        "consul.source.namespace": settings.namespace or "default",
        "consul.source.datacenter": settings.datacenter,
    }
    for name, value in {**{n: v for n, v in standard.items() if v}, **fixed}.items():
        yield {"tag_name": name, "fixed_value": value}
    for name, expression in _service_tags(settings) if settings.service_tags else ():
        if name not in fixed:
            yield {"tag_name": name, "regex": expression}


def _service_tags(settings: BootstrapSettings) -> Iterator[tuple[str, str]]:
    yield from _cluster_tags("consul.destination.", "(?:passthrough~)?")
    yield from ((name, expression.replace("{p}", _PART)) for name, expression in _UPSTREAM_TAGS)
    if not settings.omit_deprecated_tags:
        yield from _cluster_tags("consul.", "")


def _user_tags(tags: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for tag in tags:
        name, separator, value = tag.partition("=")
        yield name.strip().lower(), value.strip() if separator else "1"


def _cluster_tags(prefix: str, before: str) -> Iterator[tuple[str, str]]:
    for wanted, *_ in _CLUSTER_PARTS:
        name = "".join(
            f"{opening}({part}){closing}" if part_name == wanted else f"{opening}{part}{closing}"
            for part_name, opening, part, closing in _CLUSTER_PARTS
        )
        yield f"{prefix}{wanted}", rf"^cluster\.{before}({name}consul\.)"
    yield f"{prefix}target", rf"^cluster\.{before}((?:{_PART}~)?{_TARGET}\.{_PART}\.{_PART}\.consul\.)"
    yield f"{prefix}full_target", rf"^cluster\.{before}({_FULL_TARGET}\.consul\.)"


def _sink(kind: tuple[str, str], address: Address) -> Json:
    name, type_url = kind
    where = socket_address(address)
    if isinstance(address, InternetAddress):
        where["socket_address"]["protocol"] = "UDP"
    return {"name": name, "typed_config": {"@type": type_url, "address": where}}


def _sink_address(field: str, text: str, environment: Mapping[str, str], schemes: tuple[str, ...]) -> Address:
    url = _expanded(field, text, environment)
    parts = urlsplit(url)
    if parts.scheme not in schemes:
        sink = field.removeprefix("envoy_").removesuffix("_url")
        why = f'unsupported address protocol "{parts.scheme}" for {sink} sink'
        raise InvalidSettingError(field, url, f"a URL of {' or '.join(schemes)} ({why})")
    if parts.scheme == "unix":
        return UnixAddress(parts.path)
    return parse_internet_address(field, parts.netloc, _as_it_stands)


def _expanded(field: str, text: str, environment: Mapping[str, str]) -> str:
    """A whole `$NAME` is that variable's value; within a URL only `${HOST_IP}` is replaced."""
    if not text.startswith("$") or text.startswith("${"):
        return text.replace("${HOST_IP}", environment.get("HOST_IP", ""))
    value = environment.get(text[1:])
    if not value:
        raise InvalidSettingError(field, text, f"a URL, or set the environment variable {text[1:]}")
    return value


def _bind_address(field: str, text: str) -> InternetAddress:
    return parse_internet_address(field, text, _as_it_stands)


def _as_it_stands(host: str) -> str:
    return host


def _static_cluster(name: str, address: Address) -> Json:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "ignore_health_on_host_removal": False,
        "load_assignment": load_assignment(name, address),
    }


def load_assignment(name: str, address: XdsAddress) -> Json:
    """The one endpoint of a static cluster."""
    endpoint = {"endpoint": {"address": socket_address(address)}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}


def _listener(name: str, bind: InternetAddress, match: Json, rewrite: str, cluster: str) -> Json:
    routes = [
        {"match": match, "route": {"cluster": cluster, "prefix_rewrite": rewrite}},
        {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
    ]
    connection_manager = {
        "@type": _HTTP_CONNECTION_MANAGER,
        "stat_prefix": name,
        "codec_type": "HTTP1",
        "route_config": {
            "name": "self_admin_route",
            "virtual_hosts": [{"name": "self_admin", "domains": ["*"], "routes": routes}],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connection_manager}]
    return {
        "name": f"{name}_listener",
        "address": socket_address(bind),
        "filter_chains": [{"filters": filters}],
    }
