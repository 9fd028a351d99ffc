"""kind's configuration file: what of it can be had, and that the rest is refused by name."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from pellucid.localkube.cluster.definition import PortMapping
from pellucid.localkube.cluster.kind_config import InvalidKindConfig, KindConfig, read_kind_config
from pellucid.localkube.types.release import Release

HEAD = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"


def read(text: str = "") -> KindConfig:
    return read_kind_config(HEAD + text)


def test_an_empty_configuration_is_one_node() -> None:
    assert read() == KindConfig()


def test_what_can_be_had_is_read() -> None:
    config = read(
        "name: shop\n"
        "nodes:\n"
        "- {role: control-plane, image: 'kindest/node:v1.29.2@sha256:0123'}\n"
        "- {role: worker}\n"
        "- {role: worker, image: 'kindest/node:v1.29.2@sha256:0123'}\n"
        "networking: {ipFamily: dual, apiServerPort: 6443, podSubnet: 10.20.0.0/16}\n"
    )
    assert config == KindConfig("shop", 3, Release(29, 2), 6443, IPv4Network("10.20.0.0/16"))


def test_labels_and_ports_of_nodes_are_read() -> None:
    config = read(
        "nodes:\n"
        "- labels: {ingress-ready: 'true'}\n"
        "  extraPortMappings: [{containerPort: 30080, hostPort: 8080, protocol: TCP}]\n"
        "- role: worker\n"
        "  extraPortMappings: [{containerPort: 30443, hostPort: 8443, listenAddress: '::'}]\n"
    )
    assert config.node_labels == ({"ingress-ready": "true"}, {})
    assert config.ports == (PortMapping(8080, 30080), PortMapping(8443, 30443, "::", 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes: [{labels: {a: true}}]", r"nodes\[0\].labels.a: True is no text; put it in quotes"),
        ("nodes: [{extraPortMappings: [{containerPort: 80}]}]", r"Mappings\[0\].hostPort: None is no port"),
        (
            "nodes: [{extraPortMappings: [{containerPort: 80, hostPort: 80, protocol: UDP}]}]",
            r"protocol: 'UDP'; .* can have 'TCP'",
        ),
        (
            "nodes: [{extraPortMappings: [{containerPort: 80, hostPort: 80, listenAddress: here}]}]",
            "listenAddress: 'here' is no IP address",
        ),
        ("nodes: 3", "nodes: 3 is not a list"),
        ("nodes: [worker]", r"nodes\[0\]: 'worker' is not a mapping"),
        ("nodes: [{role: worker}]", "nodes: 0 have the role control-plane"),
        ("nodes: [{}, {}]", "nodes: 2 have the role control-plane"),
        ("nodes: [{role: etcd}]", r"nodes\[0\].role: 'etcd'"),
        ("nodes: [{image: kindest/node}]", "'kindest/node' names no release"),
        ("nodes: [{image: 'kindest/node:v1.20.0'}]", "'v1.20.0' is not offered"),
        (
            "nodes: [{image: 'a:v1.30.0'}, {role: worker, image: 'a:v1.29.0'}]",
            "nodes: a:v1.29.0, a:v1.30.0 differ",
        ),
        ("nodes: [{extraMounts: []}]", r"nodes\[0\].extraMounts: clusters here cannot do this"),
        (
            "nodes: [{rle: worker}]",
            r"nodes\[0\].rle: unknown field; known are .* role",
        ),
        ("featureGates: {A: true}", "featureGates: clusters here cannot do this"),
        ("networking: {ipFamily: ipv6}", "networking.ipFamily: 'ipv6'; .* 'ipv4' or 'dual'"),
        ("networking: {disableDefaultCNI: true}", "networking.disableDefaultCNI: True"),
        ("networking: {apiServerAddress: 0.0.0.0}", "networking.apiServerAddress: '0.0.0.0'"),
        ("networking: {apiServerPort: 99999}", "networking.apiServerPort: 99999 is no port"),
        (
            "networking: {podSubnet: 10.0.0.0/24}",
            "networking.podSubnet: '10.0.0.0/24' must be an IPv4 network",
        ),
        ("networking: {podSubnet: 10.96.0.0/16}", "networking.podSubnet: '10.96.0.0/16' overlaps"),
        ("networking: {podSubnet: here}", "networking.podSubnet: 'here'"),
        ("networking: {serviceSubnet: 10.0.0.0/16}", "networking.serviceSubnet: '10.0.0.0/16'"),
        ("names: a", "names: unknown field"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name_and_value(text: str, said: str) -> None:
    with pytest.raises(InvalidKindConfig, match=said):
        read(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not YAML"),
        ("- a", r"the file: \['a'\] is not a mapping"),
        ("kind: Cluster\napiVersion: kind.sigs.k8s.io/v1alpha3", "apiVersion: 'kind.sigs.k8s.io/v1alpha3'"),
        ("apiVersion: kind.x-k8s.io/v1alpha4", "kind: None"),
    ],
)
def test_another_kind_of_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidKindConfig, match=said):
        read_kind_config(text)
