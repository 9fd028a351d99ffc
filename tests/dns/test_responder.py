"""One packet's way through the room: replies, their reuse, and what is left to recursors."""

from collections import Counter
from ipaddress import IPv4Address
from random import Random

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dns.cache import MAX_ENTRIES, USES_PER_VARIANT, VARIANTS
from pellucid.dns.records import A, Record
from pellucid.dns.responder import Forward, Resolve, Responder
from pellucid.dns.settings import DnsSettings
from pellucid.dns.trimming import Transport
from tests.dns.mesh import NOW_S, Mesh, web

WEB = "web.service.consul"


def responder(mesh: Mesh, settings: DnsSettings | None = None) -> Responder:
    return Responder(mesh, settings or DnsSettings(), rng=Random(1), clock=lambda: NOW_S)


def query(name: str = WEB, qtype: str = "A", query_id: int = 7, **header: int) -> bytes:
    record = dnslib.DNSRecord.question(name, qtype)
    record.header.id = query_id
    for field, value in header.items():
        setattr(record.header, field, value)
    return bytes(record.pack())


def ask(subject: Responder, packet: bytes, transport: Transport = Transport.UDP) -> dnslib.DNSRecord:
    outcome = subject.respond(packet, transport)
    assert isinstance(outcome, bytes)
    return dnslib.DNSRecord.parse(outcome)


def addresses(reply: dnslib.DNSRecord) -> list[str]:
    return [str(each.rdata) for each in reply.rr]


def test_a_reply_repeats_the_question_and_is_authoritative() -> None:
    reply = ask(responder(Mesh().add(web(1))), query("WEB.service.consul", rd=1, query_id=513))
    header = reply.header
    assert (header.id, header.qr, header.aa, header.rd, header.ra, header.tc) == (513, 1, 1, 1, 0, 0)
    assert str(reply.q.qname) == "WEB.service.consul."
    assert addresses(reply) == ["10.0.0.2"]


def test_a_reply_is_built_once_and_sent_again_under_each_id() -> None:
    mesh = Mesh().add(web(1))
    subject = responder(mesh)
    replies = [ask(subject, query(query_id=number)) for number in range(20)]
    assert [reply.header.id for reply in replies] == list(range(20))
    assert mesh.reads["web"] == 1
    assert subject.caches[Transport.UDP].hits == 19


def test_a_changed_service_is_answered_anew_and_others_are_not() -> None:
    mesh = Mesh().add(web(1))
    subject = responder(mesh)
    ask(subject, query())
    ask(subject, query("api.service.consul"))
    mesh.services["web"] = (web(2),)
    assert addresses(ask(subject, query())) == ["10.0.0.3"]
    ask(subject, query("api.service.consul"))
    assert mesh.reads["api"] == 1


def test_transports_do_not_share_replies() -> None:
    subject = responder(Mesh().add(*(web(number) for number in range(10))))
    assert len(ask(subject, query()).rr) == 3
    assert len(ask(subject, query(), Transport.TCP).rr) == 10


def test_every_instance_comes_first_about_equally_often_though_few_replies_are_built() -> None:
    mesh = Mesh().add(*(web(number) for number in range(4)))
    subject = responder(mesh)
    queries = 10 * VARIANTS * USES_PER_VARIANT
    first: Counter[bytes] = Counter()
    for _ in range(queries):
        outcome = subject.respond(query(), Transport.UDP)
        assert isinstance(outcome, bytes)
        first[outcome[len(query()) + 12 :][:4]] += 1
    assert len(first) == 4
    assert min(first.values()) > queries / 8
    assert mesh.reads["web"] < queries / USES_PER_VARIANT * 1.5


def test_a_flood_of_names_leaves_memory_bounded() -> None:
    subject = responder(Mesh())
    for number in range(MAX_ENTRIES + 10):
        subject.respond(query(f"x{number}.service.consul"), Transport.UDP)
    assert len(subject.caches[Transport.UDP]) <= MAX_ENTRIES


def test_new_settings_take_effect_at_once() -> None:
    subject = responder(Mesh().add(web(1)))
    ask(subject, query())
    subject.reload(DnsSettings(service_ttl_s={"web": 60}))
    assert ask(subject, query()).rr[0].ttl == 60


def test_a_view_that_fails_for_one_name_is_a_server_failure_for_that_name() -> None:
    class Failing(Mesh):
        def service_instances(self, service: str):  # type: ignore[no-untyped-def]
            if service == "bad":
                raise RuntimeError("derivation failed")
            return super().service_instances(service)

    subject = responder(Failing().add(web(1)))
    assert ask(subject, query("bad.service.consul")).header.rcode == dnslib.RCODE.SERVFAIL
    assert addresses(ask(subject, query())) == ["10.0.0.2"]


def test_foreign_names_are_refused_without_recursors() -> None:
    reply = ask(responder(Mesh()), query("example.com"))
    assert (reply.header.rcode, reply.header.aa, reply.header.ra) == (dnslib.RCODE.REFUSED, 0, 0)


def test_foreign_names_are_forwarded_with_recursors_and_fail_when_none_answers() -> None:
    packet = query("example.com")
    outcome = responder(Mesh(), DnsSettings(recursors=("10.0.0.53",))).respond(packet, Transport.UDP)
    assert isinstance(outcome, Forward)
    assert outcome.packet == packet
    failure = dnslib.DNSRecord.parse(outcome.otherwise).header
    assert (failure.rcode, failure.ra) == (dnslib.RCODE.SERVFAIL, 1)


def test_an_answer_that_leads_outside_is_completed_with_what_is_found() -> None:
    mesh = Mesh().add(web(1, address="web.example.com"))
    subject = responder(mesh, DnsSettings(recursors=("10.0.0.53",)))
    outcome = subject.respond(query(), Transport.UDP)
    assert isinstance(outcome, Resolve)
    assert outcome.names == ("web.example.com.",)
    found = {"web.example.com.": (Record("web.example.com.", 9, A(IPv4Address("198.51.100.1"))),)}
    reply = dnslib.DNSRecord.parse(subject.complete(outcome, found))
    assert addresses(reply) == ["web.example.com.", "198.51.100.1"]
    assert addresses(dnslib.DNSRecord.parse(outcome.otherwise)) == ["web.example.com."]


def test_an_answer_that_follows_names_is_built_each_time() -> None:
    mesh = Mesh().add(web(1, address="web.example.com"))
    subject = responder(mesh)
    ask(subject, query())
    ask(subject, query())
    assert mesh.reads["web"] == 2


@pytest.mark.parametrize(("qclass", "rcode"), [(1, 0), (255, 0), (3, 5)])
def test_only_the_internet_class_is_served(qclass: int, rcode: int) -> None:
    packet = query()[:-2] + qclass.to_bytes(2, "big")
    assert ask(responder(Mesh().add(web(1))), packet).header.rcode == rcode


def test_an_unknown_edns_version_is_refused_with_the_version_we_speak() -> None:
    record = dnslib.DNSRecord.question(WEB)
    record.add_ar(dnslib.EDNS0(version=1, udp_len=1232))
    (option,) = ask(responder(Mesh().add(web(1))), bytes(record.pack())).ar
    assert option.ttl >> 16 == 0x0100


@given(st.binary(max_size=200), st.sampled_from(list(Transport)))
def test_arbitrary_bytes_are_answered_or_dropped(packet: bytes, transport: Transport) -> None:
    outcome = responder(Mesh().add(web(1))).respond(packet, transport)
    assert outcome is None or isinstance(outcome, bytes)


@given(st.integers(12, 60), st.integers(0, 255), st.sampled_from(["A", "SRV", "PTR", "TXT", "SOA", "ANY"]))
def test_a_damaged_query_is_answered_or_dropped(position: int, value: int, qtype: str) -> None:
    packet = bytearray(query("_web._tcp.service.consul", qtype))
    packet[position % len(packet)] = value
    outcome = responder(Mesh().add(web(1))).respond(bytes(packet), Transport.UDP)
    assert outcome is None or isinstance(outcome, bytes)
