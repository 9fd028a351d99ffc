"""Packets in and out, held against another implementation (dnslib's parser)."""

import struct
from ipaddress import IPv4Address, IPv6Address

import dnslib
import pytest
from dnslib.label import DNSLabel
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dns.queries import Edns, Malformed, Query, Question, decode_query
from pellucid.dns.records import (
    AAAA,
    CNAME,
    NS,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    Data,
    Rcode,
    Record,
    Reply,
    is_representable,
    labels_of,
    text_of,
)
from pellucid.dns.replies import encode_refusal, encode_reply
from pellucid.dns.trimming import message_size

any_label = st.binary(min_size=1, max_size=20)
any_labels = st.lists(any_label, max_size=8).map(tuple)
plain_names = st.lists(st.from_regex(r"[a-z0-9_-]{1,12}", fullmatch=True), min_size=1, max_size=5).map(
    lambda labels: ".".join(labels) + "."
)
numbers = st.integers(0, 65535)
record_data: st.SearchStrategy[Data] = st.one_of(
    st.builds(A, st.builds(IPv4Address, st.integers(0, 2**32 - 1))),
    st.builds(AAAA, st.builds(IPv6Address, st.integers(0, 2**128 - 1))),
    st.builds(CNAME, plain_names),
    st.builds(NS, plain_names),
    st.builds(PTR, plain_names),
    st.builds(SRV, numbers, numbers, numbers, plain_names),
    st.builds(TXT, st.text(max_size=600)),
    st.builds(SOA, plain_names, plain_names, numbers, numbers, numbers, numbers, numbers),
)
records = st.lists(st.builds(Record, plain_names, numbers, record_data), max_size=6).map(tuple)
replies = st.builds(Reply, st.sampled_from(list(Rcode)), records, records, records)


def encoded(query: Query, reply: Reply, compress: bool = True) -> bytes:
    return encode_reply(query, reply, authoritative=True, recursion_available=False, compress=compress)


@given(
    any_labels,
    numbers,
    numbers,
    st.booleans(),
    st.none() | st.builds(Edns, numbers, st.just(0), st.booleans()),
)
def test_a_query_reads_as_it_was_written(
    labels: tuple[bytes, ...], qtype: int, query_id: int, recurse: bool, edns: Edns | None
) -> None:
    written = dnslib.DNSRecord(
        dnslib.DNSHeader(id=query_id, rd=int(recurse)), q=dnslib.DNSQuestion(DNSLabel(labels), qtype)
    )
    if edns:
        written.add_ar(dnslib.EDNS0(udp_len=edns.udp_bytes, flags="do" if edns.dnssec_ok else ""))
    expected = Query(query_id, Question(labels, qtype), recursion_desired=recurse, edns=edns)
    assert decode_query(bytes(written.pack())) == expected


@given(any_labels)
def test_a_name_survives_its_presentation_form(labels: tuple[bytes, ...]) -> None:
    assert labels_of(text_of(labels)) == labels


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(packet: bytes) -> None:
    assert isinstance(decode_query(packet), Query | Malformed | None)


@given(st.binary(max_size=80), numbers)
def test_no_body_behind_a_good_header_makes_the_reader_fail(body: bytes, additional: int) -> None:
    header = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, additional % 4)
    assert isinstance(decode_query(header + body), Query | Malformed)


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (struct.pack("!HHHHHH", 7, 0, 0, 0, 0, 0), Rcode.FORMERR),
        (struct.pack("!HHHHHH", 7, 0, 2, 0, 0, 0) + b"\0\0\1\0\1" * 2, Rcode.FORMERR),
        (struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1", Rcode.FORMERR),
        (struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + b"\3web", Rcode.FORMERR),
        (struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + b"\x3fx" * 70, Rcode.FORMERR),
        (
            struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 1) + b"\0\0\1\0\1" + b"\0\0\x29\2\0\0\0\0\0\0\xff",
            Rcode.FORMERR,
        ),
        (struct.pack("!HHHHHH", 7, 0x2800, 1, 0, 0, 0) + b"\0\0\1\0\1", Rcode.NOTIMP),
    ],
)
def test_a_malformed_packet_gets_a_bare_error(packet: bytes, rcode: Rcode) -> None:
    malformed = decode_query(packet)
    assert isinstance(malformed, Malformed)
    reply = dnslib.DNSRecord.parse(encode_refusal(malformed))
    assert (reply.header.id, reply.header.qr, reply.header.rcode) == (7, 1, rcode)


def raw_query(name: bytes, *additional: bytes) -> bytes:
    header = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, len(additional))
    return header + name + b"\0\1\0\1" + b"".join(additional)


def raw_option(data: bytes = b"", name: bytes = b"\0") -> bytes:
    return name + struct.pack("!HHIH", 41, 1232, 0, len(data)) + data


def raw_subnet(length: int) -> bytes:
    return struct.pack("!HH", 8, length) + bytes(length)


COOKIE = struct.pack("!HH", 10, 8) + b"12345678"
SIGNATURE = b"\0" + struct.pack("!HHIH", 250, 255, 0, 3) + b"abc"


@pytest.mark.parametrize(
    "packet",
    [
        raw_query(b"\x3f" + b"x" * 63 + b"\0"),
        raw_query((b"\x3f" + b"x" * 63) * 3 + b"\x3d" + b"x" * 61 + b"\0"),
        raw_query(b"\0", SIGNATURE, raw_option()),
        raw_query(b"\0", raw_option(COOKIE + raw_subnet(4))),
        raw_query(b"\0", raw_option(raw_subnet(20))),
    ],
)
def test_the_largest_and_the_oddest_of_the_allowed_are_read(packet: bytes) -> None:
    assert isinstance(decode_query(packet), Query)


@pytest.mark.parametrize(
    "packet",
    [
        raw_query(b"\x40" + b"x" * 64 + b"\0"),
        raw_query((b"\x3f" + b"x" * 63) * 3 + b"\x3e" + b"x" * 62 + b"\0"),
        raw_query(b"\0", SIGNATURE, SIGNATURE, SIGNATURE),
        raw_query(b"\0", raw_option(), raw_option()),
        raw_query(b"\0", raw_option(name=b"\1x\0")),
        raw_query(b"\0", raw_option(raw_subnet(3))),
        raw_query(b"\0", raw_option(raw_subnet(21))),
        raw_query(b"\0", raw_option(COOKIE[:-1])),
        raw_query(b"\0", SIGNATURE[:-1]),
    ],
)
def test_one_step_further_is_malformed(packet: bytes) -> None:
    assert isinstance(decode_query(packet), Malformed)


def test_the_client_subnet_is_found_among_other_options() -> None:
    query = decode_query(raw_query(b"\0", raw_option(COOKIE + raw_subnet(7) + COOKIE)))
    assert isinstance(query, Query)
    assert query.edns == Edns(1232, client_subnet=bytes(7))


def test_replies_and_fragments_are_never_answered() -> None:
    assert decode_query(struct.pack("!HHHHHH", 7, 0x8000, 1, 0, 0, 0) + b"\0\0\1\0\1") is None
    assert decode_query(b"\0" * 11) is None


@given(replies, st.booleans())
def test_another_parser_reads_every_record_of_a_reply(reply: Reply, compress: bool) -> None:
    query = Query(9, Question((b"web", b"service", b"consul"), 1))
    parsed = dnslib.DNSRecord.parse(encoded(query, reply, compress))
    sections = (parsed.rr, parsed.auth, parsed.ar)
    for written, read in zip((reply.answer, reply.authority, reply.additional), sections, strict=True):
        assert [(each.name, each.ttl_s) for each in written] == [(str(each.rname), each.ttl) for each in read]
        for each, resource in zip(written, read, strict=True):
            assert_same_data(each.data, resource.rdata)


def assert_same_data(data: Data, rdata: dnslib.RD) -> None:
    match data:
        case A() | AAAA():
            assert data.address.packed == bytes(rdata.data)
        case CNAME() | NS() | PTR():
            assert data.target == str(rdata.label)
        case SRV():
            assert data == SRV(rdata.priority, rdata.weight, rdata.port, str(rdata.target))
        case TXT():
            assert data.text.encode() == b"".join(rdata.data)
        case SOA():
            assert data == SOA(str(rdata.mname), str(rdata.rname), *rdata.times)


@given(replies)
def test_the_judged_size_is_exact_without_compression_and_never_too_small_with_it(reply: Reply) -> None:
    query = Query(9, Question((b"web", b"service", b"consul"), 1))
    name = query.question.name
    assert message_size(reply, name, compressed=False) == len(encoded(query, reply, compress=False))
    assert message_size(reply, name, compressed=True) >= len(encoded(query, reply))


def test_names_beyond_the_reach_of_a_pointer_stay_right() -> None:
    names = [f"node{number}.node.dc1.consul." for number in range(2000)]
    reply = Reply(answer=tuple(Record(name, 0, CNAME(name)) for name in names))
    parsed = dnslib.DNSRecord.parse(encoded(Query(9, Question((b"web",), 1)), reply))
    assert [str(each.rname) for each in parsed.rr] == names
    assert [str(each.rdata.label) for each in parsed.rr] == names


def test_compression_shortens_and_can_be_off() -> None:
    query = Query(9, Question((b"web", b"service", b"consul"), 1))
    reply = Reply(answer=(Record("web.service.consul.", 0, A(IPv4Address("10.0.0.1"))),))
    assert len(encoded(query, reply)) == len(encoded(query, reply, compress=False)) - 18


def test_records_that_dns_cannot_carry_are_left_out() -> None:
    bad = Record("web.", 0, CNAME("x" * 64 + "."))
    good = Record("web.", 0, CNAME("y."))
    parsed = dnslib.DNSRecord.parse(encoded(Query(9, Question((b"web",), 1)), Reply(answer=(bad, good))))
    assert [str(each.rdata.label) for each in parsed.rr] == ["y."]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.b.", True),
        (".", True),
        ("a..b.", False),
        ("a" * 63 + ".", True),
        ("a" * 64 + ".", False),
        ("a." * 128, False),
    ],
)
def test_what_dns_can_carry(name: str, expected: bool) -> None:
    assert is_representable(name) is expected


def test_the_edns_option_comes_back_with_the_askers_size_and_subnet_at_scope_zero() -> None:
    subnet = bytes.fromhex("0001181800") + b"\x0a\x01\x02"
    query = Query(9, Question((b"web",), 1), edns=Edns(1232, client_subnet=subnet[1:]))
    (option,) = dnslib.DNSRecord.parse(encoded(query, Reply())).ar
    assert option.rtype == dnslib.QTYPE.OPT
    assert option.rclass == 1232
    assert option.rdata[0].code == 8
    assert option.rdata[0].data[3] == 0


def test_an_extended_rcode_is_split_between_header_and_option() -> None:
    query = Query(9, Question((b"web",), 1), edns=Edns(1232, version=1))
    parsed = dnslib.DNSRecord.parse(encoded(query, Reply(Rcode.BADVERS)))
    assert parsed.header.rcode == 0
    assert parsed.ar[0].ttl >> 24 == 1
