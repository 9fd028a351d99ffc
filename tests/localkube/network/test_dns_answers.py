from typing import Any

from pellucid.localkube.network.dns_answers import Record, Zone, answer, make_zone

Object = dict[str, Any]
WEB = {
    "metadata": {"namespace": "d", "name": "web"},
    "spec": {"clusterIPs": ["10.96.0.7"], "ports": [{"name": "http", "port": 80}]},
}
PEERS = {
    "metadata": {"namespace": "d", "name": "peers"},
    "spec": {"clusterIP": "None", "clusterIPs": ["None"]},
}
AWAY = {
    "metadata": {"namespace": "d", "name": "away"},
    "spec": {"type": "ExternalName", "externalName": "x.org"},
}
SLICE = {
    "metadata": {"namespace": "d", "labels": {"kubernetes.io/service-name": "peers"}},
    "endpoints": [
        {"addresses": ["10.244.0.2"], "hostname": "peers-0", "conditions": {"ready": True}},
        {"addresses": ["10.244.0.3"], "conditions": {"ready": False}},
    ],
    "ports": [{"name": "gossip", "port": 7000}],
}


def zone() -> Zone:
    return make_zone(
        [WEB, PEERS, AWAY], [SLICE], [{"metadata": {"name": "d"}}], {"example.com": ("198.51.100.1",)}
    )


def values(name: str, kind: str) -> list[str]:
    return [record.value for record in answer(zone(), name, kind).records]


def test_a_service_is_its_cluster_address() -> None:
    assert values("Web.d.svc.cluster.local", "A") == ["10.96.0.7"]


def test_it_has_no_ipv6_address_but_exists() -> None:
    reply = answer(zone(), "web.d.svc.cluster.local", "AAAA")
    assert (reply.known, reply.records) == (True, ())


def test_a_headless_service_is_its_ready_endpoints() -> None:
    assert values("peers.d.svc.cluster.local", "A") == ["10.244.0.2"]
    assert values("peers-0.peers.d.svc.cluster.local", "A") == ["10.244.0.2"]


def test_named_ports_are_srv_records() -> None:
    assert values("_http._tcp.web.d.svc.cluster.local", "SRV") == ["80 web.d.svc.cluster.local"]
    assert values("_gossip._tcp.peers.d.svc.cluster.local", "SRV") == [
        "7000 peers-0.peers.d.svc.cluster.local"
    ]


def test_addresses_lead_back_to_names() -> None:
    assert values("7.0.96.10.in-addr.arpa", "PTR") == ["web.d.svc.cluster.local"]


def test_an_external_name_is_an_alias() -> None:
    assert answer(zone(), "away.d.svc.cluster.local", "A").records == (
        Record("away.d.svc.cluster.local", "CNAME", "x.org"),
    )


def test_pods_are_named_by_their_address() -> None:
    assert values("10-244-0-2.d.pod.cluster.local", "A") == ["10.244.0.2"]
    assert not answer(zone(), "10-244-0-2.nowhere.pod.cluster.local", "A").known


def test_names_that_are_not_there_do_not_exist_but_their_parents_do() -> None:
    assert not answer(zone(), "no.d.svc.cluster.local", "A").known
    assert answer(zone(), "d.svc.cluster.local", "A").known


def test_other_names_are_others_to_answer_except_stand_ins() -> None:
    assert not answer(zone(), "pypi.org", "A").ours
    assert values("example.com", "A") == ["198.51.100.1"]
