"""A cluster's server process: started in namespaces of its own, found again, ended with all it started.

The server is the first process of a process namespace, so when it ends, however it does, the kernel ends
every container with it and takes back the network namespace and the mounts. Its socket on the host's
loopback is opened outside and handed in.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from pellucid.foundation.private_file import write_private
from pellucid.localkube.cluster.definition import ClusterError, ClusterSettings

READY = b"ready\n"
START_SECONDS = 60.0
STOP_SECONDS = 40.0


class ServerProcess(msgspec.Struct, frozen=True):
    """The first process of the cluster's namespaces: its pid on the host, and when it started, in ticks."""

    pid: int
    started: int


@contextlib.contextmanager
def host_listeners(settings: ClusterSettings, port: int) -> Iterator[list[socket.socket]]:
    """Sockets that listen on the host: the API's on loopback, at a free port for 0, and of port mappings.

    Held from the choice of the port on, so that nobody else can take it before the server has it. Raises
    ClusterError.
    """
    with contextlib.ExitStack() as held:
        wanted = [("127.0.0.1", port), *((one.address, one.host_port) for one in settings.ports)]
        yield [held.enter_context(_listener(*each)) for each in wanted]


def _listener(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=1024)
    except OSError as error:
        raise ClusterError(f"cannot listen on {address}:{port}: {error.strerror}") from None


def running_server(directory: Path) -> ServerProcess | None:
    """The server process of the cluster in `directory`; None when it does not run."""
    try:
        process = msgspec.json.decode((directory / "process.json").read_bytes(), type=ServerProcess)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return process if _started_at(process.pid) == process.started else None


def start_server(directory: Path, listeners: Sequence[socket.socket], *, uplink: bool) -> None:
    """Start the server of the cluster in `directory` and wait until its API answers.

    listeners: of `host_listeners`; the server gets its own hold on them. uplink: hand it this process's
    network, too. Raises ClusterError with what the server said if it ends first.
    """
    with contextlib.ExitStack() as handing:
        handed = [("listener", one.fileno()) for one in listeners]
        if uplink:
            network = os.open("/proc/self/ns/net", os.O_RDONLY)
            handing.callback(os.close, network)
            handed.append(("host-network", network))
        told, tell = os.pipe()
        handing.callback(os.close, tell)
        handed.append(("ready", tell))
        with (directory / "server.log").open("ab") as log:
            launcher = subprocess.Popen(
                _command(directory, handed),
                pass_fds=tuple(number for _, number in handed),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
    try:
        _wait_until_ready(told, launcher, directory)
        child = _only_child(launcher.pid)
        write_private(
            directory / "process.json", msgspec.json.encode(ServerProcess(child, _started_at(child) or 0))
        )
    except BaseException:
        launcher.kill()
        launcher.wait()
        raise
    finally:
        os.close(told)


def stop_server(directory: Path) -> None:
    """End the server of the cluster in `directory`, gently at first, and wait until nothing of it runs."""
    process = running_server(directory)
    if process is None:
        (directory / "process.json").unlink(missing_ok=True)
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(descriptor, number)
            if select.select([descriptor], [], [], STOP_SECONDS)[0]:
                break
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)
    (directory / "process.json").unlink(missing_ok=True)


def _command(directory: Path, descriptors: Iterable[tuple[str, int]]) -> list[str]:
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    server = [sys.executable, "-m", "pellucid.localkube.server", "--directory", str(directory)]
    handed = [word for name, number in descriptors for word in (f"--{name}", str(number))]
    return [*namespaces, *server, *handed]


def _wait_until_ready(told: int, launcher: subprocess.Popen[bytes], directory: Path) -> None:
    if not select.select([told], [], [], START_SECONDS)[0]:
        raise ClusterError(f"the cluster's server did not become ready; see {directory / 'server.log'}")
    if os.read(told, len(READY)) != READY:
        launcher.wait()
        raise ClusterError(f"the cluster's server ended:\n{_last_words(directory / 'server.log')}")


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _started_at(pid: int) -> int | None:
    """When a process started, in clock ticks after boot: with the pid, it names a process for good."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
