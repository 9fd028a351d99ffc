"""Queries from sockets "inside" (here: any) to the server that their name belongs to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from dnslib import RCODE, RR, A, DNSRecord

from pellucid.dataplane.namespace.dns_relay import LastAnswers, dns_relay
from pellucid.dataplane.namespace.name_resolution import NameServers
from pellucid.dns.listeners import bind


class Server(asyncio.DatagramProtocol):
    """Answers everything with one address, over UDP and TCP."""

    def __init__(self, address: str) -> None:
        self._address = address

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._transport.sendto(self._answer(data), addr)

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while length := await reader.read(2):
            answer = self._answer(await reader.readexactly(int.from_bytes(length)))
            writer.write(len(answer).to_bytes(2) + answer)
        writer.close()

    def _answer(self, packet: bytes) -> bytes:
        query = DNSRecord.parse(packet)
        reply = query.reply()
        reply.add_answer(RR(query.q.qname, rdata=A(self._address)))
        packed: bytes = reply.pack()
        return packed


async def started(address: str) -> str:
    server = Server(address)
    listener = bind("127.0.0.1", 0)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, sock=listener.udp)
    await asyncio.start_server(server.serve_stream, sock=listener.tcp)
    return f"127.0.0.1:{listener.port}"


@pytest.fixture
async def relay_port() -> AsyncIterator[int]:
    servers = NameServers("consul", await started("240.0.0.1"), await started("192.0.2.1"))
    listener = bind("127.0.0.1", 0)
    async with dns_relay(listener.udp, listener.tcp, servers):
        yield listener.port


async def resolve(port: int, name: str, *, tcp: bool = False) -> tuple[int, str]:
    def ask() -> DNSRecord:
        packet = DNSRecord.question(name).send("127.0.0.1", port, tcp=tcp, timeout=10)
        return DNSRecord.parse(packet)

    answer = await asyncio.to_thread(ask)
    return answer.header.id, str(answer.a.rdata)


@pytest.mark.parametrize("tcp", [False, True])
async def test_each_name_is_answered_by_its_server(relay_port: int, tcp: bool) -> None:
    assert (await resolve(relay_port, "hello.virtual.consul", tcp=tcp))[1] == "240.0.0.1"
    assert (await resolve(relay_port, "example.com", tcp=tcp))[1] == "192.0.2.1"


async def test_answers_of_many_queries_at_once_are_not_mixed_up(relay_port: int) -> None:
    names = [f"n{i}.consul" if i % 2 else f"n{i}.example.com" for i in range(50)]
    answers = await asyncio.gather(*(resolve(relay_port, name) for name in names))
    assert [address for _, address in answers] == [
        "240.0.0.1" if name.endswith("consul") else "192.0.2.1" for name in names
    ]


def test_while_a_server_is_away_its_last_answer_is_given_again_to_the_same_question() -> None:
    answers = LastAnswers()
    first, again = DNSRecord.question("hello.consul"), DNSRecord.question("hello.consul")
    reply = first.reply()
    reply.add_answer(RR("hello.consul", rdata=A("240.0.0.1")))
    answers.remember(bytes(first.pack()), bytes(reply.pack()))
    recalled = DNSRecord.parse(answers.recall(bytes(again.pack())))
    assert (recalled.header.id, str(recalled.a.rdata)) == (again.header.id, "240.0.0.1")
    assert answers.recall(bytes(DNSRecord.question("other.consul").pack())) == b""


def test_a_failure_is_not_remembered_as_an_answer() -> None:
    answers = LastAnswers()
    query = DNSRecord.question("hello.consul")
    failed = query.reply()
    failed.header.rcode = RCODE.SERVFAIL
    answers.remember(bytes(query.pack()), bytes(failed.pack()))
    assert answers.recall(bytes(query.pack())) == b""


async def test_a_server_that_is_not_there_leaves_the_relay_working(relay_port: int) -> None:
    servers = NameServers("consul", "127.0.0.1:1", "127.0.0.1:1")
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    datagrams.setblocking(False)
    stream = socket.create_server(("127.0.0.1", 0))
    async with dns_relay(datagrams, stream, servers):
        _, writer = await asyncio.open_connection(*stream.getsockname())
        writer.write(b"\xff\xffgarbage")
        writer.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"garbage", datagrams.getsockname())
    assert (await resolve(relay_port, "hello.consul"))[1] == "240.0.0.1"
