"""The first process in a workload's namespaces: does what must be done inside them, and reaps.

It runs as process 1 of a PID namespace, so when it ends the kernel kills every process in there; and it
ends when its supervisor does. Started as `python -m pellucid.dataplane.namespace.init FD`, FD being its end
of the channel.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pellucid.dataplane.namespace import syscalls
from pellucid.dataplane.namespace.protocol import (
    FIRST_PASSED_FD,
    STREAMS,
    Channel,
    Credentials,
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

_DIAL_TIMEOUT_S = 2.0
# A directory that exists everywhere and has none of the files in it: it is covered for a moment, before
# anybody else is in here.
_STAGING = "/proc"
_decoder = msgspec.json.Decoder(Request)


class Init:
    """Answers requests and reports ended processes until the supervisor is gone."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def run(self) -> None:
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for terminal_signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP):
            # Not SIG_IGN: that would be inherited by every program started from here.
            signal.signal(terminal_signal, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not self._channel:
                        os.read(wake_read, 512)
                    elif self._channel.receive() is None:
                        return
                self._answer_requests()
                self._report_ended()

    def _answer_requests(self) -> None:
        while (line := self._channel.next_line()) is not None:
            passed = self._channel.take_fds()
            report, handed_over = self._carry_out(_decoder.decode(line), passed)
            for fd in passed:
                os.close(fd)
            self._channel.send(report, [each.fileno() for each in handed_over])
            for each in handed_over:
                each.close()

    def _carry_out(self, request: Request, passed: Sequence[int]) -> tuple[Report, list[socket.socket]]:
        try:
            match request:
                case ShadowFiles():
                    shadow_files(request.contents)
                case SetKernelParameters():
                    set_kernel_parameters(request.values)
                case Listen():
                    return Done(), [listen(request)]
                case Dial():
                    address = (request.host, request.port)
                    return Done(), [socket.create_connection(address, _DIAL_TIMEOUT_S)]
                case Spawn():
                    return Done(self._spawn(request, passed)), []
                case Signal():
                    # A pid that was reaped may belong to somebody else by now.
                    if request.pid in self._children:
                        os.kill(request.pid, request.number)
        except (OSError, subprocess.SubprocessError) as problem:
            return Failed(
                str(getattr(problem, "filename", None) or problem), getattr(problem, "errno", None) or 0
            ), []
        return Done(), []

    def _spawn(self, request: Spawn, passed: Sequence[int]) -> int:
        numbers = [FIRST_PASSED_FD + index for index in range(len(passed))]
        for fd, number in zip(passed, numbers, strict=True):
            os.dup2(fd, number)
        try:
            child = start(request, numbers)
        finally:
            for number in numbers:
                os.close(number)
        self._children[child.pid] = child
        return child.pid

    def _report_ended(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # Orphans end up here, too; nobody waits for those.
            if (child := self._children.pop(pid, None)) is not None:
                child.returncode = os.waitstatus_to_exitcode(status)
                self._channel.send(Exited(pid, child.returncode))


def shadow_files(contents: dict[str, str]) -> None:
    """Bind new files over existing ones; files that do not exist stay so. Raises OSError."""
    syscalls.mount("tmpfs", _STAGING, "tmpfs", syscalls.MS_NOSUID_NODEV, "mode=755")
    try:
        for index, (target, content) in enumerate(contents.items()):
            staged = Path(_STAGING, str(index))
            staged.write_text(content)
            staged.chmod(0o644)
            if os.path.exists(target):
                syscalls.mount(str(staged), os.path.realpath(target), flags=syscalls.MS_BIND)
    finally:
        syscalls.unmount(_STAGING)


def set_kernel_parameters(values: dict[str, str]) -> None:
    """Raises OSError."""
    for name, value in values.items():
        Path("/proc/sys", name).write_text(value)


def listen(request: Listen) -> socket.socket:
    """Raises OSError."""
    if request.kind == "abstract":
        family, address = socket.AF_UNIX, f"\0{request.host}"
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.bind(address)
    else:
        family = socket.AF_INET6 if ":" in request.host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM if request.kind == "udp" else socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((request.host, request.port))
    if opened.type == socket.SOCK_STREAM:
        opened.listen()
    return opened


def start(request: Spawn, fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Raises OSError, subprocess.SubprocessError."""
    stdin, stdout, stderr = _standard_streams(request, fds)
    return subprocess.Popen(
        request.arguments,
        executable=request.executable or None,
        env=request.environment,
        cwd=request.directory,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=fds[STREAMS[request.background] :],
        start_new_session=request.background,
        preexec_fn=lambda: _confine(request),
    )


def _standard_streams(request: Spawn, fds: Sequence[int]) -> tuple[int, int, int]:
    if request.background:
        return subprocess.DEVNULL, fds[0], fds[0]
    return fds[0], fds[1], fds[2]


def _confine(request: Spawn) -> None:
    """Give up, in the new process, what it must not have; the user last, for the rest needs rights."""
    for capability in request.drop_capabilities:
        syscalls.drop_from_bounding_set(capability)
    if request.seen_as is not None:
        _see_ourselves_as(request.seen_as)
    if request.credentials is not None:
        os.setgroups(request.credentials.groups)
        os.setgid(request.credentials.gid)
        os.setuid(request.credentials.uid)


def _see_ourselves_as(who: Credentials) -> None:
    uid, gid = os.getuid(), os.getgid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{who.uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{who.gid} {gid} 1")
    syscalls.forbid_new_privileges()


def main() -> None:
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    os.set_inheritable(channel.fileno(), False)
    Init(channel).run()


if __name__ == "__main__":
    main()
