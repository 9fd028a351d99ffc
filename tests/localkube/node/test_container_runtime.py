# ruff: noqa: ASYNC110, ASYNC240, ASYNC221
import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pellucid.localkube.images.archive import load_archive
from pellucid.localkube.images.image_table import ImageTable
from pellucid.localkube.node.container_runtime import Container, ContainerRuntime
from pellucid.localkube.node.log_file import LogOptions, read_log
from pellucid.localkube.node.oci_config import ContainerSettings, Mount
from pellucid.localkube.node.runtime_errors import ContainerFailed
from pellucid.localkube.node.sandbox import Sandbox, SandboxSettings, make_sandbox
from tests.localkube.images.test_archive import saved

pytestmark = pytest.mark.root


class Pod:
    """A sandbox and a runtime, for one test."""

    def __init__(self, directory: Path, runtime: ContainerRuntime, sandbox: Sandbox) -> None:
        self.directory = directory
        self.runtime = runtime
        self.sandbox = sandbox
        self.images = ImageTable(directory / "images")
        self.started: list[Container] = []

    async def start(self, script: str, **settings: Any) -> Container:
        image = self.images.find("busybox")
        chosen = ContainerSettings(image, ("sh", "-c", script), image.environment, **settings)
        id = f"c{len(self.started)}"
        container = await self.runtime.start(id, chosen, self.sandbox, self.directory / "logs" / f"{id}.log")
        self.started.append(container)
        return container

    async def output(self, container: Container) -> str:
        await container.exit
        path = self.directory / "logs" / f"{container.id}.log"
        return b"".join([piece async for piece in read_log(path, None, LogOptions())]).decode()


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    runtime = ContainerRuntime(tmp_path / "runtime", f"localkube-test-{os.getpid()}")
    sandbox = await make_sandbox(SandboxSettings("web-0"))
    pod = Pod(tmp_path, runtime, sandbox)
    yield pod
    for container in pod.started:
        await runtime.kill(container)
        await runtime.remove(container)
    await sandbox.remove()
    runtime.close()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/localkube-test-{os.getpid()}"))
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


async def test_a_container_reports_its_exit_code_and_what_it_wrote(pod: Pod) -> None:
    container = await pod.start("echo out; echo err >&2; exit 3")
    assert (await container.exit).code == 3
    assert sorted((await pod.output(container)).split()) == ["err", "out"]


async def test_it_has_the_pod_s_host_name_and_no_link_but_the_pod_s(pod: Pod) -> None:
    container = await pod.start("hostname; ls /sys/class/net")
    assert (await pod.output(container)).split() == ["web-0", "lo"]


async def test_it_writes_over_the_image_and_not_into_it(pod: Pod) -> None:
    container = await pod.start("echo x > /usr/bin/marker && echo y > /tmp/a && cat /usr/bin/marker /tmp/a")
    assert (await pod.output(container)).split() == ["x", "y"]
    assert not Path("/usr/bin/marker").exists()


async def test_a_read_only_root_refuses_writes_but_a_mount_takes_them(pod: Pod, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    container = await pod.start(
        "touch /usr/x || touch /x || touch /data/x && echo done",
        read_only_root=True,
        mounts=(Mount(str(data), "/data"),),
    )
    assert "done" in await pod.output(container)
    assert (data / "x").exists()


async def test_user_group_and_capabilities_are_as_asked(pod: Pod) -> None:
    container = await pod.start(
        "id -u; id -G; grep CapBnd /proc/self/status",
        user=101, group=102, supplemental_groups=(300,), capabilities_dropped=("ALL",),
    )  # fmt: skip
    assert (await pod.output(container)).split() == ["101", "102", "300", "CapBnd:", "0" * 16]


async def test_a_program_that_is_not_there_is_named(pod: Pod) -> None:
    image = pod.images.find("busybox")
    settings = ContainerSettings(image, ("no-such-program",), image.environment)
    with pytest.raises(ContainerFailed, match=r'"no-such-program": executable file not found in \$PATH'):
        await pod.runtime.start("missing", settings, pod.sandbox, pod.directory / "logs" / "m.log")


async def test_a_signal_s_exit_code_is_128_and_its_number(pod: Pod) -> None:
    container = await pod.start("sleep infinity")
    await pod.runtime.kill(container)
    exit = await container.exit
    assert (exit.code, exit.signal) == (137, signal.SIGKILL)


async def test_exec_gives_streams_and_exit_code(pod: Pod) -> None:
    container = await pod.start("sleep infinity")
    session = await pod.runtime.exec(
        container, ["sh", "-c", "cat; echo e >&2; exit 4"], stdin=True, tty=False
    )
    await session.write(b"hello\n")
    session.close_input()
    assert session.stderr is not None
    assert await session.stdout.read() == b"hello\n"
    assert await session.stderr.read() == b"e\n"
    assert await session.wait() == 4


async def test_exec_of_nothing_says_what_is_missing(pod: Pod) -> None:
    container = await pod.start("sleep infinity")
    session = await pod.runtime.exec(container, ["no-such"], stdin=False, tty=False)
    with pytest.raises(ContainerFailed, match="executable file not found"):
        await session.wait()


async def test_exec_at_a_terminal_has_its_size(pod: Pod) -> None:
    container = await pod.start("sleep infinity")
    session = await pod.runtime.exec(container, ["sh"], stdin=True, tty=True)
    session.resize(101, 37)
    await session.write(b"test -t 0 && read x; until [ \"$(stty size)\" = '37 101' ]; do :; done; exit 5\n")
    await session.write(b"\n")
    await session.stdout.read()
    assert await session.wait() == 5


async def test_a_container_at_a_terminal_can_be_typed_at(pod: Pod) -> None:
    container = await pod.start("read line; echo got $line", terminal=True, stdin=True)
    os.write(container.input, b"words\n")
    assert "got words" in await pod.output(container)


async def test_too_much_memory_is_noticed(pod: Pod) -> None:
    container = await pod.start("tail /dev/zero", memory_limit=16 << 20)
    exit = await container.exit
    assert (exit.code, exit.out_of_memory) == (137, True)


async def test_what_a_crash_left_is_removed_at_the_next_start(pod: Pod) -> None:
    container = await pod.start("sleep infinity")
    ContainerRuntime(pod.directory / "runtime", f"localkube-test-{os.getpid()}")
    assert (await container.exit).code == 137
    assert not container.directory.exists()


async def test_shared_processes_are_seen_and_reaped(tmp_path: Path) -> None:
    runtime = ContainerRuntime(tmp_path / "runtime", f"localkube-test-{os.getpid()}-shared")
    sandbox = await make_sandbox(SandboxSettings("shared", share_processes=True))
    pod = Pod(tmp_path, runtime, sandbox)
    container = await pod.start("cat /proc/1/comm")
    assert (await pod.output(container)).strip() == "sleep"
    await runtime.remove(container)
    await sandbox.remove()
    runtime.close()
    assert subprocess.run(["kill", "-0", str(sandbox.pid)], capture_output=True, check=False).returncode != 0


async def test_a_follower_gets_lines_as_they_come_and_ends_with_the_container(pod: Pod) -> None:
    container = await pod.start("read a; echo $a; read b; echo $b", stdin=True)
    path = pod.directory / "logs" / "c0.log"
    lines = read_log(path, container.log, LogOptions(follow=True))
    for word in (b"one\n", b"two\n"):
        os.write(container.input, word)
        assert await asyncio.wait_for(anext(lines), 20) == word
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(lines), 20)


async def test_an_image_from_an_archive_runs_without_what_its_upper_layer_deleted(
    pod: Pod, tmp_path: Path
) -> None:
    shell = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    needed = ["/bin/sh", *(word for word in shell.split() if word.startswith("/"))]
    lower: dict[str, bytes | tuple[str, str]] = {f"{Path(one).parent}/".lstrip("/"): b"" for one in needed}
    lower |= {one.lstrip("/"): Path(one).read_bytes() for one in needed}
    archive = saved(tmp_path / "a.tar", lower | {"opt/": b"", "opt/a": b"1"}, {"opt/": b"", "opt/.wh.a": b""})
    load_archive(archive, tmp_path / "images")
    image = pod.images.find("acme/app:1")
    settings = ContainerSettings(image, ("/bin/sh", "-c", "echo /opt/* /usr/*"), image.environment)
    container = await pod.runtime.start("c0", settings, pod.sandbox, tmp_path / "logs" / "c0.log")
    pod.started.append(container)
    assert (await pod.output(container)).split() == ["/opt/*", "/usr/*"]


def children_named(name: str) -> list[int]:
    found = []
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(int(pid))
    return found


async def test_a_runtime_that_is_killed_in_the_middle_of_a_start_leaves_nothing(pod: Pod) -> None:
    starting = asyncio.ensure_future(pod.start("sleep infinity"))
    while not (runc := children_named("runc")):
        await asyncio.sleep(0)
    os.kill(runc[0], signal.SIGKILL)
    with pytest.raises(ContainerFailed, match="the runtime was ended by signal 9"):
        await starting
    assert not list((pod.directory / "runtime" / "runc").iterdir())
    assert not list((pod.directory / "runtime" / "containers").iterdir())
    groups = Path("/sys/fs/cgroup").glob(f"*/localkube-test-{os.getpid()}/*")
    assert not [group for group in groups if group.is_dir()]


async def test_a_command_whose_runtime_was_killed_does_not_keep_the_container_from_ending(pod: Pod) -> None:
    container = await pod.start("sleep infinity")
    session = await pod.runtime.exec(container, ["sh", "-c", "echo up; exec cat"], stdin=True, tty=False)
    assert await session.stdout.readline() == b"up\n"
    os.kill(children_named("runc")[0], signal.SIGKILL)
    await pod.runtime.kill(container)
    assert (await container.exit).signal == signal.SIGKILL
    await session.wait()


async def test_a_command_whose_client_has_gone_leaves_no_file(
    pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = tmp_path / "exec"
    folders.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folders))
    container = await pod.start("sleep infinity")
    session = await pod.runtime.exec(container, ["sh", "-c", "echo up; exec cat"], stdin=True, tty=False)
    assert await session.stdout.readline() == b"up\n"
    session.close()
    assert await session.stdout.read() == b""
    while list(folders.iterdir()):
        await asyncio.sleep(0)
