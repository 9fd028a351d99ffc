"""What `pellucid run` is asked to do, as values."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from pellucid.dataplane.redirect_settings import InvalidSettingError, IpNetwork, parse_port
from pellucid.dataplane.run.agent_api import AgentAddress

PROXY_UID = 5995
"""The user of sidecars since consul-k8s; any other would do, as long as no program uses it."""
PROXY_MARK = 0x70656C
INBOUND_PORT = 20000
PROTOCOLS = ("tcp", "http", "http2", "grpc")

_NOT_IN_NAMES = re.compile(r"[^a-z0-9-]+")


class WorkloadUpstream(msgspec.Struct, frozen=True):
    """A service that the program dials at a port of its own localhost."""

    name: str
    local_port: int
    datacenter: str = ""


class WorkloadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One program in the mesh.

    command: the program and its arguments;
    service: the name it has in the mesh; port: where it listens, 0 when it only dials;
    service_id: "" makes one from the name and the program's address;
    user: who runs the program, `name`, `uid` or `uid:gid`; "" is whoever called (also through sudo);
    xds_address: as `-grpc-addr`; "" asks the agent; xds_ca_file: for `https://` addresses;
    dns_address: the agent's DNS, `host:port`; "" asks the agent; domain: the mesh's DNS domain;
    uplink: lend the program the host's way to everything outside (TCP, and names);
    hosts: further names that the program can resolve, with their addresses;
    drain_s: how long connections from outside may go on when the run is asked to stop;
    runtime_directory: where workloads that share a fabric meet; None is the machine's, or the user's.
    """

    command: tuple[str, ...]
    service: str
    port: int = 0
    service_id: str = ""
    upstreams: tuple[WorkloadUpstream, ...] = ()
    protocol: str = ""
    tags: tuple[str, ...] = ()
    user: str = ""
    exclude_inbound_ports: tuple[int, ...] = ()
    exclude_outbound_ports: tuple[int, ...] = ()
    exclude_outbound_cidrs: tuple[IpNetwork, ...] = ()
    exclude_uids: tuple[int, ...] = ()
    agent: AgentAddress = AgentAddress()
    xds_address: str = ""
    xds_ca_file: str = ""
    dns_address: str = ""
    domain: str = "consul"
    envoy_binary: str | None = None
    envoy_arguments: tuple[str, ...] = ()
    uplink: bool = True
    hosts: dict[str, str] = {}
    drain_s: float = 1.0
    runtime_directory: Path | None = None

    def __post_init__(self) -> None:
        if not self.command:
            raise InvalidSettingError("command", "", "a program to run, after --")
        if not self.service or self.service != self.service.strip():
            raise InvalidSettingError("service", self.service, "the service's name")
        if self.port:
            parse_port("port", self.port)
        if self.protocol and self.protocol not in PROTOCOLS:
            raise InvalidSettingError("protocol", self.protocol, f"one of {', '.join(PROTOCOLS)}")
        if self.dns_address:
            host, _, port = self.dns_address.rpartition(":")
            if not host:
                raise InvalidSettingError("DNS address", self.dns_address, "address:port")
            parse_port("DNS address", port)
        for upstream in self.upstreams:
            parse_port(f"upstream {upstream.name}", upstream.local_port)
            if upstream.local_port == self.port:
                raise InvalidSettingError(
                    f"upstream {upstream.name}", upstream.local_port, "a port other than the program's own"
                )


def parse_upstream(text: str) -> WorkloadUpstream:
    """Read `name:port` or `name:port:datacenter`. Raises InvalidSettingError."""
    name, *rest = text.split(":")
    if not name or len(rest) not in (1, 2):
        raise InvalidSettingError("upstream", text, "name:port or name:port:datacenter, such as api:9191")
    return WorkloadUpstream(name, parse_port("upstream", rest[0]), *rest[1:])


def service_name_of(command: str) -> str:
    """A service name for a program that was given none: its file's name, in the letters that DNS takes."""
    name = _NOT_IN_NAMES.sub("-", Path(command).stem.lower()).strip("-")
    return name or "workload"
