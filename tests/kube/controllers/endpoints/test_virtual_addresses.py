"""Which ports of the Services in front of a pod are in the mesh, and which port of the pod they lead to."""

from __future__ import annotations

import pytest

from pellucid.kube.controllers.endpoints.observed import ServicePort, cluster_service_of
from pellucid.model.services import ServiceAddress
from tests.kube.controllers.endpoints.pods import instance_of, pod, service

TWO_PORTS = service(ports=(ServicePort(80, "http"), ServicePort(90, "admin")))


def tagged(one: object, *services: object) -> dict[str, ServiceAddress]:
    return dict(instance_of(one, *services).tagged_addresses or {})  # type: ignore[arg-type]


def test_a_further_port_leads_to_the_pods_other_port() -> None:
    assert tagged(pod(is_redirected=True), TWO_PORTS) == {
        "virtual": ServiceAddress("10.96.0.7", 80),
        "virtual.90:9090": ServiceAddress("10.96.0.7", 90),
    }


def test_so_it_does_by_another_service_and_by_ipv6() -> None:
    admin = service("web-admin", cluster_ips=("10.96.0.8", "fd00::8"), ports=(ServicePort(90, 9090),))
    assert set(tagged(pod(is_redirected=True), service(), admin)) == {
        "virtual",
        "virtual-web-admin.90:9090",
        "virtual-web-admin.ipv6.90:9090",
    }


def test_a_headless_service_has_further_ports_without_an_address() -> None:
    headless = service(cluster_ips=(), ports=TWO_PORTS.ports)
    assert tagged(pod(is_redirected=True), headless) == {"virtual.90:9090": ServiceAddress("", 90)}


@pytest.mark.parametrize(
    "annotations",
    [
        {"transparent-proxy-exclude-inbound-ports": "22, 9090"},
        {"prometheus-scrape-port": "9090"},
    ],
)
def test_a_port_that_redirection_leaves_alone_is_not_the_meshs(annotations: dict[str, str]) -> None:
    assert set(tagged(pod(is_redirected=True, annotations=annotations), TWO_PORTS)) == {"virtual"}


def test_a_port_of_the_sidecar_is_not_the_meshs() -> None:
    metrics = service(ports=(ServicePort(80, "http"), ServicePort(9102, 20200)))
    assert set(tagged(pod(is_redirected=True), metrics)) == {"virtual"}


def test_of_a_pod_that_is_not_redirected_only_its_own_port_is_the_meshs() -> None:
    assert set(tagged(pod(), TWO_PORTS)) == {"virtual"}


def test_ports_of_other_protocols_are_not_the_meshs() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}, {"port": 80}]
    read = cluster_service_of({"metadata": {"name": "dns"}, "spec": {"ports": ports}})
    assert read is not None
    assert [port.number for port in read.ports] == [53, 80]
