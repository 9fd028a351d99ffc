"""Runs one Envoy: does what `envoy_lifecycle` says, and tells it what happens.

The bootstrap holds the workload's credential. It reaches Envoy as an anonymous file in memory, inherited as
a descriptor: it is in no argument list and no directory. What Envoy writes is kept, its newest lines, and
shown only when it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from pellucid.dataplane import envoy_lifecycle as lifecycle
from pellucid.dataplane.envoy_admin import AdminError, EnvoyAdmin
from pellucid.dataplane.envoy_lifecycle import Command, EnvoyLife, Event, Phase
from pellucid.dataplane.namespace.syscalls import die_with_parent

_LOG_LINES_KEPT = 50
_LONGEST_LOG_LINE = 4096
_POLL_S, _LONGEST_POLL_S = 0.02, 0.5
_POLLS_PER_TIME_WAITED = 8

CommandLine = Callable[[str], Sequence[str]]
"""Envoy's command line, given the path of its configuration."""


class RunningProcess(Protocol):
    """A process that somebody started for us."""

    async def wait(self) -> int:
        """The exit code, negative for a signal."""

    async def signal(self, number: int) -> None:
        """Harmless when it has ended."""


class Spawn(Protocol):
    """Starts a program, apart from any terminal.

    config: descriptor of its configuration, which the spawner names to `command_line` by a path that the
    new process can open; output: descriptor for what it writes. Raises OSError.
    """

    async def __call__(self, command_line: CommandLine, config: int, output: int) -> RunningProcess: ...


class EnvoyFailedError(Exception):
    """Envoy ended without being asked to, or never got ready; with its last words."""


class EnvoyProcess:
    """One Envoy, from start to end.

    listens: whether the inbound listener is there; asked only of an Envoy that says it is ready, since the
    kernel looks through its whole table of connections for an answer.
    """

    def __init__(self, admin: EnvoyAdmin, listens: Callable[[], bool], inbound_port: int) -> None:
        self._admin = admin
        self._listens = listens
        self._inbound_port = inbound_port
        self._life = EnvoyLife(Phase.GONE)
        self._process: RunningProcess | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving = asyncio.Event()
        self._drained = asyncio.Event()
        self._gone = asyncio.Event()
        self._log: deque[str] = deque(maxlen=_LOG_LINES_KEPT)

    @property
    def phase(self) -> Phase:
        return self._life.phase

    async def start(
        self,
        spawn: Spawn,
        command_line: CommandLine,
        bootstrap: str,
        ready_within_s: float = lifecycle.READY_WITHIN_S,
    ) -> None:
        """Spawn Envoy and wait until it serves. Raises EnvoyFailedError, OSError."""
        log_read, log_write = os.pipe2(os.O_CLOEXEC)
        config = _in_memory(bootstrap)
        try:
            self._process = await spawn(command_line, config, log_write)
        finally:
            os.close(log_write)
            os.close(config)
        self._life = lifecycle.started(_now(), ready_within_s)
        self._arm_timer()
        self._run(self._read_log(log_read))
        self._run(self._watch_exit(self._process))
        self._run(self._watch_readiness())
        await first_of(self._serving.wait(), self._gone.wait())
        if self._gone.is_set():
            raise self.failure()

    async def wait_gone(self) -> None:
        await self._gone.wait()

    async def drain(self, within_s: float) -> None:
        """Take no new connections from outside; returns when the open ones have ended, or at that time."""
        await self._happen(lifecycle.Drain(within_s))
        if self.phase is Phase.DRAINING:
            await first_of(self._drained.wait(), self._gone.wait())

    async def stop(self) -> None:
        """End Envoy; returns when it is gone."""
        if self._process is not None:
            await self._happen(lifecycle.Stop())
            await self._gone.wait()

    def failure(self) -> EnvoyFailedError:
        """Why it is gone, with the last lines it wrote."""
        return EnvoyFailedError("\n".join((self._life.failure or "Envoy has ended", *self._log)))

    async def _happen(self, event: Event) -> None:
        self._life, commands = lifecycle.step(self._life, event, _now())
        self._arm_timer()
        for command in commands:
            await self._do(command)

    async def _do(self, command: Command) -> None:
        assert self._process is not None
        match command:
            case Command.ANNOUNCE:
                self._serving.set()
            case Command.DRAIN:
                self._run(self._drain())
            case Command.ANNOUNCE_DRAINED:
                self._drained.set()
            case Command.TERMINATE:
                await self._process.signal(signal.SIGTERM)
            case Command.KILL:
                await self._process.signal(signal.SIGKILL)
            case Command.REPORT:
                self._gone.set()

    async def _watch_exit(self, process: RunningProcess) -> None:
        await self._happen(lifecycle.Exited(await process.wait()))

    async def _watch_readiness(self) -> None:
        """Look ever less often: where many Envoys start at once, looking takes from what they wait for."""
        began = _now()
        while self.phase is Phase.STARTING:
            if await self._admin.is_ready() and self._listens():
                await self._happen(lifecycle.Ready())
            else:
                pause = (_now() - began) / _POLLS_PER_TIME_WAITED
                await asyncio.sleep(min(max(pause, _POLL_S), _LONGEST_POLL_S))

    async def _drain(self) -> None:
        # An admin interface that does not answer has nothing to be waited for.
        with contextlib.suppress(AdminError):
            await self._admin.drain_inbound()
            while await self._admin.inbound_connections(self._inbound_port):
                await asyncio.sleep(_POLL_S)
                if self.phase is not Phase.DRAINING:
                    return
        await self._happen(lifecycle.Drained())

    async def _read_log(self, fd: int) -> None:
        reader = asyncio.StreamReader(limit=_LONGEST_LOG_LINE)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0)
        )
        with contextlib.closing(transport):
            while chunk := await reader.read(_LONGEST_LOG_LINE):
                self._log.extend(chunk.decode(errors="replace").splitlines())

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._life.deadline is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._life.deadline, lambda: self._run(self._happen(lifecycle.Tick())))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class LocalProcess:
    """A process in our own namespaces; it dies with us."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        return await self._process.wait()

    async def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


async def spawn_here(command_line: CommandLine, config: int, output: int) -> LocalProcess:
    """Start a program in our own namespaces. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        *command_line(f"/dev/fd/{config}"),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[config],
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    return LocalProcess(process)


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Until one of them is over; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _in_memory(text: str) -> int:
    """A file that only its descriptor leads to, at its beginning."""
    fd = os.memfd_create("envoy-bootstrap")
    with os.fdopen(os.dup(fd), "w") as file:
        file.write(text)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _now() -> float:
    return asyncio.get_running_loop().time()
