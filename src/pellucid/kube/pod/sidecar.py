"""One pod's sidecar from start to end: log in, start Envoy, say how it is, depart.

    waiting for the login --> Envoy starts --> serves --SIGTERM--> departs --> gone, 0
                                       |          |
                                       +----------+-- Envoy ends by itself --> gone, 1: the kubelet restarts

While the server is away, Envoy goes on with what it has; a sidecar that starts meanwhile waits and says so.
A server that has lost Envoy's credential is asked for another; Envoy serves until there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from functools import partial
from pathlib import Path

from pellucid.dataplane.envoy_admin import EnvoyAdmin
from pellucid.dataplane.envoy_binary import envoy_command, find_envoy
from pellucid.dataplane.envoy_bootstrap import build_bootstrap, render_bootstrap
from pellucid.dataplane.envoy_lifecycle import Phase
from pellucid.dataplane.envoy_process import (
    CommandLine,
    EnvoyFailedError,
    EnvoyProcess,
    LocalProcess,
    spawn_here,
)
from pellucid.dataplane.envoy_settings import DEFAULT_ADMIN_PORT
from pellucid.dataplane.namespace.listening import is_listening
from pellucid.dataplane.redirect_settings import DEFAULT_INBOUND_PORT
from pellucid.kube.pod.application import application_is_there
from pellucid.kube.pod.bootstrap import bootstrap_settings
from pellucid.kube.pod.completion import Completion
from pellucid.kube.pod.departure import depart
from pellucid.kube.pod.login import Registration, logged_in
from pellucid.kube.pod.merged_metrics import merged
from pellucid.kube.pod.probing import probed
from pellucid.kube.pod.settings import SidecarSettings
from pellucid.kube.pod.standing import is_refused, is_withdrawn
from pellucid.kube.pod.status_server import Answer, Page, serve
from pellucid.kube.pod.stream_watch import credential_is_lost
from pellucid.kube.pod.withdrawal import withdrawn
from pellucid.kube.probe_targets import WITHDRAWN_PATH

logger = logging.getLogger(__name__)

READY_WITHIN_SECONDS = 300.0
"""How long the first configuration may take: the server may go away right after the login."""
_WORKER_THREADS = "2"


class Sidecar:
    """The process beside one application."""

    def __init__(self, settings: SidecarSettings, envoy: Path | None = None) -> None:
        """Raises EnvoyMissingError."""
        self._settings = settings
        self._binary = envoy or find_envoy()
        self._admin = EnvoyAdmin(_dial_admin)
        self._envoy = self._new_envoy()
        self._envoy_process: int | None = None
        self._registration: Registration | None = None
        self._waits_for = "the login"
        self._completion = Completion(settings.completion_note)
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
            if self._settings.ends_after_seconds:
                stack.callback(asyncio.create_task(self._end_with_others()).cancel)
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.is_set():
                return await work
            work.cancel()
            await asyncio.wait((work,))
            logger.info("the pod ends")
            withdrawal = withdrawn(self._is_withdrawn)
            await depart(self._envoy, self._application_is_there, withdrawal, self._settings.drain_seconds)
            return 0

    async def _end_with_others(self) -> None:
        await self._completion.reached(self._settings.ends_after_seconds)
        logger.info("the pod's other containers have ended")
        self._stop.set()

    async def _work(self) -> int:
        """Keep an Envoy with a credential that the server knows; returns when Envoy has ended by itself."""
        registration = await self._logged_in()
        while True:
            try:
                await self._start_envoy(registration)
            except EnvoyFailedError as failure:
                _tell(failure)
                return 1
            another = asyncio.create_task(self._another_login(registration))
            gone = asyncio.create_task(self._envoy.wait_gone())
            try:
                await asyncio.wait((another, gone), return_when=asyncio.FIRST_COMPLETED)
            finally:
                another.cancel()
                gone.cancel()
            if gone.done():
                _tell(self._envoy.failure())
                return 1
            registration = another.result()
            await self._envoy.stop()
            self._envoy = self._new_envoy()

    async def _logged_in(self) -> Registration:
        registration = await logged_in(self._settings.server, self._settings.token_file, self._waiting)
        logger.info("logged in as %s", registration.sidecar.id)
        self._registration = registration
        return registration

    async def _another_login(self, registration: Registration) -> Registration:
        """As soon as the one that Envoy has is of no use any more."""
        await credential_is_lost(self._admin, partial(is_refused, self._settings.server, registration))
        logger.warning("the server does not take Envoy's credential any more; another one is asked for")
        return await self._logged_in()

    async def _start_envoy(self, registration: Registration) -> None:
        self._waits_for = "Envoy's first configuration"
        settings = bootstrap_settings(self._settings, registration)
        bootstrap = render_bootstrap(build_bootstrap(settings, os.environ))
        further = _with_workers(self._settings.envoy_arguments)
        await self._envoy.start(
            self._spawn,
            lambda config: envoy_command(self._binary, config, further),
            bootstrap,
            READY_WITHIN_SECONDS,
        )
        logger.info("Envoy serves")

    async def _spawn(self, command_line: CommandLine, config: int, output: int) -> LocalProcess:
        process = await spawn_here(command_line, config, output)
        self._envoy_process = process.pid
        return process

    def _application_is_there(self) -> bool:
        return application_is_there(lambda: (os.getpid(), self._envoy_process or os.getpid()))

    async def _serve_status(self) -> tuple[asyncio.Server, ...]:
        pages: dict[str, Page] = {
            "/ready": self._ready,
            "/healthz": self._alive,
            "/metrics": self._metrics,
            WITHDRAWN_PATH: self._withdrawn,
        }
        probes: dict[str, Page] = {each.asked_at: partial(probed, each) for each in self._settings.probes}
        status = await serve("", self._settings.status_port, pages | probes)
        if not self._settings.metrics.merged_port:
            return (status,)
        merged_port = self._settings.metrics.merged_port
        return status, await serve("127.0.0.1", merged_port, {"/stats/prometheus": self._metrics})

    async def _ready(self) -> Answer:
        if self._stop.is_set():
            return Answer(503, "the pod ends\n")
        if self._envoy.phase is not Phase.SERVING:
            return Answer(503, f"waiting for {self._waits_for}\n")
        if not await self._admin.is_live():
            return Answer(503, "Envoy does not say that it is ready\n")
        self._completion.let_others_come()
        return Answer(200, "ready\n")

    async def _withdrawn(self) -> Answer:
        """For the application's `preStop` hook: the pod is on its way out, and its callers learn that now."""
        await withdrawn(self._is_withdrawn)
        return Answer(200, "withdrawn\n")

    async def _is_withdrawn(self) -> bool | None:
        """A pod that has not logged in has no callers."""
        if self._registration is None:
            return True
        return await is_withdrawn(self._settings.server, self._registration)

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


def _tell(failure: EnvoyFailedError) -> None:
    """What Envoy wrote, then why it is gone: the end of the log is what `kubectl describe` shows."""
    reason, _, written = str(failure).partition("\n")
    logger.error("Envoy's last lines:\n%s", written)
    logger.error("%s", reason)


def _with_workers(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Envoy would start one for each of the node's processors; it refuses a flag that is given twice."""
    if any(argument.partition("=")[0] == "--concurrency" for argument in arguments):
        return arguments
    return ("--concurrency", _WORKER_THREADS, *arguments)


async def _dial_admin() -> socket.socket:
    dialling = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(dialling, ("127.0.0.1", DEFAULT_ADMIN_PORT))
    except BaseException:
        dialling.close()
        raise
    return dialling
