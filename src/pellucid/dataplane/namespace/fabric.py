"""The network namespace that joins one machine's workloads, shared and owned by whoever is running.

It has no name and no process of its own: it lives while some supervisor holds it open. A locked file lists
those supervisors; a new one opens the namespace through any of them (`/proc/<pid>/fd/<fd>`), or makes it
when there is none left. So it is gone with the last workload, however that ends, and the host's own links,
routes and firewall are never touched.

Rootless, a user namespace in which the invoking user is root owns the fabric and every workload on it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import msgspec

from pellucid.dataplane.namespace.fabric_addresses import (
    FabricPlace,
    bridge_port_script,
    fabric_script,
    forget_routes_script,
    free_place,
    outside_addresses_script,
    outside_routes_script,
    workload_script,
)
from pellucid.dataplane.namespace.syscalls import may_administer_networks
from pellucid.dataplane.namespace.workload_namespace import (
    NamespaceError,
    NamespaceForbiddenError,
    WorkloadNamespace,
    forbidden,
)

_IPV6_AT_ONCE = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    # Addresses are unique by their numbers; nobody need wait a second to see whether they are.
    "net/ipv6/conf/default/accept_dad": "0",
}
_KERNEL_PARAMETERS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    # Every refusal is to be heard.
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv6/icmp/ratelimit": "0",
    **_IPV6_AT_ONCE,
}


class Member(msgspec.Struct, frozen=True):
    """A supervisor that holds the fabric open, and its workload's number."""

    pid: int
    network_fd: int
    network_inode: int
    user_fd: int | None
    number: int

    @property
    def network_path(self) -> str:
        return f"/proc/{self.pid}/fd/{self.network_fd}"

    @property
    def user_path(self) -> str:
        return f"/proc/{self.pid}/fd/{self.user_fd}"


class Fabric:
    """The fabric as held by us."""

    def __init__(self, network_fd: int, user_fd: int | None, place: FabricPlace) -> None:
        self._network_fd = network_fd
        self.owner = user_fd
        """Descriptor of the user namespace that owns the fabric; None is our own."""
        self.place = place
        """Our workload's addresses."""

    async def connect(self, workload: WorkloadNamespace) -> None:
        """Give the workload's namespace its link, addresses and routes. Raises NamespaceError."""
        await workload.set_kernel_parameters(_IPV6_AT_ONCE)
        await asyncio.to_thread(self._connect, workload.network.entering([]))

    async def lead_outside(
        self, workload: WorkloadNamespace, addresses: Sequence[IPv4Address | IPv6Address]
    ) -> None:
        """Have the workload answer at these addresses outside the mesh. Raises NamespaceError."""
        await asyncio.to_thread(
            self._run_ip, workload.network.entering([]), outside_addresses_script(addresses)
        )
        await asyncio.to_thread(self._run_ip, self._entering(), outside_routes_script(self.place, addresses))

    async def forget_outside(self, addresses: Sequence[IPv4Address | IPv6Address]) -> None:
        """Raises NamespaceError."""
        await asyncio.to_thread(self._run_ip, self._entering(), forget_routes_script(addresses))

    def _connect(self, entering_workload: list[str]) -> None:
        self._run_ip(entering_workload, workload_script(self.place, f"/proc/self/fd/{self._network_fd}"))
        self._run_ip(self._entering(), bridge_port_script(self.place))

    def _entering(self) -> list[str]:
        return _entering(self._network_fd, self.owner)

    def _run_ip(self, entering: list[str], script: str) -> None:
        _run([*entering, "ip", "-batch", "-"], script, _fds(self._network_fd, self.owner))


@contextmanager
def joined_fabric(directory: Path, *, rootless: bool) -> Iterator[Fabric]:
    """Join the machine's fabric, making it if nobody else is there; leave it at the end.

    directory: where its file is, `fabric.json`; supervisors of one directory share one fabric.
    Raises NamespaceForbiddenError, NamespaceError, FabricFullError.
    """
    if not rootless and not may_administer_networks():
        raise NamespaceForbiddenError(forbidden("the capability NET_ADMIN is missing"))
    fabric = _join(directory, rootless)
    try:
        yield fabric
    finally:
        with _members(directory) as members:
            members[:] = [member for member in members if member.number != fabric.place.number]
        for fd in _fds(fabric._network_fd, fabric.owner):
            os.close(fd)


def _join(directory: Path, rootless: bool) -> Fabric:
    with _members(directory) as members:
        found = next((opened for member in members if (opened := _opened(member))), None)
        network_fd, user_fd = found or _made(rootless)
        place = free_place({member.number for member in members})
        inode = os.fstat(network_fd).st_ino
        members.append(Member(os.getpid(), network_fd, inode, user_fd, place.number))
        return Fabric(network_fd, user_fd, place)


@contextmanager
def _members(directory: Path) -> Iterator[list[Member]]:
    """The living members, ours to change; the file is locked meanwhile, and gone when nobody is left."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.geteuid():
        raise NamespaceError(
            f"{directory} belongs to another user, who could lead us astray: remove it, or set "
            "PELLUCID_RUNTIME_DIRECTORY to a directory of your own"
        )
    path = directory / "fabric.json"
    with _locked(path) as file:
        members = [member for member in _read(file) if _holds_it(member)]
        try:
            yield members
        finally:
            if members:
                os.ftruncate(file, 0)
                os.pwrite(file, msgspec.json.encode(members), 0)
            else:
                path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The one who had it before us may have removed it.
            if _is_same(file, path):
                yield file
                return
        finally:
            os.close(file)


def _is_same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _read(file: int) -> list[Member]:
    content = os.pread(file, os.fstat(file).st_size, 0)
    return msgspec.json.decode(content, type=list[Member]) if content else []


def _holds_it(member: Member) -> bool:
    """Whether that process still has the namespace open; its pid alone may be somebody else's by now."""
    try:
        return os.stat(member.network_path).st_ino == member.network_inode
    except OSError:
        return False


def _opened(member: Member) -> tuple[int, int | None] | None:
    with ExitStack() as undo:
        try:
            network_fd = os.open(member.network_path, os.O_RDONLY | os.O_CLOEXEC)
            undo.callback(os.close, network_fd)
            user_fd = (
                None if member.user_fd is None else os.open(member.user_path, os.O_RDONLY | os.O_CLOEXEC)
            )
        except OSError:
            return None
        undo.pop_all()
        return network_fd, user_fd


def _made(rootless: bool) -> tuple[int, int | None]:
    """A new fabric: its network namespace, and the user namespace that owns it. Raises NamespaceError."""
    owned = ["--user", "--map-root-user"] if rootless else []
    unsharing = ["unshare", *owned, "--net", "sh", "-c", "echo ready; read _"]
    with subprocess.Popen(
        unsharing, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "ready\n":
            raise NamespaceForbiddenError(forbidden(holder.stderr.read()))
        network_fd = os.open(f"/proc/{holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        user_fd = os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC) if rootless else None
        holder.kill()
    fds = _fds(network_fd, user_fd)
    setting = " && ".join(f"echo {value} > /proc/sys/{name}" for name, value in _KERNEL_PARAMETERS.items())
    _run([*_entering(network_fd, user_fd), "sh", "-c", setting], "", fds)
    _run([*_entering(network_fd, user_fd), "ip", "-batch", "-"], fabric_script(), fds)
    return network_fd, user_fd


def _entering(network_fd: int, user_fd: int | None) -> list[str]:
    user = [] if user_fd is None else [f"--user=/proc/self/fd/{user_fd}", "--preserve-credentials"]
    return ["nsenter", *user, f"--net=/proc/self/fd/{network_fd}", "--"]


def _fds(network_fd: int, user_fd: int | None) -> list[int]:
    return [network_fd] if user_fd is None else [network_fd, user_fd]


def _run(command: list[str], stdin: str, fds: Sequence[int]) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, pass_fds=fds)
    if done.returncode != 0:
        raise NamespaceError(f"{' '.join(command)} failed: {done.stderr.strip()}\n{stdin}".rstrip())
