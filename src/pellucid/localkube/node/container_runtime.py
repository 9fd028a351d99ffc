"""Containers, by `runc`: started detached with this process as their reaper, so none costs a process more.

Nothing is mounted on the machine itself: every mount is made in the container's own mount namespace. What
outlives a crash of this process (containers, their cgroups and folders) is removed at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from pellucid.localkube.node.cgroups import ended_for_memory, kill_members, remove_cgroup
from pellucid.localkube.node.exec_session import ExecSession, open_exec
from pellucid.localkube.node.log_file import LogWriter
from pellucid.localkube.node.oci_config import ContainerSettings, capabilities_of, image_layers, oci_config
from pellucid.localkube.node.orphans import reap_orphans
from pellucid.localkube.node.runtime_errors import ContainerFailed, runtime_words
from pellucid.localkube.node.sandbox import Sandbox

_PR_SET_CHILD_SUBREAPER = 36
_DRAIN_S = 2.0
_STARTS_AT_ONCE = 4
_START_S, _CALL_S = 60.0, 20.0
_END_LOOKS, _END_LOOK_S = 40, 0.25
_REMOVAL_ATTEMPTS, _REMOVAL_PAUSE_S = 40, 0.05
_log = structlog.get_logger(__name__)


class ContainerExit(msgspec.Struct, frozen=True):
    """How a container ended. `code` is 128 + signal for one ended by a signal."""

    code: int
    signal: int
    started_at: datetime
    finished_at: datetime
    out_of_memory: bool = False


class Container:
    """A container that was started."""

    def __init__(self, id: str, pid: int, directory: Path, log: LogWriter, started_at: datetime) -> None:
        self.id = id
        self.pid = pid
        self.directory = directory
        self.log = log
        self.started_at = started_at
        self.exit: asyncio.Future[ContainerExit] = asyncio.get_running_loop().create_future()
        self.listeners: set[Callable[[str, bytes], None]] = set()
        """Called with `stdout` or `stderr` and what the container wrote there."""
        self.own_processes = True
        """Whether all its processes end with its first, being in a process namespace of their own."""
        self.input: int = -1
        """The descriptor of its standard input or terminal; -1 if it has none."""

    def signal(self, number: int) -> None:
        """To its first process; harmless once it ended."""
        if not self.exit.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ContainerRuntime:
    """Starts, enters and removes containers, all under the cgroup `name` and with files in `directory`."""

    def __init__(
        self, directory: Path, name: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._directory = directory
        self._name = name
        self._now = now
        self._available = _own_capabilities()
        self._starts = asyncio.Semaphore(_STARTS_AT_ONCE)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        remove_leftovers(directory, name)
        (directory / "runc").mkdir(parents=True, exist_ok=True)

    async def start(
        self, id: str, settings: ContainerSettings, sandbox: Sandbox, log_path: Path
    ) -> Container:
        """Raises ContainerFailed with the runtime's words."""
        directory = self._directory / "containers" / id
        config = oci_config(settings, directory, sandbox.namespaces(), f"/{self._name}/{id}", self._available)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log = LogWriter(log_path, self._now)
        try:
            await asyncio.to_thread(_lay_out, settings, directory)
            (directory / "config.json").write_bytes(msgspec.json.encode(config))
            async with self._starts:
                container = await self._run_to_its_end(id, settings, directory, log)
        except BaseException:
            log.close()
            await self._delete(id)
            shutil.rmtree(directory, ignore_errors=True)
            raise
        container.own_processes = not sandbox.shares_processes
        return container

    async def exec(
        self, container: Container, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> ExecSession:
        """Run a command in a running container. Raises ContainerFailed."""
        if container.exit.done():
            raise ContainerFailed(f"cannot exec in a stopped container {container.id}", 126)
        return await open_exec(self._command(), container.id, command, stdin=stdin, tty=tty)

    async def kill(self, container: Container) -> None:
        """End it at once and wait for its end, but no longer than the kernel could reasonably take."""
        if container.exit.done():
            return
        container.signal(signal.SIGKILL)
        if not container.own_processes:
            await self._call("kill", "--all", container.id, "KILL")
        ended: frozenset[int] = frozenset()
        for _ in range(_END_LOOKS):
            done, _ = await asyncio.wait([container.exit], timeout=_END_LOOK_S)
            if done:
                return
            # Process 1 of a namespace ends only when all its dead are buried, and some may be orphans.
            ended = reap_orphans(ended)
        _log.error("a killed container has not ended", container=container.id, pid=container.pid)

    async def remove(self, container: Container) -> None:
        """After it ended: its files and cgroup. Its log stays."""
        await self._delete(container.id)
        if container.input >= 0:
            with contextlib.suppress(OSError):
                os.close(container.input)
            container.input = -1
        await asyncio.to_thread(shutil.rmtree, container.directory, True)

    def close(self) -> None:
        """After all containers were removed: what they shared."""
        remove_leftovers(self._directory, self._name)

    def _command(self, *options: str) -> list[str]:
        return ["runc", "--root", str(self._directory / "runc"), *options]

    async def _call(self, *arguments: str) -> int:
        process = await asyncio.create_subprocess_exec(
            *self._command(), *arguments, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        return await _wait_bounded(process, _CALL_S)

    async def _delete(self, id: str) -> None:
        """Also what the runtime itself, ended in the middle of a start, would not recognize."""
        state, cgroup = self._directory / "runc" / id, f"{self._name}/{id}"
        if state.exists():
            await self._call("delete", "--force", id)
            shutil.rmtree(state, ignore_errors=True)
        for _ in range(_REMOVAL_ATTEMPTS):
            if remove_cgroup(cgroup):
                return
            kill_members(cgroup)
            await asyncio.sleep(_REMOVAL_PAUSE_S)

    async def _run_to_its_end(
        self, id: str, settings: ContainerSettings, directory: Path, log: LogWriter
    ) -> Container:
        """Cancelled, it still waits for the runtime: half a start could not be undone."""
        starting = asyncio.ensure_future(self._run(id, settings, directory, log))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is None:
                await self.kill(starting.result())
            raise

    async def _run(self, id: str, settings: ContainerSettings, directory: Path, log: LogWriter) -> Container:
        streams = _TerminalStreams() if settings.terminal else _PipeStreams(settings.stdin)
        errors = directory / "runtime.log"
        command = self._command("--log", str(errors), "--log-format", "json")
        command += ["run", "--detach", "--bundle", str(directory), "--pid-file", str(directory / "pid")]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                *streams.options,
                id,
                stdin=streams.stdin,
                stdout=streams.stdout,
                stderr=streams.stderr,
            )
            code = await _wait_bounded(process, _START_S)
        finally:
            streams.started()
        if code != 0:
            streams.abandon()
            raise ContainerFailed(runtime_words(errors, "create", code), 128)
        pid = int((directory / "pid").read_text())
        container = Container(id, pid, directory, log, self._now())
        drained = await streams.connect(container)
        _watch_exit(container, lambda status: self._ended(container, status, drained))
        return container

    def _ended(self, container: Container, status: tuple[int, int], drained: asyncio.Future[None]) -> None:
        task = asyncio.ensure_future(self._settle(container, status, drained))
        _settling.add(task)
        task.add_done_callback(_settling.discard)

    async def _settle(
        self, container: Container, status: tuple[int, int], drained: asyncio.Future[None]
    ) -> None:
        finished = self._now()
        await asyncio.wait([drained], timeout=_DRAIN_S)
        container.log.close()
        code, number = status
        killed_for_memory = code != 0 and ended_for_memory(f"{self._name}/{container.id}")
        container.exit.set_result(
            ContainerExit(code, number, container.started_at, finished, killed_for_memory)
        )


_settling: set[asyncio.Future[None]] = set()


async def _wait_bounded(process: asyncio.subprocess.Process, seconds: float) -> int:
    """A program's exit code; one that takes longer is killed."""
    try:
        return await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        process.kill()
        return await process.wait()


def remove_leftovers(directory: Path, name: str) -> None:
    """End and remove every container that has its files in `directory`, and the cgroup `name`."""
    for state in sorted((directory / "runc").glob("*")):
        subprocess.run(
            ["runc", "--root", str(directory / "runc"), "delete", "--force", state.name],
            check=False, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(state, ignore_errors=True)
    shutil.rmtree(directory / "containers", ignore_errors=True)
    remove_cgroup(name)


def _own_capabilities() -> frozenset[str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    mask = next(line.split()[1] for line in lines if line.startswith("CapBnd:"))
    return capabilities_of(int(mask, 16))


def _lay_out(settings: ContainerSettings, directory: Path) -> None:
    root = directory / "rootfs"
    root.mkdir(parents=True)
    for entry in Path(settings.image.base).iterdir():
        if entry.is_symlink():
            (root / entry.name).symlink_to(os.readlink(entry))
        elif entry.is_dir():
            (root / entry.name).mkdir()
            shutil.copymode(entry, root / entry.name)
        else:
            shutil.copy2(entry, root / entry.name)
    for name, lowers in image_layers(settings.image).items():
        for kind in ("upper", "work"):
            (directory / kind / name).mkdir(parents=True)
        shutil.copymode(lowers[-1], directory / "upper" / name)


def _watch_exit(container: Container, ended: Callable[[tuple[int, int]], None]) -> None:
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(container.pid)

    def on_exit() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        ended(_reap(container.pid))

    loop.add_reader(descriptor, on_exit)


def _reap(pid: int) -> tuple[int, int]:
    """Exit code and signal (0 if none)."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return 255, 0
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status), os.WTERMSIG(status)
    return os.WEXITSTATUS(status), 0


class _Output(asyncio.Protocol):
    def __init__(self, container: Container, stream: str, closed: asyncio.Future[None]) -> None:
        self._container = container
        self._stream = stream
        self._closed = closed

    def data_received(self, data: bytes) -> None:
        if not self._container.log.closed:
            self._container.log.write(self._stream, data)
        for listener in tuple(self._container.listeners):
            listener(self._stream, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)


async def _read_into(container: Container, stream: str, descriptor: int) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    closed: asyncio.Future[None] = loop.create_future()
    os.set_blocking(descriptor, False)
    await loop.connect_read_pipe(lambda: _Output(container, stream, closed), os.fdopen(descriptor, "rb", 0))
    return closed


class _PipeStreams:
    """Standard streams of a container without a terminal."""

    def __init__(self, with_input: bool) -> None:
        self.options: tuple[str, ...] = ()
        self._outputs = {name: os.pipe() for name in ("stdout", "stderr")}
        self._input = os.pipe() if with_input else None
        self.stdin = self._input[0] if self._input else DEVNULL
        self.stdout = self._outputs["stdout"][1]
        self.stderr = self._outputs["stderr"][1]

    def started(self) -> None:
        os.close(self.stdout)
        os.close(self.stderr)
        if self._input:
            os.close(self._input[0])

    def abandon(self) -> None:
        for reading, _ in self._outputs.values():
            os.close(reading)
        if self._input:
            os.close(self._input[1])

    async def connect(self, container: Container) -> asyncio.Future[None]:
        if self._input:
            container.input = self._input[1]
        closed = [await _read_into(container, name, ends[0]) for name, ends in self._outputs.items()]
        both = asyncio.ensure_future(asyncio.wait(closed))
        drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        both.add_done_callback(lambda _: None if drained.done() else drained.set_result(None))
        return drained


class _TerminalStreams:
    """The terminal of a container; the runtime makes it and sends its other end over a socket."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="terminal-")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._folder}/socket")
        self._listener.listen(1)
        self._listener.settimeout(10)
        self.options = ("--console-socket", f"{self._folder}/socket")
        self.stdin = self.stdout = self.stderr = DEVNULL

    def started(self) -> None:
        """The socket is needed until the terminal came over it."""

    def abandon(self) -> None:
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def connect(self, container: Container) -> asyncio.Future[None]:
        try:
            terminal = await asyncio.to_thread(self._receive)
        finally:
            self.abandon()
        container.input = os.dup(terminal)
        return await _read_into(container, "stdout", terminal)

    def _receive(self) -> int:
        connection, _ = self._listener.accept()
        with connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
        return descriptors[0]
