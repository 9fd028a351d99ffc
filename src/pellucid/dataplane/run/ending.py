"""How a run ends: by its program, by a signal, or by the loss of a part that it cannot do without.

Always in this order: deregister, so that nobody is sent here any more; let connections from outside end;
then the program; then Envoy, which carries the program's own connections to the last.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NamedTuple, Self, TypeVar

from pellucid.dataplane.namespace.workload_namespace import NamespaceProcess
from pellucid.dataplane.run.guarding import Guardian
from pellucid.dataplane.run.program import exit_code
from pellucid.dataplane.run.registration import WorkloadRegistration
from pellucid.dataplane.run.sidecar import WorkloadSidecar

T = TypeVar("T")

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
_KILL_PROGRAM_AFTER_S = 10.0


class GuardianLostError(Exception):
    """The guardian was killed, so nobody would clean up after us if we were, too."""


class StoppedEarlyError(Exception):
    """A signal came before the program was started."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} before the program was started")
        self.number = number


class StopSignals:
    """The signals that ask us to stop, in the order in which they come."""

    def __init__(self) -> None:
        self._came: asyncio.Queue[int] = asyncio.Queue()

    def __enter__(self) -> Self:
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._came.put_nowait, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    async def next(self) -> int:
        return await self._came.get()

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns. Raises StoppedEarlyError, the work cancelled, when a signal comes first."""
        working, asked = asyncio.ensure_future(work), asyncio.ensure_future(self.next())
        try:
            await asyncio.wait((working, asked), return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                raise StoppedEarlyError(asked.result())
            return working.result()
        finally:
            asked.cancel()
            working.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await working

    async def passed_on_to(self, program: NamespaceProcess) -> int:
        """The program's status at its end; every signal that comes until then is its to answer."""
        ended = asyncio.create_task(program.wait())
        while not ended.done():
            asked = asyncio.create_task(self.next())
            await asyncio.wait((ended, asked), return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and not _reached_program_already(asked.result()):
                await program.signal(asked.result())
            asked.cancel()
        return ended.result()


class Parts(NamedTuple):
    """What a program cannot do without while it runs."""

    sidecar: WorkloadSidecar
    registration: WorkloadRegistration
    guardian: Guardian


class Run:
    """A running program, until its end."""

    def __init__(self, program: NamespaceProcess, parts: Parts, stop: StopSignals, drain_s: float) -> None:
        self._program = program
        self._envoy = parts.sidecar.envoy
        self._registration = parts.registration
        self._guardian = parts.guardian
        self._stop = stop
        self._drain_s = drain_s

    async def until_end(self) -> int:
        """The program's exit code. Raises EnvoyFailedError, GuardianLostError, NamespaceGoneError."""
        program = asyncio.create_task(self._program.wait())
        envoy = asyncio.create_task(self._envoy.wait_gone())
        guardian = asyncio.create_task(self._guardian.wait_gone())
        asked = asyncio.create_task(self._stop.next())
        waits: tuple[asyncio.Task[Any], ...] = (program, envoy, guardian, asked)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if program.done():
                # Its own end explains the others'.
                return exit_code(program.result())
            if asked.done():
                return await self._stop_politely(asked.result())
            await self._end_program(signal.SIGTERM)
            if envoy.done():
                raise self._envoy.failure()
            raise GuardianLostError("the guardian process was killed; the run has been ended and cleaned up")
        finally:
            for task in waits:
                task.cancel()

    async def _stop_politely(self, number: int) -> int:
        await self._registration.withdraw()
        await self._envoy.drain(self._drain_s)
        return await self._end_program(None if _reached_program_already(number) else number)

    async def _end_program(self, number: int | None) -> int:
        """Its exit code; it is killed when it takes too long, or when we are asked to stop once more."""
        if number is not None:
            await self._program.signal(number)
        ended = asyncio.create_task(self._program.wait())
        impatient = asyncio.create_task(self._stop.next())
        await asyncio.wait(
            (ended, impatient), timeout=_KILL_PROGRAM_AFTER_S, return_when=asyncio.FIRST_COMPLETED
        )
        impatient.cancel()
        if not ended.done():
            await self._program.signal(signal.SIGKILL)
        return exit_code(await ended)


def _reached_program_already(number: int) -> bool:
    """The terminal sends its signals to everybody in the foreground, the program as well as us."""
    if number not in _FROM_KEYBOARD:
        return False
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
