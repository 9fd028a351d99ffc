"""A node whose containers are processes of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pellucid.localkube.http.node_streams import LogWish


class HostSession:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._process = process
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.sizes: list[tuple[int, int]] = []

    async def write(self, content: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(content)
        await self._process.stdin.drain()

    def close_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    async def wait(self) -> int:
        return await self._process.wait()

    def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


class HostStreams:
    """exec runs the command here, port-forward connects to this machine's loopback."""

    async def logs(self, pod: dict[str, Any], container: str, wish: LogWish) -> AsyncIterator[bytes]:
        for number in range(wish.tail_lines or 3):
            yield f"{container} says {number}\n".encode()

    async def exec(
        self, pod: dict[str, Any], container: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> HostSession:
        pipe = asyncio.subprocess.PIPE
        return HostSession(
            await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        )

    async def attach(self, pod: dict[str, Any], container: str, *, stdin: bool, tty: bool) -> HostSession:
        return await self.exec(pod, container, ["cat"], stdin=stdin, tty=tty)

    async def port(self, pod: dict[str, Any], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)
