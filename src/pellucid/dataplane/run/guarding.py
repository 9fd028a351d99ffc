"""Keeps the guardian: starts it, gives it orders, learns when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from pellucid.dataplane.run.guardian import AT_EASE, Orders


class Guardian:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def order(self, orders: Orders) -> None:
        """From now on, this is to be done if we are killed."""
        await self._tell(msgspec.json.encode(orders))

    async def at_ease(self) -> None:
        """There is nothing left to be done if we are killed."""
        await self._tell(AT_EASE)

    async def wait_gone(self) -> None:
        await self._process.wait()

    async def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()


@asynccontextmanager
async def guardian() -> AsyncIterator[Guardian]:
    """A guardian as long as the block runs; at its end it carries out its last orders, if it has any."""
    process = await asyncio.create_subprocess_exec(
        # -P: nothing from the directory we happen to be in.
        *(sys.executable, "-P", "-m", "pellucid.dataplane.run.guardian"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Signals from the terminal are for the supervisor alone.
        start_new_session=True,
    )
    try:
        yield Guardian(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
