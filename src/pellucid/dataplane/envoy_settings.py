"""What a sidecar Envoy's bootstrap is made of: values, checked when they are made.

Sources: Consul 1.10 docs, "Envoy Integration" (`Proxy.Config` keys), `consul connect envoy` flags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pellucid.dataplane.redirect_settings import InvalidSettingError, parse_port

DEFAULT_XDS_PORT = 8502
DEFAULT_ADMIN_PORT = 19000

Resolve = Callable[[str], str]
"""Host name to IP address; raises OSError."""


class InternetAddress(msgspec.Struct, frozen=True):
    """An IP address and a port: Envoy resolves no names here."""

    ip: str
    port: int


class NamedAddress(msgspec.Struct, frozen=True):
    """A host that moves: Envoy looks its name up itself, again and again."""

    host: str
    port: int


class UnixAddress(msgspec.Struct, frozen=True):
    """A unix socket's path."""

    path: str


Address = InternetAddress | UnixAddress

XdsAddress = InternetAddress | NamedAddress | UnixAddress


class XdsServer(msgspec.Struct, frozen=True):
    """Where the control plane listens, and how to know it is the right one.

    ca_pem: with it the connection is TLS and the server must show a certificate of this authority;
    server_name: with it that certificate must be for this DNS name, too.
    """

    address: XdsAddress
    ca_pem: str | None = None
    server_name: str | None = None


class BootstrapConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The `Proxy.Config` keys that shape a bootstrap; other keys belong to xDS and are passed over."""

    envoy_statsd_url: str = ""
    envoy_dogstatsd_url: str = ""
    envoy_stats_tags: tuple[str, ...] = ()
    envoy_prometheus_bind_addr: str = ""
    envoy_stats_bind_addr: str = ""
    envoy_bootstrap_json_tpl: str = ""
    envoy_extra_static_clusters_json: str = ""
    envoy_extra_static_listeners_json: str = ""
    envoy_extra_stats_sinks_json: str = ""
    envoy_stats_config_json: str = ""
    envoy_stats_flush_interval: str = ""
    envoy_tracing_json: str = ""


class BootstrapSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One sidecar's bootstrap.

    proxy_id: the proxy's service id; the server knows the proxy by it alone;
    proxy_cluster: the name of the service the proxy stands for;
    token: an ACL token or the workload's credential, sent to the server with every stream;
    envoy_version: as Consul's own bootstrap tells it; may be empty, since Envoy itself tells the server, and
    to ask the binary for it takes half as long as its start;
    service_tags: whether services, datacenters and the like are read out of counters' names; nobody needs it
    where counters are not collected, and Envoy spends some 9 ms on it for every cluster;
    proxy_mark: SO_MARK for all of Envoy's connections, where redirection tells the proxy by it;
    ready_address: where a gateway answers `/ready`.
    """

    proxy_id: str
    proxy_cluster: str
    xds: XdsServer
    envoy_version: str = ""
    proxy_source_service: str = ""
    namespace: str = ""
    datacenter: str = ""
    token: str = ""
    admin: Address = InternetAddress("127.0.0.1", DEFAULT_ADMIN_PORT)
    admin_access_log_path: str = "/dev/null"
    prometheus_backend_port: int | None = None
    prometheus_scrape_path: str = "/metrics"
    omit_deprecated_tags: bool = False
    service_tags: bool = True
    proxy_mark: int | None = None
    ready_address: InternetAddress | None = None
    config: BootstrapConfig = BootstrapConfig()


def bootstrap_config(config: Mapping[str, Any]) -> BootstrapConfig:
    """Read a proxy's `Proxy.Config`; numbers and texts stand for each other, as in Consul.

    Raises InvalidSettingError naming the key.
    """
    try:
        return msgspec.convert(config, BootstrapConfig, strict=False)
    except msgspec.ValidationError as problem:
        raise InvalidSettingError("Proxy.Config", str(problem), "a value of the expected type") from None


def parse_xds_address(text: str, resolve: Resolve) -> tuple[Address, bool]:
    """Read `-grpc-addr`: `host:port`, `http://host:port`, `https://host:port` or `unix:///path`.

    Returns the address, and whether it asks for TLS. Raises InvalidSettingError.
    """
    if text.startswith("unix://"):
        return UnixAddress(text.removeprefix("unix://")), False
    tls = text.startswith("https://")
    bare = text.removeprefix("https://").removeprefix("http://").rstrip("/")
    return parse_internet_address("grpc-addr", bare, resolve), tls


def parse_internet_address(field: str, text: str, resolve: Resolve) -> InternetAddress:
    """Read `host:port`, IPv6 hosts in brackets; names are resolved. Raises InvalidSettingError."""
    host, separator, port = text.rpartition(":")
    if not separator or not host:
        raise InvalidSettingError(field, text, "an address with a port, such as 127.0.0.1:8502")
    try:
        return InternetAddress(resolve(host.strip("[]")), parse_port(field, port))
    except OSError as problem:
        raise InvalidSettingError(field, text, f"a host that can be resolved ({problem})") from None
