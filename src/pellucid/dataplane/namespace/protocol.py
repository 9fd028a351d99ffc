"""What a supervisor asks of the first process in a workload's namespaces, and what that one tells.

One JSON object a line over a stream socket; file descriptors ride along. The supervisor sends one request
at a time and gets one `Done` or `Failed` for it; `Exited` comes whenever a process ends.
"""

from __future__ import annotations

import array
import socket
from collections.abc import Sequence
from typing import TypeVar

import msgspec

FIRST_PASSED_FD = 100
"""Descriptors that ride along with `Spawn` have this number and the following ones in the new process."""
STREAMS = {False: 3, True: 1}
"""How many of them are its standard streams: input, output and errors, or in background one for output."""

_MOST_FDS = 8
_CHUNK = 65536


class ShadowFiles(msgspec.Struct, frozen=True, tag=True):
    """Put files in place of existing ones, seen only within the workload's mount namespace."""

    contents: dict[str, str]


class SetKernelParameters(msgspec.Struct, frozen=True, tag=True):
    """Write to files below /proc/sys."""

    values: dict[str, str]


class Listen(msgspec.Struct, frozen=True, tag=True):
    """Open a bound socket here and hand it over; streams listen.

    kind: "tcp", "udp" or "abstract" (a unix socket without a file; `host` is its name).
    """

    kind: str
    host: str
    port: int = 0


class Dial(msgspec.Struct, frozen=True, tag=True):
    """Connect to a TCP port of this namespace and hand the connection over."""

    host: str
    port: int


class Credentials(msgspec.Struct, frozen=True):
    """Who a process runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class Spawn(msgspec.Struct, frozen=True, tag=True):
    """Start a process.

    executable: the file to run, `arguments[0]` if empty;
    credentials: None keeps those of the namespace's first process;
    seen_as: user and group that a process without credentials of its own sees itself as (rootless);
    drop_capabilities: numbers that the process and its children can never have;
    background: apart from the terminal, with nothing on standard input.
    """

    arguments: tuple[str, ...]
    environment: dict[str, str]
    directory: str
    executable: str = ""
    credentials: Credentials | None = None
    seen_as: Credentials | None = None
    drop_capabilities: tuple[int, ...] = ()
    background: bool = False


class Signal(msgspec.Struct, frozen=True, tag=True):
    """Send a signal to a process that was spawned."""

    pid: int
    number: int


class Done(msgspec.Struct, frozen=True, tag=True):
    """The request was carried out; `pid` is that of the spawned process, as seen in its namespace."""

    pid: int = 0


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The request failed, and changed nothing. errno: 0 when no system call is to blame."""

    message: str
    errno: int = 0


class Exited(msgspec.Struct, frozen=True, tag=True):
    """A process ended; `status` is its exit code, negative for the signal that ended it."""

    pid: int
    status: int


Request = ShadowFiles | SetKernelParameters | Listen | Dial | Spawn | Signal
Report = Done | Failed | Exited

Message = TypeVar("Message")


class Channel:
    """One end of the conversation: whole messages with their descriptors."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._fds: list[int] = []

    def fileno(self) -> int:
        return self._connection.fileno()

    def close(self) -> None:
        self._connection.close()

    def send(self, message: Request | Report, fds: Sequence[int] = ()) -> None:
        """Raises OSError."""
        line = msgspec.json.encode(message) + b"\n"
        sent = socket.send_fds(self._connection, [line], fds) if fds else 0
        self._connection.sendall(line[sent:])

    def receive(self) -> bytes | None:
        """Read what is there, at least one byte; None when the other end is gone."""
        space = socket.CMSG_SPACE(_MOST_FDS * array.array("i").itemsize)
        data, ancillary, _, _ = self._connection.recvmsg(_CHUNK, space, socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array.array("i")
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
                self._fds.extend(fds)
        self._received += data
        return data or None

    def next_line(self) -> bytes | None:
        """The next whole message that was received, if there is one."""
        line, newline, rest = self._received.partition(b"\n")
        if not newline:
            return None
        self._received = rest
        return line

    def take_fds(self) -> list[int]:
        """The descriptors that came along; the caller closes them."""
        fds, self._fds = self._fds, []
        return fds
