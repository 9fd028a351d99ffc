"""What an agent is told to be: one value, decided before anything starts.

`configuration_loading` makes an `AgentConfiguration` of files and flags; the agent acts on that value
alone. `reloaded` says what a running agent takes from a newer one.

Durations are nanoseconds. Source: Consul 1.10 docs, "Configuration"; agent/config/runtime.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.agent.listen_addresses import ListenAddress, Network
from pellucid.model.definitions import CheckRegistration, ServiceDefinition
from pellucid.model.durations import MINUTE, SECOND


class Ports(msgspec.Struct, frozen=True):
    """The range of ports the agent hands out to sidecars that were given none."""

    sidecar_min: int = 21000
    sidecar_max: int = 21255


class Listeners(msgspec.Struct, frozen=True):
    """Where each server listens; empty means it is off. DNS listens on UDP and TCP."""

    dns: tuple[ListenAddress, ...] = ()
    mesh_dns: tuple[ListenAddress, ...] = ()
    """DNS for programs in the mesh: a service's name is its virtual address, which sidecars route on."""
    http: tuple[ListenAddress, ...] = ()
    https: tuple[ListenAddress, ...] = ()
    grpc: tuple[ListenAddress, ...] = ()
    """xDS. `xds_socket`, when given, is among them."""


class Tls(msgspec.Struct, frozen=True):
    """Files (PEM) of the HTTPS server, and whether clients must show a certificate."""

    ca_file: str = ""
    ca_path: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify_incoming: bool = False


class Logging(msgspec.Struct, frozen=True):
    """level: one of LOG_LEVELS. file: empty for standard output."""

    level: str = "INFO"
    json: bool = False
    file: str = ""


class Soa(msgspec.Struct, frozen=True):
    """Fields of the SOA record, in seconds."""

    refresh: int = 3600
    retry: int = 600
    expire: int = 86400
    min_ttl: int = 0


class Dns(msgspec.Struct, frozen=True):
    """How names are answered. Domains are lower-case without the final dot; TTLs are nanoseconds."""

    domain: str = "consul"
    alt_domain: str = ""
    recursors: tuple[str, ...] = ()
    recursor_timeout: int = 2 * SECOND
    node_ttl: int = 0
    service_ttl: Mapping[str, int] = {}
    """By service name, `prefix*` or `*`."""
    only_passing: bool = False
    enable_truncate: bool = False
    udp_answer_limit: int = 3
    a_record_limit: int = 0
    disable_compression: bool = False
    node_meta_txt: bool = True
    soa: Soa = Soa()


class Http(msgspec.Struct, frozen=True):
    """The HTTP API's own settings."""

    allow_write_from: tuple[Network, ...] = ()
    """Networks that may use methods other than GET, HEAD and OPTIONS; empty: all."""
    block_endpoints: tuple[str, ...] = ()
    response_headers: Mapping[str, str] = {}
    max_connections_per_client: int = 200
    default_query_time: int = 300 * SECOND
    max_query_time: int = 600 * SECOND


class Connect(msgspec.Struct, frozen=True):
    """The mesh: its certificate authority, and what intentions leave open."""

    ca_config: Mapping[str, Any] = {}
    intention_default: str = "allow"
    """`allow` or `deny`: what happens to a connection that no intention speaks of."""


class Checks(msgspec.Struct, frozen=True):
    """How health checks are run and reported."""

    enable_scripts: bool = False
    enable_local_scripts: bool = False
    """Scripts from files only, never from the API."""
    update_interval: int = 5 * MINUTE
    discard_output: bool = False


class Telemetry(msgspec.Struct, frozen=True):
    """prometheus_retention_time: 0 keeps the Prometheus format off."""

    metrics_prefix: str = "consul"
    prometheus_retention_time: int = 0


class Ui(msgspec.Struct, frozen=True):
    """The web page, and the path it is served under."""

    enabled: bool = False
    content_path: str = "/ui/"


class Kubernetes(msgspec.Struct, frozen=True):
    """How callers that are pods are known.

    registrars: service accounts, as `namespace/name`, that may write from elsewhere; ca_config_map: empty
    publishes the server authority nowhere.
    """

    enabled: bool = False
    token_audience: str = ""
    registrars: tuple[str, ...] = ()
    ca_config_map: str = ""
    server_names: tuple[str, ...] = ()


class AgentConfiguration(msgspec.Struct, frozen=True):
    """Everything an agent needs to know before it starts."""

    node_name: str
    advertise_address: str
    """The IP address that other machines reach this node by."""
    data_dir: str = ""
    """Where the log is kept; empty keeps it in memory."""
    dev_mode: bool = False
    node_id: str = ""
    """Empty: make one, and keep it in `data_dir`."""
    node_meta: Mapping[str, str] = {}
    datacenter: str = "dc1"
    listeners: Listeners = Listeners()
    ports: Ports = Ports()
    tls: Tls = Tls()
    logging: Logging = Logging()
    dns: Dns = Dns()
    http: Http = Http()
    connect: Connect = Connect()
    checks: Checks = Checks()
    telemetry: Telemetry = Telemetry()
    ui: Ui = Ui()
    kubernetes: Kubernetes = Kubernetes()
    pid_file: str = ""
    bootstrap_config_entries: tuple[Mapping[str, Any], ...] = ()
    """Config entries as written, to be stored where there is none of that kind and name."""
    service_definitions: tuple[ServiceDefinition, ...] = ()
    check_definitions: tuple[CheckRegistration, ...] = ()
    warnings: tuple[str, ...] = ()
    """A line for each thing the user should know; to be logged at start."""


RELOADABLE = (
    "checks",
    "check_definitions",
    "service_definitions",
    "bootstrap_config_entries",
    "dns",
    "logging",
    "node_meta",
)
"""The parts that a reload changes without a restart; the files that `tls` names are read again as well."""


def reloaded(running: AgentConfiguration, wanted: AgentConfiguration) -> AgentConfiguration:
    """`running` with the reloadable parts of `wanted`, and a warning for every other part that differs."""
    fixed = [
        name
        for name in running.__struct_fields__
        if name not in RELOADABLE and name != "warnings" and getattr(running, name) != getattr(wanted, name)
    ]
    warnings = tuple(f"{name} has changed and takes effect at the next start" for name in fixed)
    changes = {name: getattr(wanted, name) for name in RELOADABLE}
    return msgspec.structs.replace(running, **changes, warnings=wanted.warnings + warnings)
