"""A pod's network, IPC and host name namespaces.

They have no name and no file: they live as long as the process that holds them, which the kernel kills when
this one ends. That process is process 1 of the pod where its containers share one process namespace.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

_CLONE_NEWNET = 0x40000000
_SHELL = (
    'trap \'\' CHLD; [ -z "$1" ] || hostname "$1"; echo ready; exec setpriv --pdeathsig KILL sleep infinity'
)
_T = TypeVar("_T")
_libc = ctypes.CDLL(None, use_errno=True)


class SandboxFailed(Exception):
    """The pod's namespaces could not be made; the message says what the kernel said."""


class SandboxSettings(msgspec.Struct, frozen=True):
    """What a pod asks of its namespaces."""

    hostname: str
    host_network: bool = False
    share_processes: bool = False
    host_processes: bool = False
    host_ipc: bool = False


class Sandbox:
    """The namespaces of one pod."""

    def __init__(self, holder: asyncio.subprocess.Process, pid: int, settings: SandboxSettings) -> None:
        self._holder = holder
        self.pid = pid
        """The process that holds the namespaces, as this process sees it."""
        self.settings = settings

    @property
    def shares_processes(self) -> bool:
        """Whether its containers are in a process namespace that is not theirs alone."""
        return self.settings.share_processes or self.settings.host_processes

    def namespaces(self) -> dict[str, str]:
        """OCI namespace type to path, for containers to join."""
        joined = {"uts": "uts"}
        if not self.settings.host_ipc:
            joined["ipc"] = "ipc"
        if not self.settings.host_network:
            joined["network"] = "net"
        if self.settings.share_processes:
            joined["pid"] = "pid"
        paths = {kind: f"/proc/{self.pid}/ns/{name}" for kind, name in joined.items()}
        return paths | ({"pid": "/proc/self/ns/pid"} if self.settings.host_processes else {})

    async def in_network(self, action: Callable[[], _T]) -> _T:
        """Run something short in a thread that is in the pod's network namespace."""
        return await asyncio.to_thread(_call_in_network, self.pid, action)

    async def dial(self, port: int) -> socket.socket:
        """A non-blocking connection to a port on the pod's loopback. Raises OSError."""
        return await self.in_network(lambda: _connect_loopback(port))

    async def remove(self) -> None:
        """End the namespaces' holder; links and addresses go with them."""
        if self._holder.returncode is None:
            if self.settings.share_processes:
                _kill(self.pid)
            else:
                self._holder.kill()
        await self._holder.wait()


async def make_sandbox(settings: SandboxSettings) -> Sandbox:
    """Raises SandboxFailed."""
    flags = ["--ipc", "--uts"]
    if not settings.host_network:
        flags.append("--net")
    if settings.share_processes:
        flags += ["--pid", "--fork", "--kill-child"]
    holder = await asyncio.create_subprocess_exec(
        "unshare", *flags, "sh", "-c", _SHELL, "pause", settings.hostname,
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stderr is not None
    try:
        ready = await holder.stdout.readline()
    except BaseException:
        holder.kill()
        await holder.wait()
        raise
    if not ready:
        reason = (await holder.stderr.read()).decode().strip()
        await holder.wait()
        raise SandboxFailed(f"failed to create pod namespaces: {reason}")
    pid = _only_child(holder.pid) if settings.share_processes else holder.pid
    return Sandbox(holder, pid, settings)


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return


def _call_in_network(pid: int, action: Callable[[], _T]) -> _T:
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set_network(other)
            return action()
        finally:
            os.close(other)
            _set_network(own)
    finally:
        os.close(own)


def _set_network(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _connect_loopback(port: int) -> socket.socket:
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    except ConnectionRefusedError:
        connection = socket.create_connection(("::1", port), timeout=10)
    connection.setblocking(False)
    return connection
