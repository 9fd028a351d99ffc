"""What an agent registers of itself when it starts: its node, that it is alive, its server.

Source: Consul 1.10 agent/consul/leader.go (handleAliveMember), recorded answers of a 1.10 server.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import msgspec

from pellucid.agent.configuration import AgentConfiguration
from pellucid.agent.configuration_sources import ConfigurationError
from pellucid.model.checks import SERF_HEALTH, CheckStatus, HealthCheck
from pellucid.model.names import SERVER_SERVICE
from pellucid.model.services import Node, Origin, Service
from pellucid.state.mesh_tables import CHECKS, NODES, SERVICES
from pellucid.state.tables import Change, Put

ALIVE = "Agent alive and reachable"
NETWORK_SEGMENT = "consul-network-segment"


class OwnNode(msgspec.Struct, frozen=True):
    """Who the agent is in the catalog."""

    name: str
    id: str
    address: str
    datacenter: str = "dc1"
    meta: Mapping[str, str] = {}
    server_port: int = 8300
    version: str = "1.10.0"


def own_node_changes(own: OwnNode) -> tuple[Change, ...]:
    """The changes that make the catalog know this agent; they change nothing when it does already."""
    node = Node(
        name=own.name,
        address=own.address,
        id=own.id,
        datacenter=own.datacenter,
        tagged_addresses=tagged_addresses(own.address),
        meta={NETWORK_SEGMENT: "", **own.meta},
    )
    server = Service(
        node=own.name,
        id=SERVER_SERVICE,
        name=SERVER_SERVICE,
        port=own.server_port,
        meta={
            "non_voter": "false",
            "raft_version": "3",
            "read_replica": "false",
            "serf_protocol_current": "2",
            "serf_protocol_max": "5",
            "serf_protocol_min": "1",
            "version": own.version,
        },
        origin=Origin.CATALOG,
    )
    alive = HealthCheck(
        node=own.name,
        check_id=SERF_HEALTH,
        name="Serf Health Status",
        status=CheckStatus.PASSING,
        output=ALIVE,
    )
    return Put(NODES, node), Put(SERVICES, server), Put(CHECKS, alive)


def tagged_addresses(address: str) -> Mapping[str, str]:
    """The address under each of Consul's tags."""
    family = "ipv6" if isinstance(ip_address(address), IPv6Address) else "ipv4"
    return dict.fromkeys(("lan", f"lan_{family}", "wan", f"wan_{family}"), address)


def node_id(configuration: AgentConfiguration) -> str:
    """The configured id, else the one kept in the data directory, else a new one."""
    if configuration.node_id or not configuration.data_dir:
        return configuration.node_id or str(uuid.uuid4())
    path = Path(configuration.data_dir) / "node-id"
    try:
        if path.exists():
            return path.read_text().strip()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = str(uuid.uuid4())
        path.write_text(new + "\n")
    except OSError as error:
        raise ConfigurationError(f"data_dir: cannot use {path}: {error.strerror}") from error
    return new
