"""Script checks: a command's exit code is the status.

0 is passing, 1 warning, anything else critical. The command runs in a process group of its own, which is
killed as a whole when it takes too long or the check is stopped. Its end counts, not that of children it left
behind.
Source: Consul 1.10 docs, "Checks", "Script".
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pellucid.health.output import Tail
from pellucid.health.probers.dialing import timeout_of
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckDefinition, CheckStatus
from pellucid.model.durations import SECOND, format_duration

DEFAULT_TIMEOUT_S = 30.0
READ_BYTES = 65536
MAX_LAST_READS = 64
"""How much is still read after the command's end, when a child keeps writing."""

_STATUS_OF_EXIT_CODE = {0: CheckStatus.PASSING, 1: CheckStatus.WARNING}


async def probe_script(definition: CheckDefinition) -> CheckResult:
    """Run `script_args` to its end or to the timeout."""
    output = Tail(definition.output_max_size)
    timeout_s = timeout_of(definition, DEFAULT_TIMEOUT_S)
    with _captured(output) as write_end:
        try:
            process = await _started(definition.script_args, write_end)
        except (OSError, ValueError) as error:
            return CheckResult(CheckStatus.CRITICAL, _start_failure(definition.script_args[0], error))
        finally:
            os.close(write_end)
        try:
            async with asyncio.timeout(timeout_s):
                exit_code = await process.wait()
        except TimeoutError:
            exit_code = None
        finally:
            await _end(process)
    if exit_code is None:
        return CheckResult(CheckStatus.CRITICAL, _timed_out(timeout_s, output), counts=False)
    return CheckResult(_STATUS_OF_EXIT_CODE.get(exit_code, CheckStatus.CRITICAL), output.captured_text)


async def _started(command: Sequence[str], write_end: int) -> asyncio.subprocess.Process:
    """Start a command in a group of its own.

    Cancelled half-way, asyncio would kill the command and leave what it has started; so it is started to the
    end and then killed with its group.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError, ValueError):
            await _end(await starting)
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a command that still runs, with its group, and await its end even while being cancelled."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(asyncio.ensure_future(process.wait()))


@contextmanager
def _captured(output: Tail) -> Iterator[int]:
    """A pipe's writing end, to be closed by the user; what is written to it goes to `output`."""
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)

    def read_some() -> bool:
        """Read what is there; False when nothing is, or when the end has come."""
        try:
            chunk = os.read(read_end, READ_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            loop.remove_reader(read_end)
        output.write(chunk)
        return bool(chunk)

    loop.add_reader(read_end, read_some)
    try:
        yield write_end
        for _ in range(MAX_LAST_READS):
            if not read_some():
                break
    finally:
        loop.remove_reader(read_end)
        os.close(read_end)


def _timed_out(timeout_s: float, output: Tail) -> str:
    message = f"Timed out ({format_duration(round(timeout_s * SECOND))}) running check"
    return f"{message}\n\n{output.captured_text}" if output.captured_text else message


def _start_failure(command: str, error: Exception) -> str:
    match error:
        case FileNotFoundError() if "/" not in command:
            return f'exec: "{command}": executable file not found in $PATH'
        case OSError() if error.errno:
            return f"fork/exec {command}: {os.strerror(error.errno).lower()}"
        case _:
            return f"fork/exec {command}: {error}"
