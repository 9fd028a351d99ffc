"""What the API asks of the nodes: the streams of running containers."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import msgspec

Object = dict[str, Any]


class LogWish(msgspec.Struct, frozen=True):
    """What of a container's log is wanted; the `pods/log` query parameters."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime.datetime | None = None
    limit_bytes: int | None = None


class ExecSession(Protocol):
    """A command running in a container."""

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None

    async def write(self, content: bytes) -> None:
        """To its standard input."""

    def close_input(self) -> None:
        """No more standard input."""

    def resize(self, columns: int, rows: int) -> None:
        """Of its terminal."""

    async def wait(self) -> int:
        """Its exit code, once it ended. Raises if it could not be started."""

    def close(self) -> None:
        """The client is gone."""


class NodeStreams(Protocol):
    """The kubelets' side. Every call may raise ApiError, which the client gets."""

    def logs(self, pod: Object, container: str, wish: LogWish) -> AsyncIterator[bytes]:
        """A container's log."""

    async def exec(
        self, pod: Object, container: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> ExecSession:
        """Start a command in a running container."""

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> ExecSession:
        """The streams of the container's own process."""

    async def port(self, pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port on the pod's loopback. Raises OSError."""
