"""What a question about a service is told."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from pellucid.dns.records import AAAA, CNAME, SOA, SRV, TXT, A, Rcode, Record, RecordType, Reply
from pellucid.dns.settings import DnsSettings, SoaSettings
from pellucid.dns.view import Instance, Node, VirtualAddresses
from pellucid.model.checks import CheckStatus
from tests.dns.mesh import NOW_S, Mesh, web

WEB = "web.service.consul."
SOA_RECORD = Record(
    "consul.",
    0,
    SOA("ns.consul.", "hostmaster.consul.", int(NOW_S), 3600, 600, 86400, 0),
)


def addresses(reply: Reply) -> set[str]:
    return {str(each.data.address) for each in reply.answer if isinstance(each.data, A | AAAA)}


def test_an_instance_is_reached_at_its_node_unless_it_has_an_address() -> None:
    mesh = Mesh().add(web(1), web(2, address="192.168.0.2"))
    assert addresses(mesh.reply(WEB)) == {"10.0.0.2", "192.168.0.2"}


def test_the_answer_repeats_the_spelling_of_the_question() -> None:
    (record,) = Mesh().add(web(1)).reply("WeB.Service.CONSUL.").answer
    assert record.name == "WeB.Service.CONSUL."


@pytest.mark.parametrize(
    ("only_passing", "expected"),
    [(False, {"10.0.0.1", "10.0.0.2"}), (True, {"10.0.0.1"})],
)
def test_critical_instances_are_never_named_and_warning_ones_only_if_allowed(
    only_passing: bool, expected: set[str]
) -> None:
    mesh = Mesh().add(web(0), web(1, status=CheckStatus.WARNING), web(2, status=CheckStatus.CRITICAL))
    assert addresses(mesh.reply(WEB, settings=DnsSettings(only_passing=only_passing))) == expected


def test_no_healthy_instance_is_no_such_name_with_soa() -> None:
    mesh = Mesh().add(web(1, status=CheckStatus.CRITICAL))
    assert mesh.reply(WEB) == Reply(Rcode.NXDOMAIN, authority=(SOA_RECORD,))


def test_no_record_of_the_asked_type_is_an_empty_answer_with_soa() -> None:
    assert Mesh().add(web(1)).reply(WEB, RecordType.AAAA) == Reply(authority=(SOA_RECORD,))


def test_negative_answers_live_as_long_as_the_soa_says() -> None:
    reply = Mesh().reply(WEB, settings=DnsSettings(soa=SoaSettings(min_ttl_s=30)))
    assert reply.authority[0].ttl_s == 30


def test_tags_select_instances_without_regard_to_case() -> None:
    mesh = Mesh().add(web(1, tags=("Primary",)), web(2, tags=("v1.2",)))
    assert addresses(mesh.reply("primary.web.service.consul.")) == {"10.0.0.2"}
    assert addresses(mesh.reply("v1.2.web.service.consul.")) == {"10.0.0.3"}
    assert mesh.reply("other.web.service.consul.").rcode is Rcode.NXDOMAIN


def test_one_address_shared_by_instances_is_named_once() -> None:
    mesh = Mesh().add(web(1, port=1), web(1, port=2))
    assert len(mesh.reply(WEB).answer) == 1


def test_the_order_differs_from_reply_to_reply() -> None:
    mesh = Mesh().add(*(web(number) for number in range(8)))
    orders = {mesh.ask(WEB, seed=seed) for seed in range(20)}
    assert len(orders) > 1


def test_tagged_addresses_serve_the_family_that_the_address_lacks() -> None:
    tagged = {"lan_ipv4": "10.9.9.9", "lan_ipv6": "fd00::9"}
    mesh = Mesh().add(web(1, address="10.1.1.1", tagged_addresses=tagged))
    assert addresses(mesh.reply(WEB)) == {"10.1.1.1"}
    assert addresses(mesh.reply(WEB, RecordType.AAAA)) == {"fd00::9"}


def test_a_record_limit_caps_addresses() -> None:
    mesh = Mesh().add(*(web(number) for number in range(8)))
    assert len(mesh.reply(WEB, settings=DnsSettings(a_record_limit=2)).answer) == 2


@pytest.mark.parametrize(
    ("ttls", "expected"),
    [({}, 0), ({"*": 5}, 5), ({"*": 5, "we*": 7}, 7), ({"web": 9, "we*": 7}, 9), ({"api": 1}, 0)],
)
def test_the_ttl_is_that_of_the_name_or_of_the_longest_prefix(ttls: dict[str, int], expected: int) -> None:
    (record,) = Mesh().add(web(1)).reply(WEB, settings=DnsSettings(service_ttl_s=ttls)).answer
    assert record.ttl_s == expected


def test_srv_targets_the_node_or_spells_the_instances_own_address() -> None:
    mesh = Mesh().add(web(1), web(2, address="192.168.0.2", port=9090))
    reply = mesh.reply(WEB, RecordType.SRV)
    node, own = "n1.node.dc1.consul.", "c0a80002.addr.dc1.consul."
    assert set(reply.answer) == {
        Record(WEB, 0, SRV(1, 1, 8080, node)),
        Record(WEB, 0, SRV(1, 1, 9090, own)),
    }
    assert set(reply.additional) == {
        Record(node, 0, A(IPv4Address("10.0.0.2"))),
        Record(own, 0, A(IPv4Address("192.168.0.2"))),
    }


@pytest.mark.parametrize("qtype", [RecordType.A, RecordType.SRV])
def test_an_answer_of_addresses_alone_follows_no_other_names(qtype: RecordType) -> None:
    assert not Mesh().add(web(1), web(2, address="10.9.9.9")).reply(WEB, qtype).follows_names


def test_srv_weight_follows_the_status() -> None:
    mesh = Mesh().add(web(1, status=CheckStatus.WARNING, weight_passing=10, weight_warning=3))
    (record,) = mesh.reply(WEB, RecordType.SRV).answer
    assert isinstance(record.data, SRV)
    assert record.data.weight == 3


def test_srv_names_each_place_once() -> None:
    mesh = Mesh().add(web(1), web(1), web(1, port=9))
    assert len(mesh.reply(WEB, RecordType.SRV).answer) == 2


def test_srv_carries_the_nodes_metadata() -> None:
    node = Node("n1", "10.0.0.1", meta={"rack": "r1"})
    reply = Mesh().add(web(1, node=node)).reply(WEB, RecordType.SRV)
    assert Record("n1.node.dc1.consul.", 0, TXT("rack=r1")) in reply.additional


def test_srv_leaves_out_a_node_whose_name_dns_cannot_carry() -> None:
    mesh = Mesh().add(web(1, node=Node("n" * 64, "10.0.0.1")), web(2))
    (record,) = mesh.reply(WEB, RecordType.SRV).answer
    assert isinstance(record.data, SRV)
    assert record.data.target == "n2.node.dc1.consul."


def test_rfc_2782_names_find_the_service() -> None:
    reply = Mesh().add(web(1)).reply("_web._tcp.service.consul.", RecordType.SRV)
    assert len(reply.answer) == 1


def test_connect_and_ingress_names_are_answered_by_their_proxies() -> None:
    mesh = Mesh()
    mesh.connect["web"] = (web(1, port=21000),)
    mesh.ingress["web"] = (web(2, port=8443),)
    assert addresses(mesh.reply("web.connect.consul.")) == {"10.0.0.2"}
    assert addresses(mesh.reply("web.ingress.consul.")) == {"10.0.0.3"}
    assert mesh.reply(WEB).rcode is Rcode.NXDOMAIN


class TestAliases:
    """An address that is a name."""

    def test_a_name_of_our_own_is_followed(self) -> None:
        mesh = Mesh().add(web(1, address="n9.node.consul"))
        mesh.nodes["n9"] = Node("n9", "10.9.0.9")
        reply = mesh.reply(WEB)
        assert reply.answer == (
            Record(WEB, 0, CNAME("n9.node.consul.")),
            Record("n9.node.consul.", 0, A(IPv4Address("10.9.0.9"))),
        )
        assert reply.follows_names

    def test_a_foreign_name_is_left_to_the_caller(self) -> None:
        mesh = Mesh().add(web(1, address="web.example.com"))
        reply = mesh.reply(WEB)
        assert reply.answer == (Record(WEB, 0, CNAME("web.example.com.")),)
        assert reply.unresolved == ("web.example.com.",)

    def test_a_found_foreign_name_travels_with_the_services_ttl(self) -> None:
        found = {"web.example.com.": (Record("web.example.com.", 300, A(IPv4Address("198.51.100.1"))),)}
        reply = Mesh().add(web(1, address="web.example.com")).ask(WEB, external=found)
        assert isinstance(reply, Reply)
        assert reply.answer[1] == Record("web.example.com.", 0, A(IPv4Address("198.51.100.1")))
        assert reply.unresolved == ()

    def test_an_alias_gives_way_to_an_instance_with_an_ip(self) -> None:
        mesh = Mesh().add(web(1, address="web.example.com"), web(2))
        assert addresses(mesh.reply(WEB)) == {"10.0.0.3"}

    def test_srv_targets_the_name(self) -> None:
        reply = Mesh().add(web(1, address="web.example.com")).reply(WEB, RecordType.SRV)
        assert reply.answer[0].data == SRV(1, 1, 8080, "web.example.com.")
        assert reply.follows_names
        assert reply.unresolved == ("web.example.com.",)

    def test_services_that_point_at_each_other_end(self) -> None:
        mesh = Mesh().add(
            web(1, address="api.service.consul"),
            Instance("api", Node("n2", "10.0.0.9"), address="web.service.consul"),
        )
        assert 1 <= len(mesh.reply(WEB).answer) <= 6

    def test_a_service_that_points_at_itself_has_no_data(self) -> None:
        assert Mesh().add(web(1, address="web.service.consul")).reply(WEB).answer == ()


class TestVirtualAddresses:
    """The addresses by which the mesh knows a service."""

    @pytest.fixture
    def mesh(self) -> Mesh:
        mesh = Mesh().add(web(1))
        mesh.virtual["web"] = VirtualAddresses(IPv4Address("240.0.0.1"), IPv6Address("fd00:240::1"))
        return mesh

    def test_a_virtual_name_answers_both_families(self, mesh: Mesh) -> None:
        assert addresses(mesh.reply("web.virtual.consul.")) == {"240.0.0.1"}
        assert addresses(mesh.reply("web.virtual.consul.", RecordType.AAAA)) == {"fd00:240::1"}

    def test_an_unknown_virtual_name_does_not_exist(self, mesh: Mesh) -> None:
        assert mesh.reply("api.virtual.consul.").rcode is Rcode.NXDOMAIN

    def test_a_virtual_name_has_no_other_types(self, mesh: Mesh) -> None:
        assert mesh.reply("web.virtual.consul.", RecordType.SRV) == Reply(authority=(SOA_RECORD,))

    def test_inside_the_mesh_the_service_name_answers_the_virtual_address(self, mesh: Mesh) -> None:
        inside = DnsSettings(service_names_resolve_to_virtual=True)
        assert addresses(mesh.reply(WEB, settings=inside)) == {"240.0.0.1"}
        assert addresses(mesh.reply(WEB, RecordType.AAAA, inside)) == {"fd00:240::1"}

    def test_outside_it_answers_the_instances(self, mesh: Mesh) -> None:
        assert addresses(mesh.reply(WEB)) == {"10.0.0.2"}

    def test_inside_the_mesh_srv_and_tags_still_name_instances(self, mesh: Mesh) -> None:
        inside = DnsSettings(service_names_resolve_to_virtual=True)
        mesh.add(web(2, tags=("blue",)))
        assert addresses(mesh.reply("blue.web.service.consul.", settings=inside)) == {"10.0.0.3"}
        assert len(mesh.reply(WEB, RecordType.SRV, inside).answer) == 2

    def test_inside_the_mesh_a_service_without_virtual_address_answers_its_instances(self) -> None:
        inside = DnsSettings(service_names_resolve_to_virtual=True)
        assert addresses(Mesh().add(web(1)).reply(WEB, settings=inside)) == {"10.0.0.2"}
