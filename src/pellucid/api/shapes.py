"""Nodes, services and checks as JSON objects.

The same fact has several shapes: the agent's own view leaves out what is unset and knows no indexes,
the catalog's view shows more, and inside a service's checks the agent uses the client library's shape.

Source: Consul 1.10 agent/structs (NodeService, ServiceNode, HealthCheck), api (AgentService, HealthCheck).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.api.response import sorted_map
from pellucid.model.checks import HealthCheck
from pellucid.model.services import (
    ExposeConfig,
    Node,
    Proxy,
    Service,
    ServiceAddress,
    ServiceKind,
    Upstream,
)
from pellucid.state.tables import Stored

Object = dict[str, Any]


def node_object(stored: Stored[Node]) -> Object:
    """A node, as the catalog and health list it."""
    return {**node_fields(stored.value), "Meta": _map_or_none(stored.value.meta), **_indexes(stored)}


def node_fields(node: Node) -> Object:
    """What every view of a node begins with."""
    return {
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": node.datacenter,
        "TaggedAddresses": _map_or_none(node.tagged_addresses),
    }


def catalog_service_object(node: Node, stored: Stored[Service], proxy: Proxy) -> Object:
    """A service instance with its node, as `catalog/service` lists it."""
    service = stored.value
    return {
        **node_fields(node),
        "NodeMeta": _map_or_none(node.meta),
        "ServiceKind": service.kind.value,
        "ServiceID": service.id,
        "ServiceName": service.name,
        "ServiceTags": list(service.tags),
        "ServiceAddress": service.address,
        **_unless_empty("ServiceTaggedAddresses", _addresses(service.tagged_addresses)),
        "ServiceWeights": _weights(service),
        "ServiceMeta": sorted_map(service.meta or {}),
        "ServicePort": service.port,
        "ServiceSocketPath": service.socket_path,
        "ServiceEnableTagOverride": service.enable_tag_override,
        "ServiceProxy": _catalog_proxy(proxy),
        "ServiceConnect": _connect(service),
        **_indexes(stored),
    }


def node_service_object(stored: Stored[Service], proxy: Proxy, *, empty_tags_as_null: bool = False) -> Object:
    """A service instance without its node, as catalog and health nest it."""
    service = stored.value
    tags: list[str] | None = list(service.tags)
    return {
        **_unless_empty("Kind", service.kind.value),
        "ID": service.id,
        "Service": service.name,
        "Tags": None if empty_tags_as_null and not tags else tags,
        "Address": service.address,
        **_unless_empty("TaggedAddresses", _addresses(service.tagged_addresses)),
        "Meta": _map_or_none(service.meta),
        "Port": service.port,
        **_unless_empty("SocketPath", service.socket_path),
        "Weights": _weights(service),
        "EnableTagOverride": service.enable_tag_override,
        "Proxy": _catalog_proxy(proxy),
        "Connect": _connect(service),
        **_indexes(stored),
    }


def agent_service_object(service: Service, proxy: Proxy, datacenter: str, content_hash: str = "") -> Object:
    """A service as its agent shows it."""
    return {
        **_unless_empty("Kind", service.kind.value),
        "ID": service.id,
        "Service": service.name,
        "Tags": list(service.tags),
        "Meta": sorted_map(service.meta or {}),
        "Port": service.port,
        "Address": service.address,
        "SocketPath": service.socket_path,
        **_unless_empty("TaggedAddresses", _addresses(service.tagged_addresses)),
        "Weights": _weights(service),
        "EnableTagOverride": service.enable_tag_override,
        **_unless_empty("ContentHash", content_hash),
        **({} if service.kind is ServiceKind.TYPICAL else {"Proxy": _agent_proxy(proxy)}),
        **_unless_empty("Connect", _connect(service)),
        "Datacenter": datacenter,
    }


def check_object(stored: Stored[HealthCheck], *, empty_tags_as_null: bool = False) -> Object:
    """A check as the catalog holds it."""
    check = stored.value
    return {
        **_check_fields(check, null_tags=empty_tags_as_null),
        "Type": check.type,
        "ExposedPort": check.exposed_port,
        "Definition": _definition(check),
        **_indexes(stored),
    }


def agent_check_object(check: HealthCheck) -> Object:
    """A check as its agent lists it: no indexes, and how it is run stays private."""
    return {
        **_check_fields(check),
        "Type": check.type,
        "ExposedPort": check.exposed_port,
        "Definition": {},
        "CreateIndex": 0,
        "ModifyIndex": 0,
    }


def client_check_object(check: HealthCheck) -> Object:
    """A check in the client library's shape, as `agent/health/service` nests it."""
    return {
        **_check_fields(check, null_tags=True),
        "Type": "",
        "Definition": dict(_CLIENT_DEFINITION),
        "CreateIndex": 0,
        "ModifyIndex": 0,
    }


_CLIENT_DEFINITION: Object = {
    "Interval": "0s",
    "Timeout": "0s",
    "DeregisterCriticalServiceAfter": "0s",
    "HTTP": "",
    "Header": None,
    "Method": "",
    "Body": "",
    "TLSServerName": "",
    "TLSSkipVerify": False,
    "TCP": "",
}


def _check_fields(check: HealthCheck, *, null_tags: bool = False) -> Object:
    tags: list[str] | None = list(check.service_tags)
    return {
        "Node": check.node,
        "CheckID": check.check_id,
        "Name": check.name,
        "Status": check.status.value,
        "Notes": check.notes,
        "Output": check.output,
        "ServiceID": check.service_id,
        "ServiceName": check.service_name,
        "ServiceTags": None if null_tags and not tags else tags,
    }


def _definition(check: HealthCheck) -> Object:
    return dict(check.definition or {})


def _weights(service: Service) -> Object:
    return {"Passing": service.weights.passing, "Warning": service.weights.warning}


def _connect(service: Service) -> Object:
    return {"Native": True} if service.connect_native else {}


def _catalog_proxy(proxy: Proxy) -> Object:
    """`Mode` is always written, the transparent-proxy block only when it says something."""
    return {
        **_unless_empty("TransparentProxy", _transparent_proxy(proxy)),
        **_destination(proxy),
        "Mode": proxy.mode,
        **_settings(proxy, [_upstream_object(u, datacenter=True) for u in proxy.upstreams]),
    }


def _agent_proxy(proxy: Proxy) -> Object:
    return {
        **_destination(proxy),
        **_unless_empty("Mode", proxy.mode),
        **_unless_empty("TransparentProxy", _transparent_proxy(proxy)),
        **_settings(proxy, [_upstream_object(u, datacenter=False) for u in proxy.upstreams]),
    }


def _destination(proxy: Proxy) -> Object:
    return {
        **_unless_empty("DestinationServiceName", proxy.destination_service_name),
        **_unless_empty("DestinationServiceID", proxy.destination_service_id),
        **_unless_empty("LocalServiceAddress", proxy.local_service_address),
        **_unless_empty("LocalServicePort", proxy.local_service_port),
        **_unless_empty("LocalServiceSocketPath", proxy.local_service_socket_path),
    }


def _settings(proxy: Proxy, upstreams: list[Object]) -> Object:
    return {
        **_unless_empty("Config", sorted_map(proxy.config or {})),
        **_unless_empty("Upstreams", upstreams),
        "MeshGateway": _unless_empty("Mode", proxy.mesh_gateway.mode),
        "Expose": _expose(proxy.expose),
    }


def _transparent_proxy(proxy: Proxy) -> Object:
    settings = proxy.transparent_proxy
    return {
        **_unless_empty("OutboundListenerPort", settings.outbound_listener_port),
        **_unless_empty("DialedDirectly", settings.dialed_directly),
    }


def _expose(expose: ExposeConfig) -> Object:
    paths = [
        {
            **_unless_empty("ListenerPort", path.listener_port),
            **_unless_empty("Path", path.path),
            **_unless_empty("LocalPathPort", path.local_path_port),
            **_unless_empty("Protocol", path.protocol),
            **_unless_empty("ParsedFromCheck", path.parsed_from_check),
        }
        for path in expose.paths
    ]
    return {**_unless_empty("Checks", expose.checks), **_unless_empty("Paths", paths)}


def _upstream_object(upstream: Upstream, *, datacenter: bool) -> Object:
    return {
        "DestinationType": upstream.destination_type,
        **_unless_empty("DestinationNamespace", upstream.destination_namespace),
        "DestinationName": upstream.destination_name,
        **({"Datacenter": upstream.datacenter} if datacenter or upstream.datacenter else {}),
        **_unless_empty("LocalBindAddress", upstream.local_bind_address),
        **_unless_empty("LocalBindPort", upstream.local_bind_port),
        **_unless_empty("LocalBindSocketPath", upstream.local_bind_socket_path),
        **_unless_empty("LocalBindSocketMode", upstream.local_bind_socket_mode),
        **_unless_empty("Config", sorted_map(upstream.config or {})),
        "MeshGateway": _unless_empty("Mode", upstream.mesh_gateway.mode),
    }


def _addresses(addresses: Mapping[str, ServiceAddress] | None) -> Object:
    return (
        {
            tag: {"Address": addresses[tag].address, "Port": addresses[tag].port}
            for tag in sorted(addresses or {})
        }
        if addresses
        else {}
    )


def _map_or_none(mapping: Mapping[str, str] | None) -> Object | None:
    return sorted_map(mapping) if mapping else None


def _unless_empty(key: str, value: Any) -> Object:
    return {key: value} if value else {}


def _indexes(stored: Stored[Any]) -> Object:
    return {"CreateIndex": stored.create_index, "ModifyIndex": stored.modify_index}
