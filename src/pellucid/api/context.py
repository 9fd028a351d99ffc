"""What handlers can reach: the log, the engine, the agent's identity, and the edge's few actions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol

from pellucid.api.blocking import DEFAULT_WAIT_S, MAX_WAIT_S
from pellucid.api.callers import Tokens
from pellucid.derive.engine import Engine
from pellucid.identity.leaves import Leaf
from pellucid.model.checks import CheckStatus
from pellucid.rules.sidecar import SIDECAR_PORTS, SidecarPorts
from pellucid.state.log import Log
from pellucid.state.snapshot import Snapshot


@dataclass(frozen=True)
class AgentIdentity:
    """Who this agent is; the same for as long as the process lives."""

    node_name: str
    node_id: str = ""
    datacenter: str = "dc1"
    address: str = "127.0.0.1"
    version: str = "1.10.0"
    server_port: int = 8300
    serf_lan_port: int = 8301
    serf_wan_port: int = 8302
    xds_port: int = 8502
    """-1 when the xDS server does not run."""


@dataclass(frozen=True)
class HttpSettings:
    """The configuration that shapes answers.

    Source: Consul 1.10 docs, "Agent Configuration - http_config, ui_config, telemetry".
    """

    pretty: bool = False
    """Indent JSON without being asked to, as `-dev` agents do."""
    ui_path: str = ""
    """Where the web page is, such as `/ui/`; empty when there is none."""
    response_headers: Mapping[str, str] = field(default_factory=dict)
    block_endpoints: tuple[str, ...] = ()
    allow_write_from: tuple[IPv4Network | IPv6Network, ...] = ()
    """Empty: everybody may write."""
    default_policy: str = "allow"
    """What intentions come to when none matches, and the header that says so."""
    enable_script_checks: bool = False
    """True lets HTTP clients register checks that run programs."""
    sidecar_ports: SidecarPorts = SIDECAR_PORTS
    default_wait_s: float = DEFAULT_WAIT_S
    """How long a blocking query waits that does not say how long."""
    max_wait_s: float = MAX_WAIT_S
    """The longest that a blocking query may ask to wait."""
    prometheus_enabled: bool = False
    debug_configuration: Mapping[str, Any] = field(default_factory=dict)
    """`DebugConfig` of `agent/self`; secrets already hidden."""


class Metrics(Protocol):
    """The agent's own measurements."""

    def summary(self) -> Mapping[str, Any]:
        """`Timestamp`, `Gauges`, `Points`, `Counters`, `Samples`."""

    def exposition(self) -> bytes:
        """The same in Prometheus' text format."""


class TtlChecks(Protocol):
    """The checks that clients report themselves."""

    def reported(self, check_id: str, status: CheckStatus, output: str) -> None:
        """A client reported a result; the check's time to live begins anew."""


class _NoMetrics:
    def summary(self) -> Mapping[str, Any]:
        return {"Timestamp": "", "Gauges": [], "Points": [], "Counters": [], "Samples": []}

    def exposition(self) -> bytes:
        return b""


class _NoTtlChecks:
    def reported(self, check_id: str, status: CheckStatus, output: str) -> None:
        """No check runner is there to keep time."""


async def _nothing() -> None:
    """What an action that was not provided does."""


async def _no_lines(_level: str, _as_json: bool) -> AsyncIterator[bytes]:
    lines: tuple[bytes, ...] = ()
    for line in lines:
        yield line


@dataclass
class ApiContext:
    """Everything the handlers of one agent share. Belongs to the agent's event loop."""

    log: Log
    engine: Engine
    agent: AgentIdentity
    leaf_of: Callable[[str], Leaf]
    """The current leaf of a service, issued on first demand and put in its cell (`leaf_cell`).

    Raises ValueError with what keeps it from being issued.
    """
    now: Callable[[], float]
    """Unix seconds."""
    new_id: Callable[[], str]
    """A fresh UUID."""
    settings: HttpSettings = field(default_factory=HttpSettings)
    tokens: Tokens | None = None
    """Knows the callers that show a service account's token; None where nobody would."""
    metrics: Metrics = field(default_factory=_NoMetrics)
    ttl_checks: TtlChecks = field(default_factory=_NoTtlChecks)
    reload: Callable[[], Awaitable[None]] = _nothing
    leave: Callable[[], Awaitable[None]] = _nothing
    log_lines: Callable[[str, bool], AsyncIterator[bytes]] = _no_lines
    """Lines of the agent's log from a level on, as text or JSON, without end."""

    @property
    def datacenter(self) -> str:
        """The agent's datacenter."""
        return self.agent.datacenter

    @property
    def head(self) -> Snapshot:
        """The state that the next commit will change: what a write is decided on."""
        return self.log.head
