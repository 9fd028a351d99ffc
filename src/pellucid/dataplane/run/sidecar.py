"""The Envoy of one workload: its bootstrap, its way to the control plane, its life in the namespace."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from pellucid.dataplane.envoy_admin import EnvoyAdmin
from pellucid.dataplane.envoy_binary import envoy_command, envoy_version
from pellucid.dataplane.envoy_bootstrap import build_bootstrap, render_bootstrap
from pellucid.dataplane.envoy_lifecycle import Phase
from pellucid.dataplane.envoy_process import CommandLine, EnvoyProcess, RunningProcess
from pellucid.dataplane.envoy_settings import (
    DEFAULT_ADMIN_PORT,
    DEFAULT_XDS_PORT,
    BootstrapSettings,
    UnixAddress,
    XdsServer,
)
from pellucid.dataplane.namespace.listening import is_listening
from pellucid.dataplane.namespace.protocol import FIRST_PASSED_FD, Credentials, Spawn
from pellucid.dataplane.namespace.relay import only_for_user, relay, to_address
from pellucid.dataplane.namespace.workload_namespace import WorkloadNamespace
from pellucid.dataplane.redirect_settings import InvalidSettingError
from pellucid.dataplane.run.agent_api import AgentAddress, call
from pellucid.dataplane.run.settings import INBOUND_PORT, PROXY_MARK, PROXY_UID, WorkloadSettings

_XDS_SOCKET = "pellucid-xds"
_WORKER_THREADS = 2


class XdsRoute(msgspec.Struct, frozen=True):
    """Where the control plane listens, as seen from the host.

    address: host:port, or a unix socket's path; ca_pem: the authority of its certificate, if it is TLS.
    """

    address: str
    ca_pem: str | None = None


def xds_route(settings: WorkloadSettings) -> XdsRoute:
    """The way asked for, or the one that the agent tells of. Raises AgentError, InvalidSettingError."""
    asked = settings.xds_address or _told_by(settings.agent)
    if asked.startswith("unix://"):
        return XdsRoute(asked.removeprefix("unix://"))
    if asked.startswith("https://"):
        return XdsRoute(asked.removeprefix("https://"), _ca_pem(settings.xds_ca_file))
    return XdsRoute(asked.removeprefix("http://"))


class WorkloadSidecar:
    """Envoy in a workload's namespace, with the privileges of its own user (or, rootless, of its mark)."""

    def __init__(
        self,
        namespace: WorkloadNamespace,
        settings: WorkloadSettings,
        proxy_id: str,
        binary: Path,
        *,
        rootless: bool,
    ) -> None:
        self._namespace = namespace
        self._settings = settings
        self._proxy_id = proxy_id
        self._binary = binary
        self._rootless = rootless
        pid = namespace.pid
        self.envoy = EnvoyProcess(
            EnvoyAdmin(lambda: namespace.dial(DEFAULT_ADMIN_PORT)),
            lambda: is_listening(pid, INBOUND_PORT),
            INBOUND_PORT,
        )

    @property
    def is_serving(self) -> bool:
        return self.envoy.phase is Phase.SERVING

    @asynccontextmanager
    async def way_to_agent(self, route: XdsRoute) -> AsyncIterator[None]:
        """A socket inside, without a file and for Envoy only, that leads to the control plane."""
        listener = await self._namespace.listen("abstract", _XDS_SOCKET)
        onward = to_address(route.address)
        # Rootless, program and proxy are the same user, and as good as each other.
        server = await relay(listener, onward if self._rootless else only_for_user(PROXY_UID, onward))
        try:
            yield
        finally:
            server.close()

    async def start(self, route: XdsRoute, credential: str) -> None:
        """Returns when Envoy serves. Raises EnvoyFailedError, NamespaceError, OSError."""
        bootstrap = render_bootstrap(build_bootstrap(self._bootstrap_settings(route, credential), os.environ))
        quiet = ("-l", "warning", "--concurrency", str(_WORKER_THREADS))
        await self.envoy.start(
            self._spawn,
            lambda config_path: envoy_command(
                self._binary, config_path, (*quiet, *self._settings.envoy_arguments)
            ),
            bootstrap,
        )

    def _bootstrap_settings(self, route: XdsRoute, credential: str) -> BootstrapSettings:
        return BootstrapSettings(
            proxy_id=self._proxy_id,
            proxy_cluster=self._settings.service,
            proxy_source_service=self._settings.service,
            xds=XdsServer(UnixAddress(f"@{_XDS_SOCKET}"), route.ca_pem),
            envoy_version=envoy_version(self._binary),
            token=credential or self._settings.agent.token,
            proxy_mark=PROXY_MARK if self._rootless else None,
        )

    async def _spawn(self, command_line: CommandLine, config: int, output: int) -> RunningProcess:
        # Opened here: Envoy's own user may not get to where the file is.
        binary = os.open(self._binary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            request = Spawn(
                arguments=tuple(command_line(f"/dev/fd/{FIRST_PASSED_FD + 1}")),
                environment={},
                directory="/",
                executable=f"/proc/self/fd/{FIRST_PASSED_FD + 2}",
                credentials=None if self._rootless else Credentials(PROXY_UID, PROXY_UID),
                background=True,
            )
            return await self._namespace.spawn(request, (output, config, binary))
        finally:
            os.close(binary)


def _told_by(agent: AgentAddress) -> str:
    """The agent's xDS address, from what it tells of itself. Source: Consul 1.10 command/connect/envoy."""
    told: dict[str, Any] = call(agent, "GET", "/v1/agent/self").json()
    port = (told.get("xDS") or {}).get("Port") or (told.get("DebugConfig") or {}).get("GRPCPort")
    host = "127.0.0.1" if agent.scheme == "unix" else agent.address.rpartition(":")[0]
    return f"{host}:{port if port and port > 0 else DEFAULT_XDS_PORT}"


def _ca_pem(path: str) -> str:
    if not path:
        raise InvalidSettingError("xds CA file", path, "the CA certificate of the https:// xDS address")
    try:
        return Path(path).read_text()
    except OSError as problem:
        raise InvalidSettingError(
            "xds CA file", path, f"a file that can be read ({problem.strerror})"
        ) from None
