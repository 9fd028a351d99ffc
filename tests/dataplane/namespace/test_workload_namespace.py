"""The namespaces of one workload and the first process in them, in the real kernel."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pellucid.dataplane.namespace.protocol import Credentials, Spawn
from pellucid.dataplane.namespace.workload_namespace import (
    NamespaceGoneError,
    NamespaceProcess,
    WorkloadNamespace,
    workload_namespace,
)

pytestmark = pytest.mark.root


@pytest.fixture
async def namespace() -> AsyncIterator[WorkloadNamespace]:
    async with workload_namespace() as namespace:
        yield namespace


async def started(namespace: WorkloadNamespace, script: str, **how: Any) -> tuple[NamespaceProcess, int]:
    """A shell script inside, and the reading end of its output."""
    read, write = os.pipe()
    request = Spawn(("sh", "-c", script), dict(os.environ), "/", **how)
    try:
        return await namespace.spawn(request, (0, write, write)), read
    finally:
        os.close(write)


async def output(namespace: WorkloadNamespace, script: str, **how: Any) -> str:
    process, read = await started(namespace, script, **how)
    await process.wait()
    with os.fdopen(read) as said:
        return said.read().strip()


async def test_processes_inside_see_only_each_other(namespace: WorkloadNamespace) -> None:
    assert await output(namespace, "echo /proc/[0-9]*; ls /sys/class/net 2>/dev/null | wc -l; echo $$") != ""
    pids = (await output(namespace, "echo /proc/[0-9]*")).split()
    assert pids[0] == "/proc/1"
    assert len(pids) == 2


async def test_exit_codes_and_signals_are_reported(namespace: WorkloadNamespace) -> None:
    process, read = await started(namespace, "exit 3")
    assert await process.wait() == 3
    sleeping, other = await started(namespace, "exec sleep 100")
    await sleeping.signal(signal.SIGTERM)
    assert await sleeping.wait() == -signal.SIGTERM
    await sleeping.signal(signal.SIGTERM)
    os.close(read)
    os.close(other)


async def test_many_short_processes_lose_no_exit_code(namespace: WorkloadNamespace) -> None:
    async def run(code: int) -> int:
        process, read = await started(namespace, f"exit {code}")
        os.close(read)
        return await process.wait()

    assert await asyncio.gather(*map(run, range(50))) == list(range(50))


async def test_orphans_are_reaped(namespace: WorkloadNamespace) -> None:
    await output(namespace, "(sleep 0.05 &) ; exit 0")
    # The orphan's end wakes the first process before this child's does.
    await output(namespace, "sleep 0.1")
    assert psutil.Process(namespace.pid).children() == []


async def test_a_program_that_cannot_be_run_is_the_callers_error(namespace: WorkloadNamespace) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await namespace.spawn(Spawn(("no-such-program",), dict(os.environ), "/"), (0, 1, 2))
    with pytest.raises(PermissionError):
        await namespace.spawn(Spawn(("/etc/passwd",), dict(os.environ), "/"), (0, 1, 2))
    assert await output(namespace, "echo still here") == "still here"


async def test_a_process_has_its_user_and_can_never_have_dropped_capabilities(
    namespace: WorkloadNamespace,
) -> None:
    cap_net_admin = 12
    how = {"credentials": Credentials(1234, 2345, (27, 28)), "drop_capabilities": (cap_net_admin,)}
    said = await output(namespace, "id -u; id -g; id -G; grep CapBnd /proc/self/status", **how)
    uid, gid, groups, bounding = said.splitlines()
    assert (uid, gid, set(groups.split())) == ("1234", "2345", {"2345", "27", "28"})
    assert not int(bounding.split()[1], 16) & 1 << cap_net_admin


async def test_shadowed_files_are_seen_inside_only_and_absent_ones_stay_absent(
    namespace: WorkloadNamespace, tmp_path: Path
) -> None:
    host, absent = tmp_path / "file", tmp_path / "absent"
    host.write_text("host's")
    await namespace.shadow_files({str(host): "workload's", str(absent): "nothing"})
    assert await output(namespace, f"cat {host}; ls {absent} 2>/dev/null") == "workload's"
    assert host.read_text() == "host's"
    assert await output(namespace, "echo /proc/1 /proc/self/stat") == "/proc/1 /proc/self/stat"


async def test_a_socket_opened_inside_is_reachable_from_inside_only(namespace: WorkloadNamespace) -> None:
    await output(namespace, "ip link set lo up")
    listener = await namespace.listen("tcp", "127.0.0.1")
    port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    dialled = await namespace.dial(port)
    accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
    await asyncio.get_running_loop().sock_sendall(accepted, b"from inside")
    assert await asyncio.get_running_loop().sock_recv(dialled, 100) == b"from inside"
    for opened in (listener, dialled, accepted):
        opened.close()


async def test_a_refused_dial_is_an_error(namespace: WorkloadNamespace) -> None:
    with pytest.raises(OSError, match=r"unreachable|refused"):
        await namespace.dial(1)


async def test_when_the_first_process_is_killed_everybody_is_told(namespace: WorkloadNamespace) -> None:
    process, read = await started(namespace, "exec sleep 100")
    everybody = psutil.Process(namespace.pid).children(recursive=True)
    os.kill(namespace.pid, signal.SIGKILL)
    await namespace.wait_gone()
    with pytest.raises(NamespaceGoneError):
        await process.wait()
    with pytest.raises(NamespaceGoneError):
        await namespace.dial(1)
    assert psutil.wait_procs(everybody, timeout=10)[1] == []
    os.close(read)


async def test_leaving_ends_everything_inside_and_leaks_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with workload_namespace() as namespace:
        _, read = await started(namespace, "sleep 100 & sleep 100")
        everybody = psutil.Process(namespace.pid).children(recursive=True)
        os.close(read)
    assert psutil.wait_procs(everybody, timeout=10)[1] == []
    assert len(os.listdir("/proc/self/fd")) == before
