"""Sockets in the host's network namespace, used from the cluster's.

A socket belongs to the namespace in which it was made. So threads that live in the host's make them, and
whoever has them talks as the host does: no link, no route and no firewall rule of the host has a part in it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_BLOCKING = 4
_T = TypeVar("_T")


class HostNetwork:
    """The host's network, by an open descriptor of its namespace, which is this object's to close."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Who wants a socket must not wait for somebody's long transfer.
        self._quick = ThreadPoolExecutor(1, "host-sockets", initializer=self._enter)
        self._blocking = ThreadPoolExecutor(_BLOCKING, "host-network", initializer=self._enter)

    async def call(self, action: Callable[[], _T]) -> _T:
        """Run something in a thread that is in the host's network namespace; it may block."""
        return await asyncio.get_running_loop().run_in_executor(self._blocking, action)

    async def socket(self, family: int, kind: socket.SocketKind) -> socket.socket:
        """A new non-blocking socket. Raises OSError."""

        def make() -> socket.socket:
            made = socket.socket(family, kind)
            made.setblocking(False)
            return made

        return await asyncio.get_running_loop().run_in_executor(self._quick, make)

    async def reaches(self, address: str) -> bool:
        """Whether the host has a route to an address; nothing is sent."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with await self.socket(family, socket.SOCK_DGRAM) as asking:
                asking.connect((address, 9))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Make no more sockets; those that were made go on."""
        for threads in (self._quick, self._blocking):
            threads.shutdown(wait=False, cancel_futures=True)
        os.close(self._descriptor)

    def _enter(self) -> None:
        if ctypes.CDLL(None, use_errno=True).setns(self._descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
