"""Questions to other name servers: real sockets on loopback."""

import socket

import dnslib
import pytest

from pellucid.dns.recursion import addresses_of, forward
from pellucid.dns.settings import DnsSettings, parse_recursor
from pellucid.dns.trimming import Transport
from tests.dns.name_server import NameServer, denies, fails, forged_first, knows, name_server, says_nothing


def packet(query_id: int = 7) -> bytes:
    query = dnslib.DNSRecord.question("www.example.com")
    query.header.id = query_id
    return bytes(query.pack())


async def ask(*servers: NameServer, timeout_s: float = 5.0) -> dnslib.DNSRecord | None:
    settings = DnsSettings(recursors=tuple(each.address for each in servers), recursor_timeout_s=timeout_s)
    reply = await forward(packet(), Transport.UDP, settings)
    return None if reply is None else dnslib.DNSRecord.parse(reply)


async def test_a_reply_comes_back_under_the_askers_id() -> None:
    async with name_server(knows) as server:
        reply = await ask(server)
    assert reply is not None
    assert (reply.header.id, str(reply.rr[0].rdata)) == (7, "198.51.100.1")


async def test_the_first_recursor_that_answers_is_the_last_asked() -> None:
    async with name_server(knows) as first, name_server(knows) as second:
        await ask(first, second)
        assert (len(first.asked), len(second.asked)) == (1, 0)


async def test_the_next_recursor_is_tried_after_a_failure() -> None:
    async with name_server(fails) as first, name_server(knows) as second:
        reply = await ask(first, second)
    assert reply is not None
    assert reply.header.rcode == dnslib.RCODE.NOERROR


async def test_the_next_recursor_is_tried_after_silence() -> None:
    async with name_server(says_nothing) as first, name_server(knows) as second:
        assert await ask(first, second, timeout_s=0.05) is not None
        assert len(first.asked) == 1


async def test_the_next_recursor_is_tried_after_a_refused_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with name_server(knows) as server:
        settings = DnsSettings(recursors=(f"127.0.0.1:{port}", server.address), recursor_timeout_s=5)
        assert await forward(packet(), Transport.UDP, settings) is not None


async def test_a_name_that_does_not_exist_is_an_answer() -> None:
    async with name_server(denies) as first, name_server(knows) as second:
        reply = await ask(first, second)
        assert second.asked == []
    assert reply is not None
    assert reply.header.rcode == dnslib.RCODE.NXDOMAIN


async def test_none_is_told_when_all_fail() -> None:
    async with name_server(fails) as first, name_server(fails) as second:
        assert await ask(first, second) is None


async def test_replies_to_another_question_are_ignored() -> None:
    async with name_server(forged_first) as server:
        reply = await ask(server)
    assert reply is not None
    assert str(reply.rr[0].rdata) == "198.51.100.1"


async def test_addresses_are_found_along_their_aliases() -> None:
    def aliased(query: dnslib.DNSRecord) -> list[dnslib.DNSRecord]:
        zone = f"{query.q.qname} 60 IN CNAME edge.example.net.\nedge.example.net. 60 IN A 198.51.100.1"
        return [query.replyZone(zone)]

    async with name_server(aliased) as server:
        found = await addresses_of(["www.example.com."], DnsSettings(recursors=(server.address,)))
    assert [each.name for each in found["www.example.com."]] == ["www.example.com.", "edge.example.net."]


async def test_names_that_nobody_knows_are_left_out() -> None:
    async with name_server(fails) as server:
        assert await addresses_of(["www.example.com."], DnsSettings(recursors=(server.address,))) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", 53)),
        ("10.0.0.1:", ("10.0.0.1", 53)),
        ("10.0.0.1:5353", ("10.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_a_recursor_is_an_address_with_an_optional_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_recursor(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ns.example.com", "10.0.0.1:0", "10.0.0.1:70000", "[::1]:x", "10.0.0.1:1:2"]
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address"):
        parse_recursor(text)
