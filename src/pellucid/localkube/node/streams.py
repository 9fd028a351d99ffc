"""Logs, commands, attachment and ports of pods, for the API server to carry to its clients."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.node.container_runtime import Container
from pellucid.localkube.node.exec_session import ExecSession
from pellucid.localkube.node.kubelet import Kubelet
from pellucid.localkube.node.log_file import LogOptions, read_log
from pellucid.localkube.node.observations import Terminated, Waiting
from pellucid.localkube.node.pod_worker import PodWorker

Object = dict[str, Any]


class Session(Protocol):
    """A command in a container, or an attachment to the container's own.

    Read `stdout` and `stderr` (None at a terminal) to their ends, then `wait` for the exit code, which raises
    ContainerFailed for a command that could not be started.
    """

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None

    async def write(self, content: bytes) -> None: ...
    def close_input(self) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...
    async def wait(self) -> int: ...
    def close(self) -> None: ...


class KubeletStreams:
    """The streams of the pods of some kubelets. Every method takes the pod as the API holds it."""

    def __init__(self, kubelets: Sequence[Kubelet]) -> None:
        self._kubelets = kubelets

    def logs(self, pod: Object, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """A container's output, in pieces. Raises ApiError 400 at once, in the kubelet's words."""
        _, worker = self._find(pod)
        name, one = pod["metadata"]["name"], worker.observation(container)
        if one is None:
            raise _bad_request(f"container {container} is not valid for pod {name}")
        run = one.restart_count - (1 if options.previous else 0)
        path = worker.log_path(container, run)
        if options.previous and (run < 0 or not path.exists()):
            raise _bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        if not path.exists():
            reason = one.state.reason if isinstance(one.state, Waiting | Terminated) else "ContainerCreating"
            said = f'container "{container}" in pod "{name}" is waiting to start: {reason}'
            raise _bad_request(said)
        running = worker.containers.get(container)
        writer = None if options.previous or running is None else running.log
        return read_log(path, writer, options)

    async def exec(
        self, pod: Object, container: str, command: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> ExecSession:
        """Raises ApiError 400 if the container doesn't run."""
        kubelet, worker = self._find(pod)
        return await kubelet.runtime.exec(self._running(worker, container), command, stdin=stdin, tty=tty)

    async def attach(self, pod: Object, container: str, *, stdin: bool = False) -> Session:
        """To the container's own standard streams. Raises ApiError 400 if it doesn't run."""
        _, worker = self._find(pod)
        spec = pod["spec"]
        every = (*spec["containers"], *(spec.get("initContainers") or ()))
        own: Object = next((one for one in every if one["name"] == container), {})
        return Attachment(
            self._running(worker, container),
            stdin=stdin,
            tty=bool(own.get("tty")),
            once=bool(own.get("stdinOnce")),
        )

    async def port(self, pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port on the pod's loopback. Raises ApiError 400 and OSError."""
        _, worker = self._find(pod)
        if worker.sandbox is None:
            raise _bad_request(f"pod {pod['metadata']['name']} is not running")
        return await asyncio.open_connection(sock=await worker.sandbox.dial(port))

    def _find(self, pod: Object) -> tuple[Kubelet, PodWorker]:
        for kubelet in self._kubelets:
            if (worker := kubelet.worker(pod["metadata"]["uid"])) is not None:
                return kubelet, worker
        name = pod["metadata"]["name"]
        if not pod["spec"].get("nodeName"):
            raise _bad_request(f"pod {name} does not have a host assigned")
        raise ApiError(404, "NotFound", f'pods "{name}" not found', {"name": name, "kind": "pods"})

    def _running(self, worker: PodWorker, container: str) -> Container:
        found = worker.containers.get(container)
        if found is None:
            name = worker.pod["metadata"]["name"]
            if worker.observation(container) is None:
                raise _bad_request(f"container {container} is not valid for pod {name}")
            raise _bad_request(f'unable to upgrade connection: container not found ("{container}")')
        return found


class Attachment:
    """The client's end of a container's standard streams; the container's life does not depend on it."""

    def __init__(self, container: Container, *, stdin: bool, tty: bool, once: bool) -> None:
        self._container = container
        self._stdin = stdin
        self._tty = tty
        self._once = once
        self.stdout = asyncio.StreamReader()
        self.stderr: asyncio.StreamReader | None = None if tty else asyncio.StreamReader()
        container.listeners.add(self._on_output)
        container.exit.add_done_callback(self._on_exit)

    async def write(self, content: bytes) -> None:
        """To the container's standard input."""
        if self._stdin and self._container.input >= 0:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(os.write, self._container.input, content)

    def close_input(self) -> None:
        """The client has no more; the container's input ends with it if it was for one client only."""
        if self._stdin and self._once and not self._tty and self._container.input >= 0:
            os.close(self._container.input)
            self._container.input = -1

    def resize(self, columns: int, rows: int) -> None:
        """Of the container's terminal."""
        if self._tty and columns and rows and self._container.input >= 0:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self._container.input, termios.TIOCSWINSZ, size)

    async def wait(self) -> int:
        """The container's exit code."""
        return (await asyncio.shield(self._container.exit)).code

    def close(self) -> None:
        """The client is gone."""
        self._container.listeners.discard(self._on_output)

    def _on_output(self, stream: str, content: bytes) -> None:
        reader = self.stderr if stream == "stderr" and self.stderr is not None else self.stdout
        reader.feed_data(content)

    def _on_exit(self, _: Any) -> None:
        self.close()
        self.stdout.feed_eof()
        if self.stderr is not None:
            self.stderr.feed_eof()


def _bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)
