"""The Envoy of one workload: its bootstrap, its way to the control plane, its life in the namespace."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pellucid.dataplane.envoy_admin import EnvoyAdmin
from pellucid.dataplane.envoy_binary import envoy_command, envoy_version
from pellucid.dataplane.envoy_bootstrap import build_bootstrap, render_bootstrap
from pellucid.dataplane.envoy_lifecycle import Phase
from pellucid.dataplane.envoy_process import CommandLine, EnvoyProcess, RunningProcess
from pellucid.dataplane.envoy_settings import (
    DEFAULT_ADMIN_PORT,
    BootstrapSettings,
    UnixAddress,
    XdsServer,
)
from pellucid.dataplane.namespace.listening import is_listening
from pellucid.dataplane.namespace.protocol import FIRST_PASSED_FD, Credentials, Spawn
from pellucid.dataplane.namespace.relay import only_for_user, relay, to_address
from pellucid.dataplane.namespace.workload_namespace import WorkloadNamespace
from pellucid.dataplane.run.agent_doors import XdsRoute
from pellucid.dataplane.run.settings import INBOUND_PORT, PROXY_MARK, PROXY_UID, WorkloadSettings

_XDS_SOCKET = "pellucid-xds"
_WORKER_THREADS = 2


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
            service_tags=False,  # Nothing collects counters in a namespace of its own.
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
