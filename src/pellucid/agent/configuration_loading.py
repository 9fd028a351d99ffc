"""From files, fragments and flags to an `AgentConfiguration`: defaults filled in, contradictions refused.

With `-dev` the defaults are other ones: nothing is kept, only loopback listens, xDS and the web page are on.
Source: Consul 1.10 docs, "Configuration"; agent/config/{default,builder}.go.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pellucid.agent.configuration import (
    AgentConfiguration,
    Checks,
    Connect,
    Dns,
    Http,
    Listeners,
    Logging,
    Ports,
    Soa,
    Telemetry,
    Tls,
    Ui,
)
from pellucid.agent.configuration_keys import (
    AddressKeys,
    ConfigEntryKeys,
    ConfigurationFile,
    ConnectKeys,
    DnsKeys,
    HttpKeys,
    KubernetesKeys,
    LimitKeys,
    OwnKeys,
    PortKeys,
    SoaKeys,
    TelemetryKeys,
    UiKeys,
)
from pellucid.agent.configuration_sources import ConfigurationError, Source, load, read_sources
from pellucid.agent.host import Host, this_host
from pellucid.agent.kubernetes.settings import kubernetes_settings
from pellucid.agent.listen_addresses import ListenAddress, ip_address, listen_addresses, networks
from pellucid.dns.settings import parse_recursor
from pellucid.model.definitions import ServiceDefinition
from pellucid.model.durations import DurationError, parse_duration
from pellucid.model.names import is_uuid

V = TypeVar("V")

LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
LOG_LEVEL_ALIASES = {"ERR": "ERROR", "WARNING": "WARN"}
LARGEST_PORT = 65535
DEV_GRPC_PORT = 8502
OFF = -1
LOOPBACK = ("127.0.0.0/8", "::1/128")
"""Where `kubectl port-forward` comes from."""
BUILT_IN_CA = "consul"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - a default to advertise from; nothing is bound to it
UNSPECIFIED = (ANY_ADDRESS, "::")


def load_configuration(
    paths: Sequence[str] = (),
    *,
    flags: Mapping[str, Any] | None = None,
    fragments: Sequence[str] = (),
    dev: bool = False,
    config_format: str = "",
    host: Host | None = None,
) -> AgentConfiguration:
    """Read `paths` (files and directories), then the flags, then the `-hcl` fragments, and decide.

    flags: keys as files spell them. host: where defaults such as the node's name come from; None looks
    at this machine. Raises ConfigurationError.
    """
    loaded = load(
        [
            *read_sources(paths, config_format),
            Source("the flags", flags or {}),
            *(Source(f"-hcl fragment {number}", text) for number, text in enumerate(fragments, 1)),
        ]
    )
    return decide(loaded.keys, warnings=loaded.warnings, dev=dev, host=host or this_host())


def decide(
    keys: ConfigurationFile, *, dev: bool, host: Host, warnings: tuple[str, ...] = ()
) -> AgentConfiguration:
    """Fill in what `keys` leave open and check the whole. Raises ConfigurationError."""
    datacenter = _datacenter(_or(keys.datacenter, "dc1"))
    bind = ip_address("bind_addr", _or(keys.bind_addr, "127.0.0.1" if dev else ANY_ADDRESS), host)
    if not dev and not keys.data_dir:
        raise ConfigurationError("data_dir cannot be empty; give -data-dir, or -dev to keep nothing")
    tls = _tls(keys)
    return AgentConfiguration(
        node_name=_node_name(_or(keys.node_name, host.name)),
        node_id=_node_id(_or(keys.node_id, "")),
        node_meta=_or(keys.node_meta, {}),
        datacenter=datacenter,
        data_dir="" if dev else _or(keys.data_dir, ""),
        dev_mode=dev,
        advertise_address=_advertised(keys, bind, host),
        listeners=_listeners(keys, dev=dev, host=host),
        ports=_ports(_or(keys.ports, PortKeys())),
        tls=tls,
        logging=_logging(keys, dev=dev),
        dns=_dns(keys),
        http=_http(keys),
        connect=_connect(keys),
        checks=_checks(keys),
        telemetry=_telemetry(_or(keys.telemetry, TelemetryKeys())),
        ui=_ui(keys, dev=dev),
        kubernetes=kubernetes_settings(_own_kubernetes(keys), tls),
        pid_file=_or(keys.pid_file, ""),
        bootstrap_config_entries=_or(_or(keys.config_entries, ConfigEntryKeys()).bootstrap, ()),
        service_definitions=_distinct_services(_or(keys.service, ()) + _or(keys.services, ())),
        check_definitions=_or(keys.check, ()) + _or(keys.checks, ()),
        warnings=warnings + _servership(keys, dev=dev) + _meshlessness(keys),
    )


def _or(value: V | None, default: V) -> V:
    return default if value is None else value


def _datacenter(name: str) -> str:
    lowered = name.lower()
    if not lowered:
        raise ConfigurationError("datacenter cannot be empty")
    if not re.fullmatch(r"[a-z0-9_-]+", lowered):
        raise ConfigurationError(f'datacenter cannot be "{lowered}". Please use only [a-z0-9-_]')
    return lowered


def _node_id(text: str) -> str:
    if text and not is_uuid(text):
        raise ConfigurationError(f'node_id "{text}" is no UUID; leave it out to have one made')
    return text.lower()


def _node_name(name: str) -> str:
    if not name.strip():
        raise ConfigurationError("node_name cannot be empty")
    return name


def _advertised(keys: ConfigurationFile, bind: str, host: Host) -> str:
    """The address others reach this node by: as told, else the bound one, else the one private address."""
    for key, text in (
        ("advertise_addr", keys.advertise_addr),
        ("advertise_addr_ipv4", keys.advertise_addr_ipv4),
        ("advertise_addr_ipv6", keys.advertise_addr_ipv6),
    ):
        if text:
            address = ip_address(key, text, host)
            if address in UNSPECIFIED:
                raise ConfigurationError(f"{key} cannot be 0.0.0.0, :: or [::]")
            return address
    if bind not in UNSPECIFIED:
        return bind
    candidates = host.private_addresses()
    if len(candidates) > 1:
        raise ConfigurationError(
            "Multiple private IPv4 addresses found. Please configure one with 'bind' and/or 'advertise': "
            + ", ".join(candidates)
        )
    return candidates[0] if candidates else "127.0.0.1"


def _listeners(keys: ConfigurationFile, *, dev: bool, host: Host) -> Listeners:
    ports, addresses = _or(keys.ports, PortKeys()), _or(keys.addresses, AddressKeys())
    client = _or(keys.client_addr, "127.0.0.1")
    grpc_default = DEV_GRPC_PORT if dev else OFF

    def at(name: str, own: str | None, port: int, *, unix_allowed: bool = True) -> tuple[ListenAddress, ...]:
        key = "client_addr" if own is None else f"addresses.{name}"
        return listen_addresses(
            key, client if own is None else own, _port(f"ports.{name}", port), host, unix_allowed=unix_allowed
        )

    own = _or(keys.pellucid, OwnKeys())
    grpc_port = _or(ports.grpc, _or(ports.xds, grpc_default))
    dns_port = _or(ports.dns, 8600)
    mesh_dns_port = _or(own.mesh_dns_port, dns_port + 1 if 0 < dns_port < LARGEST_PORT else OFF)
    listeners = Listeners(
        dns=at("dns", addresses.dns, dns_port, unix_allowed=False),
        mesh_dns=at("dns", addresses.dns, _port("pellucid.mesh_dns_port", mesh_dns_port), unix_allowed=False),
        http=at("http", addresses.http, _or(ports.http, 8500)),
        https=at("https", addresses.https, _or(ports.https, OFF), unix_allowed=False),
        grpc=at("grpc", addresses.grpc, grpc_port) + _xds_socket(own),
    )
    _refuse_shared(listeners)
    return listeners


def _xds_socket(keys: OwnKeys) -> tuple[ListenAddress, ...]:
    return (ListenAddress(unix_path=keys.xds_socket),) if keys.xds_socket else ()


def _refuse_shared(listeners: Listeners) -> None:
    """Raise when two servers would listen on one address."""
    taken: dict[ListenAddress, str] = {}
    for name in listeners.__struct_fields__:
        for address in getattr(listeners, name):
            if other := taken.get(address):
                raise ConfigurationError(f"{name} address {address} is already configured for {other}")
            taken[address] = name


def _port(key: str, port: int) -> int:
    if port > LARGEST_PORT:
        raise ConfigurationError(f"{key}: invalid port number: {port}; use 1 to 65535, or -1 for off")
    return port


def _ports(keys: PortKeys) -> Ports:
    default = Ports()
    low = _or(keys.sidecar_min_port, default.sidecar_min)
    high = _port("ports.sidecar_max_port", _or(keys.sidecar_max_port, default.sidecar_max))
    if low > high:
        raise ConfigurationError(
            f"ports.sidecar_min_port {low} must be less than ports.sidecar_max_port {high}; "
            "to turn the range off, set both to 0"
        )
    return Ports(low, high)


def _tls(keys: ConfigurationFile) -> Tls:
    tls = Tls(
        ca_file=_or(keys.ca_file, ""),
        ca_path=_or(keys.ca_path, ""),
        cert_file=_or(keys.cert_file, ""),
        key_file=_or(keys.key_file, ""),
        verify_incoming=bool(keys.verify_incoming or keys.verify_incoming_https),
    )
    if tls.verify_incoming and not (tls.ca_file or tls.ca_path):
        raise ConfigurationError("verify_incoming needs ca_file or ca_path, to know which clients to trust")
    if bool(tls.cert_file) != bool(tls.key_file):
        raise ConfigurationError("cert_file and key_file go together; only one of them is set")
    https = _or(_or(keys.ports, PortKeys()).https, OFF)
    if https > 0 and not tls.cert_file and not _own_kubernetes(keys).enabled:
        raise ConfigurationError("ports.https needs cert_file and key_file")
    return tls


def _logging(keys: ConfigurationFile, *, dev: bool) -> Logging:
    level = _or(keys.log_level, "DEBUG" if dev else "INFO").upper()
    level = LOG_LEVEL_ALIASES.get(level, level)
    if level not in LOG_LEVELS:
        raise ConfigurationError(
            f"Invalid log level: {keys.log_level}. Valid log levels are: {' '.join(LOG_LEVELS)}"
        )
    return Logging(level=level, json=bool(keys.log_json), file=_or(keys.log_file, ""))


def _dns(keys: ConfigurationFile) -> Dns:
    default = Dns()
    own = _or(keys.dns_config, DnsKeys())
    return Dns(
        domain=_domain(_or(keys.domain, default.domain)),
        alt_domain=_domain(_or(keys.alt_domain, "")),
        recursors=_recursors(_or(keys.recursors, ())),
        recursor_timeout=_or(own.recursor_timeout, default.recursor_timeout),
        node_ttl=_or(own.node_ttl, 0),
        service_ttl={
            name: _duration(f"dns_config.service_ttl.{name}", text)
            for name, text in _or(own.service_ttl, {}).items()
        },
        only_passing=bool(own.only_passing),
        enable_truncate=bool(own.enable_truncate),
        udp_answer_limit=_or(own.udp_answer_limit, default.udp_answer_limit),
        a_record_limit=_or(own.a_record_limit, 0),
        disable_compression=bool(own.disable_compression),
        node_meta_txt=_or(own.node_meta_txt, True),
        soa=_soa(_or(own.soa, SoaKeys())),
    )


def _recursors(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            parse_recursor(text)
        except ValueError as error:
            raise ConfigurationError(f"recursors: {error}") from None
    return texts


def _soa(keys: SoaKeys) -> Soa:
    default = Soa()
    return Soa(
        refresh=_or(keys.refresh, default.refresh),
        retry=_or(keys.retry, default.retry),
        expire=_or(keys.expire, default.expire),
        min_ttl=_or(keys.min_ttl, default.min_ttl),
    )


def _domain(text: str) -> str:
    return text.rstrip(".").lower()


def _duration(key: str, text: str) -> int:
    try:
        return parse_duration(text)
    except DurationError as error:
        raise ConfigurationError(f"{key}: {error}") from None


def _http(keys: ConfigurationFile) -> Http:
    default = Http()
    own = _or(keys.http_config, HttpKeys())
    everybody = LOOPBACK if _own_kubernetes(keys).enabled else ()
    writers = _or(own.allow_write_http_from, everybody)
    return Http(
        allow_write_from=networks("http_config.allow_write_http_from", writers),
        block_endpoints=_or(own.block_endpoints, ()),
        response_headers=_or(own.response_headers, {}),
        max_connections_per_client=_or(
            _or(keys.limits, LimitKeys()).http_max_conns_per_client, default.max_connections_per_client
        ),
        default_query_time=_or(keys.default_query_time, default.default_query_time),
        max_query_time=_or(keys.max_query_time, default.max_query_time),
    )


def _connect(keys: ConfigurationFile) -> Connect:
    own = _or(keys.connect, ConnectKeys())
    provider = _or(own.ca_provider, BUILT_IN_CA)
    if provider != BUILT_IN_CA:
        raise ConfigurationError(
            f'connect.ca_provider must be "{BUILT_IN_CA}", the built-in one, not "{provider}"'
        )
    intention_default = _or(_or(keys.pellucid, OwnKeys()).intention_default, "allow")
    if intention_default not in ("allow", "deny"):
        raise ConfigurationError(
            f'pellucid.intention_default must be "allow" or "deny", not "{intention_default}"'
        )
    return Connect(
        ca_config=_or(own.ca_config, {}),
        intention_default=intention_default,
    )


def _checks(keys: ConfigurationFile) -> Checks:
    return Checks(
        enable_scripts=bool(keys.enable_script_checks),
        enable_local_scripts=bool(keys.enable_script_checks or keys.enable_local_script_checks),
        update_interval=_or(keys.check_update_interval, Checks().update_interval),
        discard_output=bool(keys.discard_check_output),
    )


def _telemetry(keys: TelemetryKeys) -> Telemetry:
    return Telemetry(
        metrics_prefix=_or(keys.metrics_prefix, "consul"),
        prometheus_retention_time=_or(keys.prometheus_retention_time, 0),
    )


def _own_kubernetes(keys: ConfigurationFile) -> KubernetesKeys:
    return _or(_or(keys.pellucid, OwnKeys()).kubernetes, KubernetesKeys())


def _ui(keys: ConfigurationFile, *, dev: bool) -> Ui:
    own = _or(keys.ui_config, UiKeys())
    path = _or(own.content_path, _or(keys.ui_content_path, "/ui/"))
    return Ui(
        enabled=_or(own.enabled, _or(keys.ui, dev)),
        content_path=f"/{path.strip('/')}/",
    )


def _distinct_services(services: tuple[ServiceDefinition, ...]) -> tuple[ServiceDefinition, ...]:
    """The services as given. Raises ConfigurationError for one without a name, or two with one ID."""
    for number, service in enumerate(services):
        if not service.name:
            raise ConfigurationError(f"services[{number}] has no name")
    counts = Counter(service.id or service.name for service in services)
    for identifier, count in counts.items():
        if count > 1:
            raise ConfigurationError(f'service "{identifier}" is defined {count} times; give each its own id')
    return services


def _servership(keys: ConfigurationFile, *, dev: bool) -> tuple[str, ...]:
    """Check the server keys against each other; a warning when the answer is not what they say."""
    server, expect = dev or bool(keys.server), _or(keys.bootstrap_expect, 0)
    if keys.bootstrap and not server:
        raise ConfigurationError("'bootstrap = true' requires 'server = true'")
    if expect > 0 and not server:
        raise ConfigurationError("'bootstrap_expect > 0' requires 'server = true'")
    if expect > 0 and keys.bootstrap:
        raise ConfigurationError("'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive")
    if expect > 1:
        return (f"bootstrap_expect = {expect} has no effect: one agent serves the whole mesh",)
    if not server:
        return ("this agent serves the mesh by itself, as if started with -server",)
    return ()


def _meshlessness(keys: ConfigurationFile) -> tuple[str, ...]:
    """A warning for someone who wants no mesh."""
    if _or(_or(keys.connect, ConnectKeys()).enabled, True):
        return ()
    return ("connect.enabled = false has no effect: the mesh is what this agent is for",)
