"""kind's configuration file, as far as it can be had here; anything else in it is refused by name.

Source: kind docs, "Configuration" (kind.x-k8s.io/v1alpha4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, ip_address
from typing import Any

import msgspec
import yaml

from pellucid.localkube.cluster.definition import PortMapping
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.types.release import InvalidRelease, Release, parse_release

_API_VERSION = "kind.x-k8s.io/v1alpha4"
_NOT_HERE = frozenset(
    {
        "featureGates",
        "runtimeConfig",
        "kubeadmConfigPatches",
        "kubeadmConfigPatchesJSON6902",
        "containerdConfigPatches",
        "containerdConfigPatchesJSON6902",
        "extraMounts",
    }
)
_POD_PREFIX = 16


class InvalidKindConfig(ValueError):
    """The message names the field, its value, and what can be had."""


class KindConfig(msgspec.Struct, frozen=True):
    """What a configuration file asks for; None where it says nothing."""

    name: str | None = None
    nodes: int = 1
    release: Release | None = None
    api_port: int = 0
    pod_network: IPv4Network | None = None
    node_labels: tuple[dict[str, str], ...] = ()
    ports: tuple[PortMapping, ...] = ()


def read_kind_config(text: str) -> KindConfig:
    """From YAML. Raises InvalidKindConfig."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidKindConfig(f"it is not YAML: {error}") from None
    top = _mapping("", document)
    _known("", top, {"kind", "apiVersion", "name", "nodes", "networking"})
    _one_of("kind", top.get("kind"), "Cluster")
    _one_of("apiVersion", top.get("apiVersion"), _API_VERSION)
    nodes = [
        _mapping(f"nodes[{index}]", one) for index, one in enumerate(_list("nodes", top.get("nodes") or [{}]))
    ]
    network = _mapping("networking", top.get("networking") or {})
    return KindConfig(
        name=top.get("name"),
        nodes=_node_count(nodes),
        node_labels=_labels(nodes),
        ports=tuple(one for index, node in enumerate(nodes) for one in _ports(index, node)),
        release=_release(nodes),
        **_networking(network),
    )


def release_of_image(image: str) -> Release:
    """The release that a node image is for: `kindest/node:v1.29.2`, with or without a digest.

    Raises InvalidKindConfig.
    """
    repository, _, tag = image.partition("@")[0].rpartition(":")
    if not repository or "/" in tag:
        raise InvalidKindConfig(f"{image!r} names no release; write it as in kindest/node:v1.29.2")
    try:
        return parse_release(tag)
    except InvalidRelease as problem:
        raise InvalidKindConfig(f"{image!r}: {problem}") from None


def _node_count(nodes: list[Mapping[str, Any]]) -> int:
    for index, node in enumerate(nodes):
        _known(f"nodes[{index}]", node, {"role", "image", "labels", "extraPortMappings"})
        _one_of(f"nodes[{index}].role", node.get("role", "control-plane"), "control-plane", "worker")
    planes = sum(node.get("role", "control-plane") == "control-plane" for node in nodes)
    if planes != 1:
        raise InvalidKindConfig(
            f"nodes: {planes} have the role control-plane; a cluster here has exactly one"
        )
    return len(nodes)


def _release(nodes: list[Mapping[str, Any]]) -> Release | None:
    images = {str(node["image"]) for node in nodes if "image" in node}
    releases = {release_of_image(image) for image in images}
    if len(releases) > 1:
        raise InvalidKindConfig(f"nodes: {', '.join(sorted(images))} differ; all nodes have the same release")
    return next(iter(releases), None)


def _labels(nodes: list[Mapping[str, Any]]) -> tuple[dict[str, str], ...]:
    found = []
    for index, node in enumerate(nodes):
        place = f"nodes[{index}].labels"
        labels = _mapping(place, node.get("labels") or {})
        for name, value in labels.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise InvalidKindConfig(f"{place}.{name}: {value!r} is no text; put it in quotes")
        found.append(dict(labels))
    return tuple(found) if any(found) else ()


def _ports(node: int, settings: Mapping[str, Any]) -> Iterator[PortMapping]:
    for index, given in enumerate(_list("extraPortMappings", settings.get("extraPortMappings") or [])):
        place = f"nodes[{node}].extraPortMappings[{index}]"
        one = _mapping(place, given)
        _known(place, one, {"containerPort", "hostPort", "listenAddress", "protocol"})
        _one_of(f"{place}.protocol", one.get("protocol", "TCP"), "TCP")
        address = str(one.get("listenAddress") or "127.0.0.1")
        try:
            ip_address(address)
        except ValueError:
            raise InvalidKindConfig(f"{place}.listenAddress: {address!r} is no IP address") from None
        host, inner = (_port(f"{place}.{name}", one.get(name)) for name in ("hostPort", "containerPort"))
        yield PortMapping(host, inner, address, node)


def _port(path: str, value: Any) -> int:
    if not isinstance(value, int) or not 0 < value < 65_536:
        raise InvalidKindConfig(f"{path}: {value!r} is no port, 1 to 65535")
    return value


def _networking(network: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        "ipFamily": ("ipv4", "dual"),
        "apiServerAddress": ("127.0.0.1",),
        "disableDefaultCNI": (False,),
        "kubeProxyMode": ("iptables",),
        "serviceSubnet": ("10.96.0.0/16", "10.96.0.0/12"),
    }
    _known("networking", network, {*known, "apiServerPort", "podSubnet"})
    for name, possible in known.items():
        if name in network:
            _one_of(f"networking.{name}", network[name], *possible)
    found: dict[str, Any] = {}
    if "apiServerPort" in network:
        found["api_port"] = _port("networking.apiServerPort", network["apiServerPort"])
    if "podSubnet" in network:
        found["pod_network"] = pod_network(str(network["podSubnet"]))
    return found


def pod_network(text: str) -> IPv4Network:
    """Raises InvalidKindConfig."""
    try:
        network = IPv4Network(text)
    except ValueError as problem:
        raise InvalidKindConfig(f"networking.podSubnet: {text!r}: {problem}") from None
    if network.prefixlen != _POD_PREFIX:
        raise InvalidKindConfig(f"networking.podSubnet: {text!r} must be an IPv4 network of /{_POD_PREFIX}")
    plan = AddressPlan()
    if any(network.overlaps(other) for other in (plan.services_v4, plan.nodes_v4)):
        raise InvalidKindConfig(
            f"networking.podSubnet: {text!r} overlaps the services' or the nodes' network"
        )
    return network


def _mapping(path: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidKindConfig(f"{path or 'the file'}: {value!r} is not a mapping")
    return value


def _list(path: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidKindConfig(f"{path}: {value!r} is not a list")
    return value


def _known(path: str, value: Mapping[str, Any], names: set[str]) -> None:
    for name in value:
        place = f"{path}.{name}" if path else str(name)
        if name in _NOT_HERE:
            raise InvalidKindConfig(f"{place}: clusters here cannot do this; take it out")
        if name not in names:
            raise InvalidKindConfig(f"{place}: unknown field; known are {', '.join(sorted(names))}")


def _one_of(path: str, value: Any, *possible: Any) -> None:
    if value not in possible:
        shown = " or ".join(repr(one) for one in possible)
        raise InvalidKindConfig(f"{path}: {value!r}; a cluster here can have {shown}")
