"""What can be written in an agent's configuration files.

`ConfigurationFile` has every key this agent acts on, all optional: None means "not written here".
`WITHOUT_EFFECT` has the keys of Consul 1.10 that are accepted and change nothing, with the reason, so
that existing files keep working and their owners are told. `REFUSED` has the keys whose silence would
be dangerous: someone who writes them relies on a protection this agent does not give.

Source: Consul 1.10 docs, "Configuration"; agent/config/config.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.model.definitions import CheckRegistration, ServiceDefinition
from pellucid.model.durations import Duration


class AddressKeys(msgspec.Struct, frozen=True):
    """`addresses`: where each server listens, instead of `client_addr`."""

    dns: str | None = None
    http: str | None = None
    https: str | None = None
    grpc: str | None = None


class PortKeys(msgspec.Struct, frozen=True):
    """`ports`: -1 turns a server off."""

    dns: int | None = None
    http: int | None = None
    https: int | None = None
    grpc: int | None = None
    xds: int | None = None
    """The same as `grpc`, which wins."""
    sidecar_min_port: int | None = None
    sidecar_max_port: int | None = None


class SoaKeys(msgspec.Struct, frozen=True):
    """`dns_config.soa`, in seconds."""

    refresh: int | None = None
    retry: int | None = None
    expire: int | None = None
    min_ttl: int | None = None


class DnsKeys(msgspec.Struct, frozen=True):
    """`dns_config`."""

    a_record_limit: int | None = None
    disable_compression: bool | None = None
    enable_truncate: bool | None = None
    node_meta_txt: bool | None = None
    node_ttl: Duration | None = None
    only_passing: bool | None = None
    recursor_timeout: Duration | None = None
    service_ttl: Mapping[str, str] | None = None
    """Durations by service name, `*` and `prefix*` included."""
    soa: SoaKeys | None = None
    udp_answer_limit: int | None = None


class HttpKeys(msgspec.Struct, frozen=True):
    """`http_config`."""

    allow_write_http_from: tuple[str, ...] | None = None
    block_endpoints: tuple[str, ...] | None = None
    response_headers: Mapping[str, str] | None = None


class LimitKeys(msgspec.Struct, frozen=True):
    """`limits`."""

    http_max_conns_per_client: int | None = None


class ConnectKeys(msgspec.Struct, frozen=True):
    """`connect`: the mesh and its certificate authority."""

    enabled: bool | None = None
    ca_provider: str | None = None
    ca_config: Mapping[str, Any] | None = None


class ConfigEntryKeys(msgspec.Struct, frozen=True):
    """`config_entries`: entries to write at start where there are none yet."""

    bootstrap: tuple[Mapping[str, Any], ...] | None = None


class UiKeys(msgspec.Struct, frozen=True):
    """`ui_config`."""

    enabled: bool | None = None
    content_path: str | None = None


class TelemetryKeys(msgspec.Struct, frozen=True):
    """`telemetry`."""

    metrics_prefix: str | None = None
    prometheus_retention_time: Duration | None = None


class KubernetesKeys(msgspec.Struct, frozen=True):
    """`pellucid.kubernetes`: the agent is a pod, and its callers prove who they are by service account."""

    enabled: bool | None = None
    token_audience: str | None = None
    """The audience of the tokens that callers show."""
    registrars: tuple[str, ...] | None = None
    """`namespace/name` of the service accounts that may write."""
    ca_config_map: str | None = None
    """The config map, beside the agent, in which the server authority's certificate is published."""
    server_names: tuple[str, ...] | None = None
    """DNS names under which the agent is dialled."""


class OwnKeys(msgspec.Struct, frozen=True):
    """`pellucid`: what Consul has no key for."""

    xds_socket: str | None = None
    """Path of a unix socket that serves xDS beside the port."""
    mesh_dns_port: int | None = None
    """Where programs in the mesh ask for names; the port after DNS's when absent, -1 for off."""
    intention_default: str | None = None
    """`allow` or `deny`: what happens to a connection that no intention speaks of."""
    kubernetes: KubernetesKeys | None = None


class ConfigurationFile(msgspec.Struct, frozen=True):
    """One source of configuration: a file, a `-hcl` fragment, or the flags."""

    addresses: AddressKeys | None = None
    advertise_addr: str | None = None
    advertise_addr_ipv4: str | None = None
    advertise_addr_ipv6: str | None = None
    alt_domain: str | None = None
    bind_addr: str | None = None
    bootstrap: bool | None = None
    bootstrap_expect: int | None = None
    ca_file: str | None = None
    ca_path: str | None = None
    cert_file: str | None = None
    check: tuple[CheckRegistration, ...] | None = None
    checks: tuple[CheckRegistration, ...] | None = None
    check_update_interval: Duration | None = None
    client_addr: str | None = None
    config_entries: ConfigEntryKeys | None = None
    connect: ConnectKeys | None = None
    data_dir: str | None = None
    datacenter: str | None = None
    default_query_time: Duration | None = None
    discard_check_output: bool | None = None
    dns_config: DnsKeys | None = None
    domain: str | None = None
    enable_local_script_checks: bool | None = None
    enable_script_checks: bool | None = None
    http_config: HttpKeys | None = None
    key_file: str | None = None
    limits: LimitKeys | None = None
    log_file: str | None = None
    log_json: bool | None = None
    log_level: str | None = None
    max_query_time: Duration | None = None
    node_id: str | None = None
    node_meta: Mapping[str, str] | None = None
    node_name: str | None = None
    pellucid: OwnKeys | None = None
    pid_file: str | None = None
    ports: PortKeys | None = None
    recursors: tuple[str, ...] | None = None
    server: bool | None = None
    service: tuple[ServiceDefinition, ...] | None = None
    services: tuple[ServiceDefinition, ...] | None = None
    telemetry: TelemetryKeys | None = None
    ui: bool | None = None
    ui_config: UiKeys | None = None
    ui_content_path: str | None = None
    verify_incoming: bool | None = None
    verify_incoming_https: bool | None = None


NO_GOSSIP = "there is no gossip between agents"
NO_RAFT = "there is no Raft: the log is this agent's own"
LEAVING_IS_STOPPING = "with no cluster to leave, leaving and stopping are the same"
NO_RPC = "there are no server RPCs"
ONE_AGENT = "one agent serves the whole mesh, so there is nothing to join"
NO_ACLS = "there are no ACLs"
BUILT_IN_UI = "the web page is built in"
NOT_ENTERPRISE = "it belongs to Consul Enterprise"
OWN_METRICS = "metrics are served at /v1/agent/metrics and sent nowhere"
ALWAYS_FRESH = "every answer comes from the one log, so none is stale or cached"

WITHOUT_EFFECT: dict[str, str] = {
    "acl": NO_ACLS,
    "acl_agent_master_token": NO_ACLS,
    "acl_agent_token": NO_ACLS,
    "acl_datacenter": NO_ACLS,
    "acl_default_policy": NO_ACLS,
    "acl_down_policy": NO_ACLS,
    "acl_enable_key_list_policy": NO_ACLS,
    "acl_enforce_version_8": NO_ACLS,
    "acl_master_token": NO_ACLS,
    "acl_replication_token": NO_ACLS,
    "acl_token": NO_ACLS,
    "acl_ttl": NO_ACLS,
    "advertise_addr_wan": ONE_AGENT,
    "advertise_addr_wan_ipv4": ONE_AGENT,
    "advertise_addr_wan_ipv6": ONE_AGENT,
    "advertise_reconnect_timeout": NO_GOSSIP,
    "audit": NOT_ENTERPRISE,
    "auto_config": ONE_AGENT,
    "auto_encrypt": ONE_AGENT,
    "autopilot": NO_RAFT,
    "cache": ALWAYS_FRESH,
    "check_output_max_size": "each check has its own output_max_size, 4096 when it says none",
    "connect.enable_mesh_gateway_wan_federation": ONE_AGENT,
    "disable_anonymous_signature": "nothing is ever sent to a vendor",
    "disable_coordinates": "network coordinates come from gossip, which there is none of",
    "disable_host_node_id": "the node ID is always random",
    "disable_http_unprintable_char_filter": "the filter cannot be turned off",
    "disable_keyring_file": NO_GOSSIP,
    "disable_remote_exec": "there is no remote execution",
    "disable_update_check": "nothing is ever sent to a vendor",
    "discovery_max_stale": ALWAYS_FRESH,
    "dns_config.allow_stale": ALWAYS_FRESH,
    "dns_config.cache_max_age": ALWAYS_FRESH,
    "dns_config.max_stale": ALWAYS_FRESH,
    "dns_config.prefer_namespace": NOT_ENTERPRISE,
    "dns_config.use_cache": ALWAYS_FRESH,
    "enable_acl_replication": NO_ACLS,
    "enable_agent_tls_for_checks": "checks use no client certificate",
    "enable_central_service_config": "config entries always shape proxies",
    "enable_debug": "there are no profiling endpoints",
    "enable_syslog": "logs go to standard output or to log_file",
    "encrypt": NO_GOSSIP,
    "encrypt_verify_incoming": NO_GOSSIP,
    "encrypt_verify_outgoing": NO_GOSSIP,
    "gossip_lan": NO_GOSSIP,
    "gossip_wan": NO_GOSSIP,
    "http_config.max_header_bytes": "headers have a fixed limit",
    "http_config.use_cache": ALWAYS_FRESH,
    "leave_on_terminate": LEAVING_IS_STOPPING,
    "license_path": NOT_ENTERPRISE,
    "limits.https_handshake_timeout": "handshakes have a fixed limit",
    "limits.kv_max_value_size": "a value has 512 KiB at most",
    "limits.rpc_handshake_timeout": NO_RPC,
    "limits.rpc_max_burst": NO_RPC,
    "limits.rpc_max_conns_per_client": NO_RPC,
    "limits.rpc_rate": NO_RPC,
    "limits.txn_max_req_len": "there is no key-value store",
    "log_rotate_bytes": "log_file is left to the system's log rotation",
    "log_rotate_duration": "log_file is left to the system's log rotation",
    "log_rotate_max_files": "log_file is left to the system's log rotation",
    "non_voting_server": NOT_ENTERPRISE,
    "performance": NO_RAFT,
    "ports.expose_max_port": "a check is made where it points to, never through a proxy's port",
    "ports.expose_min_port": "a check is made where it points to, never through a proxy's port",
    "ports.proxy_max_port": "managed proxies are gone since Consul 1.6",
    "ports.proxy_min_port": "managed proxies are gone since Consul 1.6",
    "ports.serf_lan": NO_GOSSIP,
    "ports.serf_wan": NO_GOSSIP,
    "ports.server": NO_RPC,
    "primary_datacenter": ONE_AGENT,
    "primary_gateways": ONE_AGENT,
    "primary_gateways_interval": ONE_AGENT,
    "protocol": NO_GOSSIP,
    "raft_protocol": NO_RAFT,
    "raft_snapshot_interval": NO_RAFT,
    "raft_snapshot_threshold": NO_RAFT,
    "raft_trailing_logs": NO_RAFT,
    "read_replica": NOT_ENTERPRISE,
    "reconnect_timeout": NO_GOSSIP,
    "reconnect_timeout_wan": NO_GOSSIP,
    "rejoin_after_leave": ONE_AGENT,
    "retry_interval": ONE_AGENT,
    "retry_interval_wan": ONE_AGENT,
    "retry_join": ONE_AGENT,
    "retry_join_wan": ONE_AGENT,
    "retry_max": ONE_AGENT,
    "retry_max_wan": ONE_AGENT,
    "revision": "the program knows its own revision",
    "rpc": NO_RPC,
    "segment": NOT_ENTERPRISE,
    "segments": NOT_ENTERPRISE,
    "serf_lan": NO_GOSSIP,
    "serf_lan_allowed_cidrs": NO_GOSSIP,
    "serf_wan": NO_GOSSIP,
    "serf_wan_allowed_cidrs": NO_GOSSIP,
    "server_name": NO_RPC,
    "session_ttl_min": "there are no sessions",
    "skip_leave_on_interrupt": LEAVING_IS_STOPPING,
    "snapshot_agent": NOT_ENTERPRISE,
    "start_join": ONE_AGENT,
    "start_join_wan": ONE_AGENT,
    "syslog_facility": "logs go to standard output or to log_file",
    "telemetry.circonus_api_app": OWN_METRICS,
    "telemetry.circonus_api_token": OWN_METRICS,
    "telemetry.circonus_api_url": OWN_METRICS,
    "telemetry.circonus_broker_id": OWN_METRICS,
    "telemetry.circonus_broker_select_tag": OWN_METRICS,
    "telemetry.circonus_check_display_name": OWN_METRICS,
    "telemetry.circonus_check_force_metric_activation": OWN_METRICS,
    "telemetry.circonus_check_id": OWN_METRICS,
    "telemetry.circonus_check_instance_id": OWN_METRICS,
    "telemetry.circonus_check_search_tag": OWN_METRICS,
    "telemetry.circonus_check_tags": OWN_METRICS,
    "telemetry.circonus_submission_interval": OWN_METRICS,
    "telemetry.circonus_submission_url": OWN_METRICS,
    "telemetry.disable_compat_1.9": "no metric has an old name to keep",
    "telemetry.disable_hostname": "metric names hold no host name",
    "telemetry.dogstatsd_addr": OWN_METRICS,
    "telemetry.dogstatsd_tags": OWN_METRICS,
    "telemetry.filter_default": "metrics are few enough to keep",
    "telemetry.prefix_filter": "metrics are few enough to keep",
    "telemetry.statsd_address": OWN_METRICS,
    "telemetry.statsite_address": OWN_METRICS,
    "tls_cipher_suites": "TLS 1.2 and 1.3 with the system's cipher suites",
    "tls_min_version": "TLS 1.2 is the least",
    "tls_prefer_server_cipher_suites": "TLS 1.2 and 1.3 with the system's cipher suites",
    "translate_wan_addrs": ONE_AGENT,
    "ui_config.dashboard_url_templates": BUILT_IN_UI,
    "ui_config.dir": BUILT_IN_UI,
    "ui_config.metrics_provider": BUILT_IN_UI,
    "ui_config.metrics_provider_files": BUILT_IN_UI,
    "ui_config.metrics_provider_options_json": BUILT_IN_UI,
    "ui_config.metrics_proxy": BUILT_IN_UI,
    "ui_dir": BUILT_IN_UI,
    "unix_sockets": "a unix socket is as open as loopback is: to every program on this machine",
    "use_streaming_backend": ALWAYS_FRESH,
    "verify_incoming_rpc": NO_RPC,
    "verify_outgoing": NO_RPC,
    "verify_server_hostname": NO_RPC,
    "version": "the program knows its own version",
    "version_prerelease": "the program knows its own version",
    "watches": "there are no watch handlers; blocking queries do the same",
}

REFUSED: dict[str, str] = {
    "acl.enabled": "access control lists are not enforced, so an agent that promises them does not start; "
    "remove the key and keep the HTTP API on loopback",
}
