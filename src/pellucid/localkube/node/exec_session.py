"""A command that runs in a container, with its streams."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import shutil
import signal
import struct
import tempfile
import termios
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

from pellucid.localkube.node.runtime_errors import ContainerFailed, runtime_words

_BURIED_S = 2.0


class ExecSession:
    """A started command. Read `stdout` (and `stderr`, None with a terminal) to their ends, then `wait`."""

    def __init__(self, process: Process, stdout: asyncio.StreamReader, terminal: int, folder: Path) -> None:
        self._process = process
        self._terminal = terminal
        self._folder = folder
        self.stdout = stdout
        self.stderr: asyncio.StreamReader | None = process.stderr
        self._ending = asyncio.ensure_future(self._end())

    async def write(self, content: bytes) -> None:
        """To its standard input; dropped once it ended."""
        with contextlib.suppress(OSError):
            if self._terminal >= 0:
                await asyncio.to_thread(_write_all, self._terminal, content)
            elif self._process.stdin is not None:
                self._process.stdin.write(content)
                await self._process.stdin.drain()

    def close_input(self) -> None:
        """No more standard input; at a terminal that is the end-of-file character."""
        with contextlib.suppress(OSError):
            if self._terminal >= 0:
                os.write(self._terminal, b"\x04")
            elif self._process.stdin is not None:
                self._process.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        """Of the terminal; nothing without one."""
        if self._terminal >= 0 and columns and rows:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def wait(self) -> int:
        """The exit code. Raises ContainerFailed if the command could not be started."""
        code, failure = await asyncio.shield(self._ending)
        if failure:
            raise ContainerFailed(failure, 126)
        return code

    def close(self) -> None:
        """The client is gone: hang up on the command."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)
        self.close_input()

    async def kill(self) -> None:
        """End the command at once. Its runtime ends with it, having buried it, or is ended a little later."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self._folder / "pid").read_text()), signal.SIGKILL)
        with contextlib.suppress(ContainerFailed):
            try:
                await asyncio.wait_for(self.wait(), _BURIED_S)
            except TimeoutError:
                self._process.kill()
                await self.wait()

    async def _end(self) -> tuple[int, str]:
        """The exit code, and why the command did not start. Nothing is left, whether anybody waits or not."""
        code = await self._process.wait()
        errors = self._folder / "log"
        failed = code == 255 and errors.exists() and errors.stat().st_size > 0
        failure = runtime_words(errors, "exec", code) if failed else ""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
        return code, failure


async def open_exec(
    runtime: Sequence[str], id: str, command: Sequence[str], *, stdin: bool, tty: bool
) -> ExecSession:
    """`runtime` is the runtime's program and global options."""
    folder = Path(tempfile.mkdtemp(prefix="exec-"))
    prefix = [*runtime, "--log", str(folder / "log"), "--log-format", "json", "exec"]
    prefix += ["--pid-file", str(folder / "pid")]
    if not tty:
        process = await asyncio.create_subprocess_exec(
            *prefix, id, *command, stdin=PIPE if stdin else DEVNULL, stdout=PIPE, stderr=PIPE
        )
        assert process.stdout is not None
        return ExecSession(process, process.stdout, -1, folder)
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            "setsid", "--ctty", "--wait", *prefix, "--tty", id, *command,
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
    finally:
        os.close(theirs)
    return ExecSession(process, await _reader(os.dup(ours)), ours, folder)


async def _reader(descriptor: int) -> asyncio.StreamReader:
    os.set_blocking(descriptor, False)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: _TerminalProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    return reader


class _TerminalProtocol(asyncio.StreamReaderProtocol):
    """A terminal whose last user left reports an input/output error: that is its end of file."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(None if isinstance(exc, OSError) else exc)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except BlockingIOError:
            return
