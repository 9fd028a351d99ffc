"""How a reply is made to fit its transport."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dns.queries import Edns, Query, Question
from pellucid.dns.records import SOA, SRV, TXT, A, Record, RecordType, Reply, labels_of
from pellucid.dns.replies import encode_reply
from pellucid.dns.settings import DnsSettings
from pellucid.dns.trimming import MAX_TCP_ANSWERS, Transport, first_answers, message_size, most_answers, trim
from tests.dns.mesh import Mesh, web

WEB = "web.service.consul."
DEFAULTS = DnsSettings()


def reply_of(count: int, qtype: RecordType = RecordType.A) -> Reply:
    return Mesh().add(*(web(number) for number in range(count))).reply(WEB, qtype)


@pytest.mark.parametrize(("limit", "expected"), [(3, 3), (5, 5), (20, 8)])
def test_udp_without_edns_carries_a_few_answers(limit: int, expected: int) -> None:
    settings = DnsSettings(udp_answer_limit=limit)
    assert len(trim(reply_of(20), WEB, Transport.UDP, None, settings).answer) == expected


def test_an_edns_offer_of_512_bytes_is_no_offer() -> None:
    assert len(trim(reply_of(20), WEB, Transport.UDP, Edns(512), DEFAULTS).answer) == 3


def test_a_larger_offer_is_filled() -> None:
    kept = trim(reply_of(400), WEB, Transport.UDP, Edns(1232), DEFAULTS)
    assert len(kept.answer) == (1232 - 12 - 24 - 11) // 16


def test_tcp_carries_them_all() -> None:
    assert trim(reply_of(400), WEB, Transport.TCP, None, DEFAULTS) == reply_of(400)


def test_tcp_has_limits_too() -> None:
    assert most_answers(Transport.TCP, None, DEFAULTS) == MAX_TCP_ANSWERS + 1
    assert len(trim(reply_of(5000), WEB, Transport.TCP, None, DEFAULTS).answer) == (65523 - 36) // 16
    assert len(trim(reply_of(1100, RecordType.SRV), WEB, Transport.TCP, None, DEFAULTS).answer) < 1024


def test_additional_records_of_dropped_targets_go_with_them() -> None:
    kept = trim(reply_of(20, RecordType.SRV), WEB, Transport.UDP, None, DEFAULTS)
    targets = {each.data.target for each in kept.answer if isinstance(each.data, SRV)}
    assert len(targets) == 3
    assert {each.name for each in kept.additional} == targets


def test_authority_goes_before_answers() -> None:
    soa = Record("consul.", 0, SOA("ns.consul.", "h.consul.", 1, 1, 1, 1, 1))
    full = Reply(answer=tuple(Record(WEB, 0, TXT("x" * 120)) for _ in range(3)), authority=(soa,))
    kept = trim(full, WEB, Transport.UDP, None, DEFAULTS)
    assert kept.authority == ()
    assert len(kept.answer) == 3


@pytest.mark.parametrize("enabled", [False, True])
def test_the_truncated_bit_is_set_where_enabled(enabled: bool) -> None:
    settings = DnsSettings(enable_truncate=enabled)
    assert trim(reply_of(20), WEB, Transport.UDP, None, settings).truncated is enabled
    assert not trim(reply_of(2), WEB, Transport.UDP, None, settings).truncated


def test_one_answer_that_is_too_long_is_replaced_by_the_truncated_bit() -> None:
    long = Reply(answer=(Record(WEB, 0, TXT("x" * 600)),))
    assert trim(long, WEB, Transport.UDP, None, DEFAULTS) == Reply(truncated=True)


@given(
    st.integers(1, 60),
    st.none() | st.integers(0, 1000),
    st.sampled_from([RecordType.A, RecordType.SRV]),
    st.sampled_from(list(Transport)),
)
def test_building_no_more_answers_than_fit_changes_no_reply(
    count: int, offer: int | None, qtype: RecordType, transport: Transport
) -> None:
    edns = None if offer is None else Edns(offer)
    settings = DnsSettings(enable_truncate=True)
    full = reply_of(count, qtype)
    part = first_answers(full, most_answers(transport, edns, settings))
    assert trim(part, WEB, transport, edns, settings) == trim(full, WEB, transport, edns, settings)


@given(
    st.integers(0, 60), st.integers(0, 5000), st.booleans(), st.sampled_from([RecordType.A, RecordType.SRV])
)
def test_no_reply_is_larger_than_the_asker_takes(
    count: int, offer: int, compress: bool, qtype: RecordType
) -> None:
    settings = DnsSettings(disable_compression=not compress)
    full = Reply(answer=(Record(WEB, 0, A(IPv4Address(1))),)) if count == 0 else reply_of(count, qtype)
    kept = trim(full, WEB, Transport.UDP, Edns(offer), settings)
    assert message_size(kept, WEB, compressed=compress) + 11 <= max(512, offer)
    assert kept.answer == full.answer[: len(kept.answer)]
    assert kept.answer


@given(st.integers(1, 60), st.integers(513, 3000), st.booleans())
def test_a_reply_is_as_full_as_it_can_be(count: int, offer: int, with_subnet: bool) -> None:
    edns = Edns(offer, client_subnet=bytes.fromhex("00011800c00002") if with_subnet else b"")
    settings = DnsSettings(disable_compression=True)
    full = reply_of(count)
    kept = len(trim(full, WEB, Transport.UDP, edns, settings).answer)
    assert encoded_size(first_answers(full, kept), edns) <= offer
    assert kept == count or encoded_size(first_answers(full, kept + 1), edns) > offer


def encoded_size(reply: Reply, edns: Edns) -> int:
    query = Query(1, Question(labels_of(WEB), RecordType.A), edns=edns)
    return len(encode_reply(query, reply, authoritative=True, recursion_available=False, compress=False))
