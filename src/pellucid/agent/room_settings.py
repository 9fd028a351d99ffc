"""One configuration in the terms of each room: what DNS, health checks and the HTTP API are told.

Pure: each function takes from an `AgentConfiguration` what its room asks for, in that room's units.
"""

from __future__ import annotations

import msgspec

from pellucid.agent.configuration import AgentConfiguration
from pellucid.agent.own_node import OwnNode
from pellucid.api.context import AgentIdentity, HttpSettings
from pellucid.dns.settings import DnsSettings, SoaSettings
from pellucid.health.machine import HealthSettings
from pellucid.model.durations import SECOND
from pellucid.rules.sidecar import SidecarPorts

NO_XDS_PORT = -1
"""What the API says of an agent whose xDS server has no port."""


def own_node(configuration: AgentConfiguration, node_id: str) -> OwnNode:
    """Who the agent is in the catalog."""
    return OwnNode(
        configuration.node_name,
        node_id,
        configuration.advertise_address,
        configuration.datacenter,
        configuration.node_meta,
    )


def agent_identity(configuration: AgentConfiguration, node_id: str) -> AgentIdentity:
    """Who the agent is to clients of its API."""
    xds_ports = [address.port for address in configuration.listeners.grpc if address.port]
    return AgentIdentity(
        node_name=configuration.node_name,
        node_id=node_id,
        datacenter=configuration.datacenter,
        address=configuration.advertise_address,
        xds_port=xds_ports[0] if xds_ports else NO_XDS_PORT,
    )


def dns_settings(configuration: AgentConfiguration) -> DnsSettings:
    """The DNS part of a configuration, in the DNS room's terms."""
    dns = configuration.dns
    return DnsSettings(
        datacenter=configuration.datacenter,
        domain=dns.domain,
        alt_domain=dns.alt_domain,
        node_ttl_s=dns.node_ttl // SECOND,
        service_ttl_s={name: ttl // SECOND for name, ttl in dns.service_ttl.items()},
        only_passing=dns.only_passing,
        udp_answer_limit=dns.udp_answer_limit,
        a_record_limit=dns.a_record_limit,
        enable_truncate=dns.enable_truncate,
        disable_compression=dns.disable_compression,
        enable_additional_node_meta_txt=dns.node_meta_txt,
        soa=SoaSettings(dns.soa.refresh, dns.soa.retry, dns.soa.expire, dns.soa.min_ttl),
        recursors=dns.recursors,
        recursor_timeout_s=dns.recursor_timeout / SECOND,
    )


def mesh_dns_settings(configuration: AgentConfiguration) -> DnsSettings:
    """The same for programs in the mesh, whose sidecars route on virtual addresses."""
    return msgspec.structs.replace(dns_settings(configuration), service_names_resolve_to_virtual=True)


def health_settings(configuration: AgentConfiguration) -> HealthSettings:
    """How checks are run and reported."""
    checks = configuration.checks
    return HealthSettings(checks.update_interval / SECOND, checks.discard_output)


def http_settings(configuration: AgentConfiguration) -> HttpSettings:
    """How the HTTP API answers, and what it says of this agent."""
    http, listeners = configuration.http, configuration.listeners
    xds_sockets = [address.unix_path for address in listeners.grpc if address.unix_path]
    mesh_dns = [str(address) for address in listeners.mesh_dns]
    return HttpSettings(
        pretty=configuration.dev_mode,
        ui_path=configuration.ui.content_path if configuration.ui.enabled else "",
        response_headers=http.response_headers,
        block_endpoints=http.block_endpoints,
        allow_write_from=http.allow_write_from,
        default_policy=configuration.connect.intention_default,
        enable_script_checks=configuration.checks.enable_scripts,
        sidecar_ports=SidecarPorts(configuration.ports.sidecar_min, configuration.ports.sidecar_max),
        default_wait_s=http.default_query_time / SECOND,
        max_wait_s=http.max_query_time / SECOND,
        prometheus_enabled=configuration.telemetry.prometheus_retention_time > 0,
        debug_configuration={
            "XDSSocket": next(iter(xds_sockets), ""),
            "MeshDNSAddress": next(iter(mesh_dns), ""),
        },
    )
