"""The DNS server: thin loops between sockets and the responder.

UDP packets are read straight from the socket, a batch at a time. TCP connections carry any number of queries
(RFC 7766); replies that need a recursor may overtake each other. Every queue has an end: connections and
waiting questions are limited in all and for each client.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random, SystemRandom

import msgspec
import structlog

from pellucid.dns.listeners import Listener
from pellucid.dns.recursion import addresses_of, forward
from pellucid.dns.responder import Forward, Resolve, Responder
from pellucid.dns.settings import DnsSettings, parse_recursor
from pellucid.dns.trimming import Transport
from pellucid.dns.view import View

UDP_BATCH = 64
"""Packets answered before the event loop gets its turn."""
MAX_QUERY_BYTES = 4096
ACCEPT_RETRY_S = 1.0

_ANCILLARY_BYTES = socket.CMSG_SPACE(20)
_Ancillary = list[tuple[int, int, bytes]]
_Address = tuple[str, int] | tuple[str, int, int, int]

_log = structlog.get_logger("pellucid.dns")


class Limits(msgspec.Struct, frozen=True):
    """How much of the server its clients may hold."""

    waiting: int = 1024
    """Questions that wait for a recursor; further ones fail at once."""
    waiting_per_client: int = 128
    connections: int = 512
    """TCP connections; further ones are closed."""
    connections_per_client: int = 64
    pipelined: int = 64
    """Questions of one connection that wait for a recursor; further ones are read later."""
    idle_timeout_s: float = 30.0
    """How long a connection may take to send its next query whole and to take its answers."""


class DnsServer:
    """Answers DNS queries on any number of listeners with one view and one set of settings."""

    def __init__(
        self,
        view: View,
        settings: DnsSettings,
        *,
        rng: Random | None = None,
        clock: Callable[[], float] = time.time,
        limits: Limits = Limits(),  # noqa: B008 - an immutable value
    ) -> None:
        """Raises ValueError when a recursor isn't an address."""
        _check_recursors(settings)
        self._responder = Responder(view, settings, rng=rng or SystemRandom(), clock=clock)
        self._limits = limits
        self._waiting = _Limit(limits.waiting, limits.waiting_per_client)
        self._connections = _Limit(limits.connections, limits.connections_per_client)

    def reload(self, settings: DnsSettings) -> None:
        """Answer by new settings from now on. Raises ValueError, changing nothing, on a bad recursor."""
        _check_recursors(settings)
        self._responder.reload(settings)

    async def serve(self, listeners: Sequence[Listener]) -> None:
        """Serve `listeners` until cancelled, then close them."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                for listener in listeners:
                    loop.add_reader(listener.udp, self._read_datagrams, listener.udp, tasks)
                    tasks.create_task(self._accept(listener.tcp, tasks))
        finally:
            for listener in listeners:
                loop.remove_reader(listener.udp)
                listener.close()

    def _read_datagrams(self, udp: socket.socket, tasks: asyncio.TaskGroup) -> None:
        respond = self._responder.respond
        for _ in range(UDP_BATCH):
            try:
                packet, interface, _, client = udp.recvmsg(MAX_QUERY_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                _log.warning("dns_receive_failed", error=str(error))
                return
            outcome = respond(packet, Transport.UDP)
            if isinstance(outcome, bytes):
                _send_datagram(udp, outcome, interface, client)
            elif outcome is not None:
                self._answer_datagram_later(outcome, udp, interface, client, tasks)

    def _answer_datagram_later(
        self,
        outcome: Forward | Resolve,
        udp: socket.socket,
        interface: _Ancillary,
        client: _Address,
        tasks: asyncio.TaskGroup,
    ) -> None:
        async def answer() -> None:
            _send_datagram(udp, await self._finish(outcome, Transport.UDP, client[0]), interface, client)

        tasks.create_task(answer())

    async def _finish(self, outcome: Forward | Resolve, transport: Transport, client: str) -> bytes:
        """The reply that needs other name servers, or its substitute when they or we are too busy."""
        with self._waiting.place(client) as admitted:
            if not admitted:
                return outcome.otherwise
            settings = self._responder.settings
            try:
                if isinstance(outcome, Forward):
                    return await forward(outcome.packet, transport, settings) or outcome.otherwise
                return self._responder.complete(outcome, await addresses_of(outcome.names, settings))
            except Exception as error:
                # One odd reply of a recursor must not end the server.
                _log.exception("dns_recursion_failed", error=str(error))
                return outcome.otherwise

    async def _accept(self, tcp: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, client = await loop.sock_accept(tcp)
            except OSError as error:
                # Out of descriptors, most likely: let some connections end first.
                _log.warning("dns_accept_failed", error=str(error))
                await asyncio.sleep(ACCEPT_RETRY_S)
                continue
            tasks.create_task(self._serve_connection(connection, client[0]))

    async def _serve_connection(self, connection: socket.socket, client: str) -> None:
        with self._connections.place(client) as admitted:
            if not admitted:
                connection.close()
                return
            try:
                reader, writer = await asyncio.open_connection(sock=connection)
            except OSError:
                connection.close()
                return
            try:
                async with asyncio.TaskGroup() as waiting:
                    await self._answer_messages(reader, writer, client, waiting)
            except* (OSError, TimeoutError):
                # The client is gone or doesn't read what it asked for.
                writer.transport.abort()
            finally:
                writer.close()

    async def _answer_messages(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        client: str,
        waiting: asyncio.TaskGroup,
    ) -> None:
        slots = asyncio.Semaphore(self._limits.pipelined)

        async def answer_later(outcome: Forward | Resolve) -> None:
            _write_message(writer, await self._finish(outcome, Transport.TCP, client))
            slots.release()

        while True:
            async with asyncio.timeout(self._limits.idle_timeout_s):
                await writer.drain()
                packet = await _read_message(reader)
            if packet is None:
                return
            outcome = self._responder.respond(packet, Transport.TCP)
            if isinstance(outcome, bytes):
                _write_message(writer, outcome)
            elif outcome is not None:
                await slots.acquire()
                waiting.create_task(answer_later(outcome))


class _Limit:
    """Counts who is in, in all and for each client."""

    def __init__(self, most: int, most_per_client: int) -> None:
        self._most = most
        self._most_per_client = most_per_client
        self._inside: Counter[str] = Counter()

    @contextmanager
    def place(self, client: str) -> Iterator[bool]:
        """Hold a place while inside; False when there is none."""
        if self._inside.total() >= self._most or self._inside[client] >= self._most_per_client:
            yield False
            return
        self._inside[client] += 1
        try:
            yield True
        finally:
            self._inside[client] -= 1
            if not self._inside[client]:
                del self._inside[client]


def _check_recursors(settings: DnsSettings) -> None:
    for recursor in settings.recursors:
        parse_recursor(recursor)


def _send_datagram(udp: socket.socket, reply: bytes, interface: _Ancillary, client: _Address) -> None:
    """Send from the address that was asked; what the network can't take now is lost, as datagrams are."""
    with suppress(OSError):
        udp.sendmsg((reply,), interface, 0, client)


async def _read_message(reader: asyncio.StreamReader) -> bytes | None:
    """One length-prefixed message; None at the end of the stream or when the message is absurdly long."""
    try:
        length = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(length) if length <= MAX_QUERY_BYTES else None
    except EOFError:
        return None


def _write_message(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(len(message).to_bytes(2, "big") + message)
