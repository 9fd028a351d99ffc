"""One pod's sidecar from start to end: log in, start Envoy, say how it is, drain, stop.

    waiting for the login --> Envoy starts --> serves --SIGTERM--> drains --> gone, 0
                                       |          |
                                       +----------+-- Envoy ends by itself --> gone, 1: the kubelet restarts

While the server is away, Envoy goes on with what it has; a sidecar that starts meanwhile waits and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from pathlib import Path

from pellucid.dataplane.envoy_admin import AdminError, EnvoyAdmin
from pellucid.dataplane.envoy_binary import envoy_command, envoy_version, find_envoy
from pellucid.dataplane.envoy_bootstrap import build_bootstrap, render_bootstrap
from pellucid.dataplane.envoy_lifecycle import Phase
from pellucid.dataplane.envoy_process import EnvoyFailedError, EnvoyProcess, spawn_here
from pellucid.dataplane.envoy_settings import (
    DEFAULT_ADMIN_PORT,
    BootstrapConfig,
    BootstrapSettings,
    NamedAddress,
    XdsServer,
)
from pellucid.dataplane.namespace.listening import is_listening
from pellucid.dataplane.redirect_settings import DEFAULT_INBOUND_PORT
from pellucid.kube.pod.login import Registration, logged_in
from pellucid.kube.pod.merged_metrics import merged
from pellucid.kube.pod.settings import SidecarSettings
from pellucid.kube.pod.status_server import Answer, serve

logger = logging.getLogger(__name__)

READY_WITHIN_SECONDS = 300.0
"""How long the first configuration may take: the server may go away right after the login."""
LOOK_SECONDS = 10.0
LOST_SECONDS = 30.0
"""A server that answers but gives Envoy no stream for so long does not know Envoy's credential."""
_WORKER_THREADS = "2"


class Sidecar:
    """The process beside one application."""

    def __init__(self, settings: SidecarSettings, envoy: Path | None = None) -> None:
        """Raises EnvoyMissingError."""
        self._settings = settings
        self._binary = envoy or find_envoy()
        self._admin = EnvoyAdmin(_dial_admin)
        self._envoy = self._new_envoy()
        self._waits_for = "the login"
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Until told to stop, or Envoy ends; the exit code. Raises OSError when a port is taken."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with contextlib.AsyncExitStack() as stack:
            for server in await self._serve_status():
                stack.callback(server.close)
            work = asyncio.create_task(self._work())
            stop = asyncio.create_task(self._stop.wait())
            stack.callback(stop.cancel)
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.is_set():
                return await work
            work.cancel()
            await self._end()
            return 0

    async def _work(self) -> int:
        """Log in and keep an Envoy with the credential; returns when Envoy has ended by itself."""
        while True:
            registration = await logged_in(self._settings.server, self._settings.token_file, self._waiting)
            logger.info("logged in as %s", registration.sidecar.id)
            try:
                await self._start_envoy(registration)
            except EnvoyFailedError as failure:
                logger.error("%s", failure)
                return 1
            if not await self._watched():
                logger.error("%s", self._envoy.failure())
                return 1
            logger.warning("the server does not know Envoy's credential any more; Envoy is started anew")
            await self._end()
            self._envoy = self._new_envoy()

    async def _start_envoy(self, registration: Registration) -> None:
        self._waits_for = "Envoy's first configuration"
        settings = self._bootstrap_settings(registration)
        bootstrap = render_bootstrap(build_bootstrap(settings, os.environ))
        further = ("--concurrency", _WORKER_THREADS, *self._settings.envoy_arguments)
        await self._envoy.start(
            spawn_here,
            lambda config: envoy_command(self._binary, config, further),
            bootstrap,
            READY_WITHIN_SECONDS,
        )
        logger.info("Envoy serves")

    def _bootstrap_settings(self, registration: Registration) -> BootstrapSettings:
        server, metrics = self._settings.server, self._settings.metrics
        return BootstrapSettings(
            proxy_id=registration.sidecar.id,
            proxy_cluster=registration.service,
            proxy_source_service=registration.service,
            xds=XdsServer(
                NamedAddress(server.xds_host, server.xds_port), server.authority_pem, server.xds_host
            ),
            envoy_version=envoy_version(self._binary),
            token=registration.sidecar.credential,
            prometheus_backend_port=metrics.merged_port or None,
            prometheus_scrape_path=metrics.scrape_path,
            config=BootstrapConfig(envoy_prometheus_bind_addr=metrics.bind_address),
        )

    async def _watched(self) -> bool:
        """Watch a serving Envoy: False when it has ended, True when its credential is not known any more."""
        gone = asyncio.create_task(self._envoy.wait_gone())
        lost = 0.0
        try:
            while True:
                await asyncio.wait((gone,), timeout=LOOK_SECONDS)
                if gone.done():
                    return False
                lost = 0.0 if await self._has_stream() else lost + LOOK_SECONDS
                if lost >= LOST_SECONDS and await self._server_answers():
                    return True
        finally:
            gone.cancel()

    async def _has_stream(self) -> bool:
        try:
            _, said = await self._admin.request("GET", "/stats?filter=^control_plane.connected_state$")
        except AdminError:
            return True
        return said.strip().endswith(": 1")

    async def _server_answers(self) -> bool:
        server = self._settings.server
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                _, writer = await asyncio.open_connection(server.xds_host, server.xds_port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def _end(self) -> None:
        """Let connections from outside end by themselves for a while, then end Envoy."""
        if self._envoy.phase is Phase.SERVING:
            await self._envoy.drain(self._settings.drain_seconds)
        if self._envoy.phase is not Phase.GONE:
            await self._envoy.stop()

    async def _serve_status(self) -> tuple[asyncio.Server, ...]:
        pages = {"/ready": self._ready, "/healthz": self._alive, "/metrics": self._metrics}
        status = await serve("", self._settings.status_port, pages)
        if not self._settings.metrics.merged_port:
            return (status,)
        merged_pages = {"/stats/prometheus": self._metrics}
        return status, await serve("127.0.0.1", self._settings.metrics.merged_port, merged_pages)

    async def _ready(self) -> Answer:
        if self._envoy.phase is Phase.SERVING:
            return Answer(200, "ready\n")
        if self._envoy.phase in (Phase.DRAINING, Phase.DRAINED, Phase.STOPPING):
            return Answer(503, "the pod is ending\n")
        return Answer(503, f"waiting for {self._waits_for}\n")

    async def _alive(self) -> Answer:
        return Answer(200, "alive\n")

    async def _metrics(self) -> Answer:
        return Answer(200, await merged(self._admin, self._settings.metrics))

    def _waiting(self, reason: str) -> None:
        self._waits_for = f"the login: {reason}"
        logger.warning("pod %s waits: %s", self._settings.pod, reason)

    def _new_envoy(self) -> EnvoyProcess:
        own = os.getpid()
        return EnvoyProcess(
            self._admin, lambda: is_listening(own, DEFAULT_INBOUND_PORT), DEFAULT_INBOUND_PORT
        )


async def _dial_admin() -> socket.socket:
    dialling = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(dialling, ("127.0.0.1", DEFAULT_ADMIN_PORT))
    except BaseException:
        dialling.close()
        raise
    return dialling
