"""What questions about nodes, addresses and the zone itself are told."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from pellucid.dns.answers import Recurse
from pellucid.dns.records import AAAA, NS, PTR, SOA, TXT, A, Rcode, Record, RecordType, Reply
from pellucid.dns.settings import DnsSettings
from pellucid.dns.view import Instance, Node, VirtualAddresses
from pellucid.model.checks import CheckStatus
from tests.dns.mesh import Mesh, web

N1 = "n1.node.consul."


def mesh_with(node: Node) -> Mesh:
    mesh = Mesh()
    mesh.nodes[node.name] = node
    return mesh


def test_a_node_name_answers_its_address_with_the_node_ttl() -> None:
    reply = mesh_with(Node("n1", "10.0.0.1")).reply(N1, settings=DnsSettings(node_ttl_s=10))
    assert reply == Reply(answer=(Record(N1, 10, A(IPv4Address("10.0.0.1"))),))


def test_a_node_offers_its_tagged_address_for_the_other_family() -> None:
    mesh = mesh_with(Node("n1", "10.0.0.1", tagged_addresses={"lan_ipv6": "fd00::1"}))
    assert mesh.reply(N1, RecordType.AAAA).answer == (Record(N1, 0, AAAA(IPv6Address("fd00::1"))),)


def test_an_unknown_node_does_not_exist() -> None:
    assert Mesh().reply(N1).rcode is Rcode.NXDOMAIN


def test_metadata_is_additional_to_addresses_and_the_answer_to_txt_and_any() -> None:
    mesh = mesh_with(Node("n1", "10.0.0.1", meta={"rack": "r1"}))
    text = Record(N1, 0, TXT("rack=r1"))
    assert mesh.reply(N1).additional == (text,)
    assert mesh.reply(N1, RecordType.TXT).answer == (text,)
    assert mesh.reply(N1, RecordType.ANY).answer[1:] == (text,)
    quiet = DnsSettings(enable_additional_node_meta_txt=False)
    assert mesh.reply(N1, settings=quiet).additional == ()
    assert mesh.reply(N1, RecordType.TXT, quiet).answer == (text,)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("key", "value", "key=value"),
        ("a=b", "c=d", "a`=b=c=d"),
        ("tick`", "`", "tick``=``"),
        (" lead", "x", "` lead=x"),
        ("trail ", "x", "trail` =x"),
        ("rfc1035-00", "v=spf1 -all", "v=spf1 -all"),
        ("RFC1035-1", "bare", "bare"),
    ],
)
def test_metadata_is_written_as_rfc_1464_attributes(key: str, value: str, text: str) -> None:
    (record,) = mesh_with(Node("n1", "10.0.0.1", meta={key: value})).reply(N1, RecordType.TXT).answer
    assert record.data == TXT(text)


def test_a_node_has_no_data_of_other_types() -> None:
    reply = mesh_with(Node("n1", "10.0.0.1")).reply(N1, RecordType.SRV)
    assert (reply.rcode, reply.answer) == (Rcode.NOERROR, ())
    assert isinstance(reply.authority[0].data, SOA)


def test_an_address_name_answers_the_address_it_spells() -> None:
    name = "0a000001.addr.dc1.consul."
    record = Record(name, 0, A(IPv4Address("10.0.0.1")))
    assert Mesh().reply(name) == Reply(answer=(record,))
    assert Mesh().reply(name, RecordType.ANY) == Reply(answer=(record,))
    assert Mesh().reply(name, RecordType.AAAA) == Reply(additional=(record,))


def test_prepared_queries_do_not_exist() -> None:
    assert Mesh().reply("nearest.query.consul.").rcode is Rcode.NXDOMAIN


class TestReverse:
    """Names under `arpa.`."""

    @pytest.fixture
    def mesh(self) -> Mesh:
        mesh = Mesh().add(web(1, address="192.168.0.1"))
        mesh.virtual["web"] = VirtualAddresses(IPv4Address("240.0.0.1"), IPv6Address("fd00:240::1"))
        return mesh

    @pytest.mark.parametrize(
        ("address", "target"),
        [
            ("10.0.0.2", "n1.node.dc1.consul."),
            ("192.168.0.1", "web.service.dc1.consul."),
            ("240.0.0.1", "web.virtual.consul."),
            ("fd00:240::1", "web.virtual.consul."),
        ],
    )
    def test_an_address_answers_its_owners_name(self, mesh: Mesh, address: str, target: str) -> None:
        pointer = (IPv6Address(address) if ":" in address else IPv4Address(address)).reverse_pointer + "."
        assert mesh.reply(pointer, RecordType.PTR).answer == (Record(pointer, 0, PTR(target)),)

    def test_a_stranger_is_left_to_the_recursors(self, mesh: Mesh) -> None:
        assert mesh.ask("9.9.9.9.in-addr.arpa.", RecordType.PTR) == Recurse(Rcode.SERVFAIL)


class TestZone:
    """The zone itself."""

    @pytest.fixture
    def mesh(self) -> Mesh:
        servers = [Instance("consul", Node(f"Server{number}", f"10.0.0.{number}")) for number in range(1, 5)]
        return Mesh().add(
            *servers,
            Instance("consul", Node("bad_name", "10.0.0.8")),
            Instance("consul", Node("down", "10.0.0.9"), status=CheckStatus.CRITICAL),
        )

    def test_ns_names_three_servers_and_their_addresses(self, mesh: Mesh) -> None:
        reply = mesh.reply("consul.", RecordType.NS)
        names = {each.data.target for each in reply.answer if isinstance(each.data, NS)}
        assert len(names) == 3
        assert names < {f"server{number}.node.dc1.consul." for number in range(1, 5)}
        assert {each.name for each in reply.additional} == names

    def test_soa_comes_with_the_name_servers(self, mesh: Mesh) -> None:
        reply = mesh.reply("consul.", RecordType.SOA)
        assert isinstance(reply.answer[0].data, SOA)
        assert len(reply.authority) == len(reply.additional) == 3

    def test_the_alternative_domain_answers_under_its_own_name(self, mesh: Mesh) -> None:
        reply = mesh.reply("alt.example.", RecordType.SOA, DnsSettings(alt_domain="alt.example"))
        assert reply.answer[0].name == "alt.example."

    def test_the_zones_name_has_no_address(self, mesh: Mesh) -> None:
        assert mesh.reply("consul.").rcode is Rcode.NXDOMAIN

    def test_zone_transfers_are_not_implemented(self, mesh: Mesh) -> None:
        assert mesh.reply("consul.", RecordType.AXFR).rcode is Rcode.NOTIMP

    def test_foreign_names_are_left_to_the_recursors(self, mesh: Mesh) -> None:
        assert mesh.ask("example.com.") == Recurse(Rcode.REFUSED)
