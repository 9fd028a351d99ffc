"""Which lookup a name spells (Consul 1.10 docs, "DNS Interface")."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dns.names import (
    AddressLookup,
    ApexLookup,
    ConnectLookup,
    ForeignName,
    IngressLookup,
    Lookup,
    NodeLookup,
    NoSuchName,
    QueryLookup,
    ReverseLookup,
    ServiceLookup,
    VirtualLookup,
    parse_name,
)
from pellucid.dns.records import RecordType
from pellucid.dns.settings import DnsSettings

SETTINGS = DnsSettings(datacenter="dc1", alt_domain="test.example.")


def lookup(name: str, qtype: RecordType = RecordType.A) -> Lookup:
    return parse_name(name.split(".") if name else [], qtype, SETTINGS)[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web.service.consul", ServiceLookup("web")),
        ("web.service.dc1.consul", ServiceLookup("web")),
        ("primary.web.service.consul", ServiceLookup("web", "primary")),
        ("v1.2.web.service.consul", ServiceLookup("web", "v1.2")),
        ("_web._tcp.service.consul", ServiceLookup("web")),
        ("_web._primary.service.consul", ServiceLookup("web", "primary")),
        ("web_api.service.consul", ServiceLookup("web_api")),
        ("web.connect.consul", ConnectLookup("web")),
        ("web.ingress.dc1.consul", IngressLookup("web")),
        ("n1.node.consul", NodeLookup("n1")),
        ("host.rack.node.dc1.consul", NodeLookup("host.rack")),
        ("nearest.query.consul", QueryLookup("nearest")),
        ("0a000001.addr.dc1.consul", AddressLookup(IPv4Address("10.0.0.1"))),
        ("fd000000000000000000000000000001.addr.consul", AddressLookup(IPv6Address("fd00::1"))),
        ("web.virtual.consul", VirtualLookup("web")),
        ("web.service.test.example", ServiceLookup("web")),
        ("1.0.0.10.in-addr.arpa", ReverseLookup(IPv4Address("10.0.0.1"))),
        (".".join("1" + "0" * 29 + "df") + ".ip6.arpa", ReverseLookup(IPv6Address("fd00::1"))),
        ("10.in-addr.arpa", ReverseLookup(None)),
        ("x.0.0.10.in-addr.arpa", ReverseLookup(None)),
        ("arpa", ReverseLookup(None)),
        ("example.com", ForeignName()),
        ("notconsul", ForeignName()),
        ("", ForeignName()),
    ],
)
def test_a_name_spells_a_lookup(name: str, expected: Lookup) -> None:
    assert lookup(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "consul",
        "service.consul",
        "web.consul",
        "web.service.dc9.consul",
        "web.service.more.dc1.consul",
        "0a0000.addr.consul",
        "zz000001.addr.consul",
        "x.0a000001.addr.consul",
        "_web._tcp.consul",
    ],
)
def test_a_name_that_cannot_exist_is_told_apart(name: str) -> None:
    assert lookup(name) == NoSuchName()


def test_srv_questions_may_leave_the_service_label_out() -> None:
    assert lookup("_web._tcp.consul", RecordType.SRV) == ServiceLookup("web")
    assert lookup("_web._primary.dc1.consul", RecordType.SRV) == ServiceLookup("web", "primary")


def test_the_keyword_nearest_to_the_domain_decides() -> None:
    assert lookup("service.node.consul") == NodeLookup("service")
    assert lookup("node.service.consul") == ServiceLookup("node")


def test_soa_and_ns_questions_are_about_the_zone_whatever_the_name() -> None:
    assert lookup("consul", RecordType.SOA) == ApexLookup()
    assert lookup("web.service.consul", RecordType.NS) == ApexLookup()


def test_the_answer_belongs_to_the_zone_that_was_asked() -> None:
    assert parse_name(["web", "service", "test", "example"], RecordType.A, SETTINGS)[1] == "test.example."
    assert parse_name(["web", "service", "consul"], RecordType.A, SETTINGS)[1] == "consul."


@given(
    st.lists(st.sampled_from(["web", "service", "node", "_a", "addr", "dc1", "consul", "arpa", "ip6", ""]))
)
def test_every_name_has_a_lookup(labels: list[str]) -> None:
    assert isinstance(parse_name(labels, RecordType.SRV, SETTINGS)[0], Lookup)
