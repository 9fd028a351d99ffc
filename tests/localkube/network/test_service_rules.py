import re
import subprocess
from typing import Any

import pytest

from pellucid.localkube.network.service_rules import filter_table, host_ports, nat_table, service_ports

Object = dict[str, Any]


def service(name: str = "s", **spec: Any) -> Object:
    spec = {"clusterIPs": ["10.96.0.7"], "ports": [{"port": 80, "protocol": "TCP"}], **spec}
    return {"metadata": {"namespace": "d", "name": name}, "spec": spec}


def slice_of(name: str, *endpoints: tuple[str, bool], port: int = 8080, family: str = "IPv4") -> Object:
    return {
        "metadata": {"namespace": "d", "labels": {"kubernetes.io/service-name": name}},
        "addressType": family,
        "endpoints": [{"addresses": [one], "conditions": {"ready": ready}} for one, ready in endpoints],
        "ports": [{"port": port, "protocol": "TCP"}],
    }


def nat(services: list[Object], slices: list[Object], pods: tuple[Object, ...] = (), version: int = 4) -> str:
    ports = service_ports(services, slices, version=version)
    local = ["172.30.0.2"] if version == 4 else ["fd00::2"]
    network = "10.244.0.0/16" if version == 4 else "fd00:10:244::/112"
    hosts = host_ports(pods, "n", version=version)
    return nat_table(ports, hosts, version=version, local_addresses=local, pods=network)


def test_connections_are_spread_evenly_over_ready_endpoints() -> None:
    rules = nat(
        [service()], [slice_of("s", ("10.244.0.2", True), ("10.244.0.3", True), ("10.244.0.4", False))]
    )
    assert re.findall(r"--to-destination (\S+)", rules) == ["10.244.0.2:8080", "10.244.0.3:8080"]
    assert re.findall(r"--probability (\S+)", rules) == ["0.5000000000"]


def test_a_service_without_endpoints_refuses() -> None:
    ports = service_ports([service()], [slice_of("s", ("10.244.0.2", False))], version=4)
    assert "-d 10.96.0.7 -p tcp --dport 80" in filter_table(ports, version=4)
    assert "--to-destination" not in nat([service()], [])


def test_headless_and_external_services_have_no_rules() -> None:
    services = [service("a", clusterIPs=["None"]), service("b", type="ExternalName", clusterIPs=[])]
    assert service_ports(services, [slice_of("a", ("10.244.0.2", True))], version=4) == ()


def test_affinity_sends_a_client_where_it_was_sent_before() -> None:
    rules = nat([service(sessionAffinity="ClientIP")], [slice_of("s", ("10.244.0.2", True))])
    assert "--rcheck --seconds 10800" in rules


def test_two_host_ports_of_one_number_and_different_protocols_both_work() -> None:
    ports = [{"containerPort": 8301, "hostPort": 8301, "protocol": kind} for kind in ("TCP", "UDP")]
    pod = {
        "spec": {"nodeName": "n", "containers": [{"ports": ports}]},
        "status": {"podIPs": [{"ip": "10.244.0.9"}]},
    }
    assert set(re.findall(r"-p (\w+) --dport 8301 -j DNAT", nat([], [], (pod,)))) == {"tcp", "udp"}


@pytest.mark.root
@pytest.mark.parametrize(("version", "command"), [(4, "iptables-restore"), (6, "ip6tables-restore")])
def test_the_kernel_takes_every_kind_of_rule(version: int, command: str) -> None:
    address, family = ("10.244.0.2", "IPv4") if version == 4 else ("fd00:10:244::2", "IPv6")
    own = ["10.96.0.7"] if version == 4 else ["fd00:96::7"]
    services = [
        service(clusterIPs=own, sessionAffinity="ClientIP", ports=[{"port": 80, "nodePort": 30080}]),
        service("e", clusterIPs=own, ports=[{"port": 81}]),
    ]
    slices = [slice_of("s", (address, True), (address[:-1] + "3", True), family=family)]
    pod = {
        "spec": {"nodeName": "n", "containers": [{"ports": [{"containerPort": 1, "hostPort": 2}]}]},
        "status": {"podIPs": [{"ip": address}]},
    }
    tables = nat(services, slices, (pod,), version)
    tables += filter_table(service_ports(services, slices, version=version), version=version)
    done = subprocess.run(
        ["unshare", "--net", command], input=tables, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
