"""A workload's own network, mount and PID namespaces, and the processes in them.

The namespaces have no name and no file: they live as long as their first process, which lives as long as
we do. Whatever ends us or it, the kernel ends every process inside and drops links, addresses and rules.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from pellucid.dataplane.namespace.protocol import (
    Channel,
    Dial,
    Done,
    Exited,
    Failed,
    Listen,
    Report,
    Request,
    SetKernelParameters,
    ShadowFiles,
    Signal,
    Spawn,
)
from pellucid.dataplane.redirect_apply import NetworkNamespace

_decoder = msgspec.json.Decoder(Report)


class NamespaceError(Exception):
    """Something in the workload's namespaces could not be done."""


class NamespaceForbiddenError(NamespaceError):
    """The kernel does not let us make namespaces."""


def forbidden(said: str) -> str:
    """The message for a kernel that refuses; `said` is what it said."""
    return (
        f"this machine does not let us make namespaces ({said.strip() or 'no reason given'}): run as root, "
        "in a container with SYS_ADMIN and NET_ADMIN, or allow user namespaces (sysctl "
        "user.max_user_namespaces, kernel.unprivileged_userns_clone, "
        "kernel.apparmor_restrict_unprivileged_userns)"
    )


class NamespaceGoneError(NamespaceError):
    """The first process in the namespaces has ended, and everything in there with it."""


class NamespaceProcess:
    """A process in the namespace."""

    def __init__(self, namespace: WorkloadNamespace, pid: int) -> None:
        self._namespace = namespace
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.pid = pid
        """As seen inside."""

    async def wait(self) -> int:
        """The exit code, negative for the signal that ended it. Raises NamespaceGoneError."""
        return await asyncio.shield(self._status)

    async def signal(self, number: int) -> None:
        """Harmless when the process has ended. Raises NamespaceGoneError."""
        await self._namespace.request(Signal(self.pid, number))


class WorkloadNamespace:
    """The namespaces, by their first process."""

    def __init__(self, launcher: asyncio.subprocess.Process, channel: Channel) -> None:
        self._launcher = launcher
        self._channel = channel
        self._processes: dict[int, NamespaceProcess] = {}
        self._early: dict[int, int] = {}
        self._reply: asyncio.Future[tuple[Report, list[int]]] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(channel, self._on_readable)

    @property
    def pid(self) -> int:
        """The first process, as the host sees it. Raises NamespaceGoneError."""
        launcher = self._launcher.pid
        try:
            children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        except OSError:
            children = []
        if not children:
            raise NamespaceGoneError("the workload's namespaces are gone")
        return int(children[0])

    @property
    def network(self) -> NetworkNamespace:
        return NetworkNamespace(pid=self.pid)

    async def wait_gone(self) -> None:
        """Until the first process, and so everything inside, has ended."""
        await self._gone.wait()

    async def shadow_files(self, contents: dict[str, str]) -> None:
        """Show the workload other contents for these files, where they exist. Raises NamespaceError."""
        await self.request(ShadowFiles(contents))

    async def set_kernel_parameters(self, values: dict[str, str]) -> None:
        """Raises NamespaceError."""
        await self.request(SetKernelParameters(values))

    async def listen(self, kind: str, host: str, port: int = 0) -> socket.socket:
        """A socket that is bound inside and used by us. Raises NamespaceError."""
        return await self._request_socket(Listen(kind, host, port))

    async def dial(self, port: int, host: str = "127.0.0.1") -> socket.socket:
        """A connection to a port inside. Raises NamespaceError."""
        return await self._request_socket(Dial(host, port))

    async def spawn(self, request: Spawn, fds: Sequence[int] = ()) -> NamespaceProcess:
        """Start a process inside; `fds` are passed to it as FIRST_PASSED_FD and so on.

        Raises NamespaceError; FileNotFoundError or PermissionError when the program cannot be run.
        """
        done, _ = await self.request(request, fds)
        process = NamespaceProcess(self, done.pid)
        self._processes[done.pid] = process
        if (status := self._early.pop(done.pid, None)) is not None:
            self._ended(done.pid, status)
        return process

    async def request(self, request: Request, fds: Sequence[int] = ()) -> tuple[Done, list[int]]:
        """Have the first process do something. Raises NamespaceError, or the OSError that it met."""
        async with self._one_at_a_time:
            if self._gone.is_set():
                raise NamespaceGoneError("the workload's namespaces are gone")
            self._reply = asyncio.get_running_loop().create_future()
            try:
                self._channel.send(request, fds)
                report, passed = await self._reply
            except OSError as problem:
                raise NamespaceGoneError(f"the workload's namespaces are gone ({problem})") from problem
        if isinstance(report, Failed):
            raise _as_error(report)
        assert isinstance(report, Done)
        return report, passed

    async def close(self) -> None:
        """End everything inside."""
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._declare_gone()
        await self._launcher.wait()

    async def _request_socket(self, request: Listen | Dial) -> socket.socket:
        _, passed = await self.request(request)
        opened = socket.socket(fileno=passed[0])
        opened.setblocking(False)
        return opened

    def _on_readable(self) -> None:
        try:
            alive = self._channel.receive() is not None
        except OSError:
            alive = False
        if not alive:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._declare_gone()
            return
        while (line := self._channel.next_line()) is not None:
            report = _decoder.decode(line)
            if isinstance(report, Exited):
                self._ended(report.pid, report.status)
            elif self._reply is not None and not self._reply.done():
                self._reply.set_result((report, self._channel.take_fds()))

    def _ended(self, pid: int, status: int) -> None:
        process = self._processes.pop(pid, None)
        if process is None:
            # It ended before we learnt that it had started.
            self._early[pid] = status
        elif not process._status.done():
            process._status.set_result(status)

    def _declare_gone(self) -> None:
        self._gone.set()
        gone = NamespaceGoneError("the workload's namespaces are gone")
        waiting: list[asyncio.Future[int] | asyncio.Future[tuple[Report, list[int]]] | None]
        waiting = [self._reply, *(process._status for process in self._processes.values())]
        for future in waiting:
            if future is not None and not future.done():
                future.set_exception(gone)
                # Not everybody waits; that is no reason for a complaint at exit.
                future.exception()


@asynccontextmanager
async def workload_namespace(owner: int | None = None) -> AsyncIterator[WorkloadNamespace]:
    """Make the namespaces; at the end everything inside is ended.

    owner: descriptor of the user namespace that shall own them (rootless); None is our own.
    Raises NamespaceForbiddenError.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(True)
        launcher = await asyncio.create_subprocess_exec(
            *_launching(theirs.fileno(), owner),
            pass_fds=[theirs.fileno(), *([] if owner is None else [owner])],
            stderr=subprocess.PIPE,
        )
    namespace = WorkloadNamespace(launcher, Channel(ours))
    try:
        await _first_answer(namespace, launcher)
        yield namespace
    finally:
        await namespace.close()


def _launching(channel_fd: int, owner: int | None) -> list[str]:
    entering = []
    if owner is not None:
        entering = ["nsenter", f"--user=/proc/self/fd/{owner}", "--preserve-credentials", "--"]
    unsharing = ["unshare", "--net", "--pid", "--mount-proc", "--kill-child", "--"]
    # The last of the chain to run outside dies with us; the first inside dies with it.
    dying = ["setpriv", "--pdeathsig", "KILL", "--"]
    # -P: nothing from the directory we happen to be in.
    init = [sys.executable, "-P", "-m", "pellucid.dataplane.namespace.init", str(channel_fd)]
    return [*entering, *dying, *unsharing, *init]


async def _first_answer(namespace: WorkloadNamespace, launcher: asyncio.subprocess.Process) -> None:
    try:
        await namespace.request(SetKernelParameters({}))
    except NamespaceGoneError:
        assert launcher.stderr is not None
        said = (await launcher.stderr.read()).decode(errors="replace")
        raise NamespaceForbiddenError(forbidden(said)) from None


def _as_error(failed: Failed) -> Exception:
    if failed.errno:
        return OSError(failed.errno, os.strerror(failed.errno), failed.message or None)
    return NamespaceError(failed.message)
