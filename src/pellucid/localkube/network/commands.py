"""Runs the programs that change a network namespace."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Sequence


class NetworkCommandFailed(Exception):
    """A network program refused; the message holds its words and what it was given."""


async def run_network_command(command: Sequence[str], script: str) -> None:
    """Feed `script` to a program's standard input. Raises NetworkCommandFailed."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    _, errors = await process.communicate(script.encode())
    if process.returncode != 0:
        raise NetworkCommandFailed(f"{' '.join(command)}: {errors.decode().strip()}\n{script}")
