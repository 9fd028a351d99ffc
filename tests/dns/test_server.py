"""The server on real sockets, asked by a client that shares none of its code."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import dnslib
import pytest

from pellucid.dns.listeners import Listener, bind
from pellucid.dns.server import DnsServer, Limits
from pellucid.dns.settings import DnsSettings
from tests.dns.mesh import Mesh, web
from tests.dns.name_server import Behaviour, knows, name_server, says_nothing

WEB = "web.service.consul"
LOOPBACKS = ["127.0.0.1", "::1", "0.0.0.0", "::"]


@asynccontextmanager
async def serving(
    mesh: Mesh,
    settings: DnsSettings | None = None,
    host: str = "127.0.0.1",
    limits: Limits | None = None,
) -> AsyncIterator[Listener]:
    listener = bind(host, 0)
    server = DnsServer(mesh, settings or DnsSettings(), limits=limits or Limits())
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield listener
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def ask_udp(port: int, packet: bytes, host: str = "127.0.0.1") -> dnslib.DNSRecord:
    loop = asyncio.get_running_loop()
    with udp_client(host, port) as client:
        await loop.sock_sendall(client, packet)
        return dnslib.DNSRecord.parse(await loop.sock_recv(client, 65535))


@contextmanager
def udp_client(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
        client.connect((host, port))
        yield client


async def read_message(reader: asyncio.StreamReader) -> dnslib.DNSRecord:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return dnslib.DNSRecord.parse(await reader.readexactly(length))


def query(name: str = WEB, qtype: str = "A", query_id: int = 7) -> bytes:
    record = dnslib.DNSRecord.question(name, qtype)
    record.header.id = query_id
    return bytes(record.pack())


def framed(packet: bytes) -> bytes:
    return struct.pack("!H", len(packet)) + packet


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_udp_answers_on_every_family(host: str) -> None:
    client_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    async with serving(Mesh().add(web(1)), host=host) as listener:
        reply = await ask_udp(listener.port, query(), client_host)
    assert str(reply.rr[0].rdata) == "10.0.0.2"


async def test_a_wildcard_listener_replies_from_the_address_that_was_asked() -> None:
    async with serving(Mesh().add(web(1)), host="0.0.0.0") as listener:
        # A connected client takes datagrams from that one address only.
        reply = await ask_udp(listener.port, query(), "127.0.0.77")
    assert str(reply.rr[0].rdata) == "10.0.0.2"


@pytest.mark.parametrize("host", LOOPBACKS[:2])
async def test_tcp_answers_many_queries_of_one_connection_in_order(host: str) -> None:
    async with serving(Mesh().add(web(1)), host=host) as listener:
        reader, writer = await asyncio.open_connection(host, listener.port)
        writer.write(b"".join(framed(query(query_id=number)) for number in range(50)))
        ids = [(await read_message(reader)).header.id for _ in range(50)]
        writer.close()
    assert ids == list(range(50))


async def test_queries_sent_before_serving_starts_are_answered() -> None:
    listener = bind("127.0.0.1", 0)
    with udp_client("127.0.0.1", listener.port) as client:
        client.send(query())
        task = asyncio.create_task(DnsServer(Mesh().add(web(1)), DnsSettings()).serve([listener]))
        assert await asyncio.get_running_loop().sock_recv(client, 512)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_client_that_sends_and_closes_its_side_gets_its_answers() -> None:
    async with serving(Mesh().add(web(1))) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(framed(query()))
        writer.write_eof()
        assert (await read_message(reader)).header.id == 7
        assert await reader.read() == b""
        writer.close()


async def test_garbage_ends_nothing_but_its_own_connection() -> None:
    async with serving(Mesh().add(web(1))) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"\xff" * 100)
        assert await reader.read() == b""
        writer.close()
        with udp_client("127.0.0.1", listener.port) as client:
            for size in (0, 1, 11, 12, 40, 4000):
                client.send(b"\xa5" * size)
        assert (await ask_udp(listener.port, query())).rr


async def test_an_idle_connection_is_closed() -> None:
    async with serving(Mesh(), limits=Limits(idle_timeout_s=0.05)) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"\0\x20half")
        assert await reader.read() == b""
        writer.close()


async def test_a_client_has_a_limited_number_of_connections() -> None:
    async with serving(Mesh().add(web(1)), limits=Limits(connections_per_client=2)) as listener:
        opened = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(framed(query()))
            await read_message(reader)
            opened.append(writer)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        assert await reader.read() == b""
        opened.pop().close()
        for each in (*opened, writer):
            each.close()


class TestRecursors:
    """Names outside our zones."""

    @staticmethod
    @asynccontextmanager
    async def serving_with(behaviour: Behaviour, mesh: Mesh | None = None) -> AsyncIterator[Listener]:
        async with name_server(behaviour) as upstream:
            settings = DnsSettings(recursors=(upstream.address,), recursor_timeout_s=0.1)
            async with serving(mesh or Mesh(), settings) as listener:
                yield listener

    async def test_a_foreign_name_is_answered_by_the_recursor(self) -> None:
        async with self.serving_with(knows) as listener:
            reply = await ask_udp(listener.port, query("www.example.com"))
        assert str(reply.rr[0].rdata) == "198.51.100.1"

    async def test_a_silent_recursor_is_a_server_failure(self) -> None:
        async with self.serving_with(says_nothing) as listener:
            reply = await ask_udp(listener.port, query("www.example.com"))
        assert (reply.header.rcode, reply.header.ra) == (dnslib.RCODE.SERVFAIL, 1)

    async def test_an_external_service_is_answered_with_its_address(self) -> None:
        mesh = Mesh().add(web(1, address="www.example.com"))
        async with self.serving_with(knows, mesh) as listener:
            reply = await ask_udp(listener.port, query())
        assert [str(each.rdata) for each in reply.rr] == ["www.example.com.", "198.51.100.1"]

    async def test_own_names_on_tcp_overtake_a_slow_recursor(self) -> None:
        async with self.serving_with(says_nothing, Mesh().add(web(1))) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(framed(query("www.example.com", query_id=1)) + framed(query(query_id=2)))
            assert (await read_message(reader)).header.id == 2
            writer.close()

    async def test_a_client_with_too_many_waiting_questions_fails_at_once(self) -> None:
        async with name_server(says_nothing) as upstream:
            settings = DnsSettings(recursors=(upstream.address,), recursor_timeout_s=60)
            async with serving(Mesh(), settings, limits=Limits(waiting_per_client=1)) as listener:
                with udp_client("127.0.0.1", listener.port) as client:
                    client.send(query("a.example", query_id=1))
                    client.send(query("b.example", query_id=2))
                    reply = dnslib.DNSRecord.parse(await asyncio.get_running_loop().sock_recv(client, 512))
        assert (reply.header.id, reply.header.rcode) == (2, dnslib.RCODE.SERVFAIL)

    def test_a_recursor_that_is_no_address_is_refused_at_the_start_and_on_reload(self) -> None:
        wrong = DnsSettings(recursors=("ns.example.com",))
        with pytest.raises(ValueError, match="recursor"):
            DnsServer(Mesh(), wrong)
        server = DnsServer(Mesh(), DnsSettings())
        with pytest.raises(ValueError, match="recursor"):
            server.reload(wrong)


def test_a_taken_port_is_an_error() -> None:
    listener = bind("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", listener.port)
    listener.close()
