"""Where the agent's xDS and DNS are, as seen from the host: as asked for, else as the agent tells.

Source: Consul 1.10 command/connect/envoy, for xDS.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import msgspec

from pellucid.dataplane.envoy_settings import DEFAULT_XDS_PORT
from pellucid.dataplane.redirect_settings import InvalidSettingError
from pellucid.dataplane.run.agent_api import AgentAddress, call
from pellucid.dataplane.run.settings import WorkloadSettings

_DEFAULT_DNS_PORT = 8600


class XdsRoute(msgspec.Struct, frozen=True):
    """The control plane.

    address: host:port, or a unix socket's path; ca_pem: the authority of its certificate, if it is TLS.
    """

    address: str
    ca_pem: str | None = None


class AgentDoors(msgspec.Struct, frozen=True):
    """dns: `host:port`."""

    xds: XdsRoute
    dns: str


def agent_doors(settings: WorkloadSettings) -> AgentDoors:
    """Ask the agent for what the settings leave open. Raises AgentError, InvalidSettingError."""
    told: dict[str, Any] = call(settings.agent, "GET", "/v1/agent/self").json()
    host = _host(settings.agent)
    return AgentDoors(
        xds=_xds_route(settings, settings.xds_address or _told_xds(told, host)),
        dns=settings.dns_address or _told_dns(told, host),
    )


def _xds_route(settings: WorkloadSettings, address: str) -> XdsRoute:
    if address.startswith("unix://"):
        return XdsRoute(address.removeprefix("unix://"))
    if address.startswith("https://"):
        return XdsRoute(address.removeprefix("https://"), _ca_pem(settings.xds_ca_file))
    return XdsRoute(address.removeprefix("http://"))


def _host(agent: AgentAddress) -> str:
    return "127.0.0.1" if agent.scheme == "unix" else agent.address.rpartition(":")[0]


def _told_xds(told: dict[str, Any], host: str) -> str:
    port = (told.get("xDS") or {}).get("Port") or (told.get("DebugConfig") or {}).get("GRPCPort")
    return f"{host}:{port if port and port > 0 else DEFAULT_XDS_PORT}"


def _told_dns(told: dict[str, Any], host: str) -> str:
    """The DNS for programs in the mesh; the usual port of an agent that tells of none."""
    address: str = (told.get("DebugConfig") or {}).get("MeshDNSAddress") or f"{host}:{_DEFAULT_DNS_PORT}"
    listening, _, port = address.rpartition(":")
    anywhere = ipaddress.ip_address(listening.strip("[]")).is_unspecified if listening != host else False
    return f"{host}:{port}" if anywhere else address


def _ca_pem(path: str) -> str:
    if not path:
        raise InvalidSettingError("xds CA file", path, "the CA certificate of the https:// xDS address")
    try:
        return Path(path).read_text()
    except OSError as problem:
        raise InvalidSettingError(
            "xds CA file", path, f"a file that can be read ({problem.strerror})"
        ) from None
