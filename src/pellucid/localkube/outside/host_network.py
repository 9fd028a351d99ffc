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
_THREADS = 4
_T = TypeVar("_T")


class HostNetwork:
    """The host's network, by an open descriptor of its namespace, which is this object's to close."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._threads = ThreadPoolExecutor(_THREADS, "host-network", initializer=self._enter)

    async def call(self, action: Callable[[], _T]) -> _T:
        """Run something in a thread that is in the host's network namespace; it may block."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, action)

    async def socket(self, family: int, kind: socket.SocketKind) -> socket.socket:
        """A new non-blocking socket. Raises OSError."""

        def make() -> socket.socket:
            made = socket.socket(family, kind)
            made.setblocking(False)
            return made

        return await self.call(make)

    def close(self) -> None:
        """Make no more sockets; those that were made go on."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        os.close(self._descriptor)

    def _enter(self) -> None:
        if ctypes.CDLL(None, use_errno=True).setns(self._descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
