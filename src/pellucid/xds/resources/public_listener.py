"""The way in: the public listener, and the inner listener behind it.

A connection from another proxy passes two listeners of the same Envoy:

    public listener      mutual TLS; remembers the peer's SPIFFE id; requests are judged here (RBAC)
          |              cluster `allowed_sources`, in memory, no socket
    inner listener       one filter chain for each SPIFFE id that is let in
          |
    local_app

Further ports of a workload that is redirected have a chain and an inner listener each, of the same
identities: a connection arrives with the port it was going to.

An identity without a chain is refused. Taking a chain away ends the connections on it at once and no
others, which is how a deny reaches connections that are open already, and streams inside them. The outer
chain never changes: certificates come by SDS and rules of requests by RDS. See docs/deny.md for figures.

Source: Consul 1.10 agent/xds/listeners.go for names; Envoy docs, "Internal Listener", "Well Known Filter
State Objects", "Matching API".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from xds.type.matcher.v3 import matcher_pb2

from pellucid.rules.protocol import is_http_like
from pellucid.xds.resources import escape_hatch, filters, rbac, routes
from pellucid.xds.resources.matching import (
    BY_PORT,
    CHAINS_KEPT,
    extension,
    original_destination,
    take_chain,
)
from pellucid.xds.resources.messages import packed, prefix, socket_address
from pellucid.xds.resources.tls import downstream_tls
from pellucid.xds.view import (
    ALLOWED_SOURCES,
    AllowedSources,
    ExposedPath,
    PublicListener,
    allowed_sources_name,
    local_app_name,
)

_PUBLIC = "public"
_DENIED = "denied"
_ANY_ADDRESS = {"0.0.0.0": "::"}  # noqa: S104 - where a registration says so


def public_listener(view: PublicListener) -> listener_pb2.Listener:
    """Where other proxies' connections arrive."""
    if view.envoy_listener_json:
        return _written_by_operator(view)
    if is_http_like(view.protocol):
        last = filters.public_requests(view.protocol, routes.PUBLIC_ROUTES)
    else:
        last = filters.tcp_proxy_once_identified("public_listener", ALLOWED_SOURCES)
    listener = listener_pb2.Listener(
        name=view.name,
        address=socket_address(view.address, view.port),
        traffic_direction=base_pb2.INBOUND,
        listener_filters=[original_destination()],
        filter_chains=[_public_chain(_PUBLIC, last), *map(_further_chain, view.further_ports)],
    )
    if view.further_ports:
        listener.filter_chain_matcher.CopyFrom(_by_port(view.further_ports))
    listen_on_ipv6_too(listener, _ANY_ADDRESS.get(view.address, ""), view.port)
    return listener


def _public_chain(name: str, last: listener_components_pb2.Filter) -> listener_components_pb2.FilterChain:
    return listener_components_pb2.FilterChain(
        name=name, filters=[filters.remember_source(), last], transport_socket=downstream_tls()
    )


def _further_chain(port: int) -> listener_components_pb2.FilterChain:
    name = allowed_sources_name(port)
    return _public_chain(name, filters.tcp_proxy_once_identified(f"public_listener_{port}", name))


def _by_port(further_ports: Iterable[int]) -> matcher_pb2.Matcher:
    matcher = matcher_pb2.Matcher(on_no_match=take_chain(_PUBLIC))
    matcher.matcher_tree.input.CopyFrom(BY_PORT)
    for port in further_ports:
        chain = take_chain(allowed_sources_name(port))
        matcher.matcher_tree.exact_match_map.map[str(port)].CopyFrom(chain)
    return matcher


def allowed_sources(view: AllowedSources) -> listener_pb2.Listener:
    """The inner listener: lets the identities in that have a filter chain."""
    chains = [_chain(uri, view.port) for uri in view.spiffe_uris]
    if view.unlisted:
        chains.append(_chain(view.unlisted, view.port))
    if not chains:
        chains.append(listener_components_pb2.FilterChain(name=_DENIED, filters=[filters.close_at_once()]))
    refused = dict.fromkeys(view.refused_spiffe_uris, _DENIED) if view.unlisted else {}
    if refused:
        chains.append(listener_components_pb2.FilterChain(name=_DENIED, filters=[filters.close_at_once()]))
    by_identity = {uri: uri for uri in view.spiffe_uris} | refused
    return listener_pb2.Listener(
        name=allowed_sources_name(view.port),
        internal_listener=listener_pb2.Listener.InternalListenerConfig(),
        filter_chain_matcher=_by_identity(by_identity, view.unlisted or _DENIED),
        filter_chains=chains,
    )


def exposed_path(view: ExposedPath) -> listener_pb2.Listener:
    """One path, in plain, for probes and scrapers outside the mesh."""
    kept = "".join(character for character in view.path if character.isascii() and character.isalnum())
    name = f"exposed_path_filter_{kept}_{view.listener_port}"
    routing = routes.configuration(name, name, [routes.to_cluster(view.cluster, view.path)])
    chain = listener_components_pb2.FilterChain(
        filters=[filters.exposed_requests(name, view.protocol, routing)]
    )
    if view.source_prefixes:
        chain.filter_chain_match.source_prefix_ranges.extend(map(prefix, view.source_prefixes))
    listener = listener_pb2.Listener(
        name=view.name,
        address=socket_address(view.address, view.listener_port),
        traffic_direction=base_pb2.INBOUND,
        filter_chains=[chain],
    )
    listen_on_ipv6_too(listener, _ANY_ADDRESS.get(view.address, ""), view.listener_port)
    return listener


def listen_on_ipv6_too(listener: listener_pb2.Listener, ipv6: str, port: int) -> None:
    """Add an IPv6 address. Binding it works where IPv6 is turned off as well; nothing arrives then."""
    if ipv6:
        listener.additional_addresses.add(address=socket_address(ipv6, port))
        listener.freebind.value = True


@lru_cache(CHAINS_KEPT)
def _chain(name: str, port: int) -> listener_components_pb2.FilterChain:
    last = filters.tcp_proxy(allowed_sources_name(port), local_app_name(port))
    return listener_components_pb2.FilterChain(name=name, filters=[last])


def _by_identity(chain_of: dict[str, str], otherwise: str) -> matcher_pb2.Matcher:
    matcher = matcher_pb2.Matcher(on_no_match=take_chain(otherwise))
    if chain_of:
        identity = network_inputs_pb2.FilterStateInput(key=filters.SOURCE_STATE)
        matcher.matcher_tree.input.CopyFrom(extension("source", identity))
        chosen = matcher.matcher_tree.exact_match_map.map
        for uri, chain in chain_of.items():
            chosen[uri].CopyFrom(take_chain(chain))
    return matcher


def _written_by_operator(view: PublicListener) -> listener_pb2.Listener:
    """The operator's listener with our TLS and our rules in each chain, as Consul does it.

    Its filters are not ours to lead to the inner listener, so here a change of the rules is a change of
    the chains: it ends every connection on them.
    """
    listener = escape_hatch.listener(view.envoy_listener_json, "envoy_public_listener_json")
    rules = rbac.rules(view.rules) if view.rules is not None else None
    in_requests = is_http_like(view.protocol) and all(
        any(_is_manager(item) for item in chain.filters) for chain in listener.filter_chains
    )
    for chain in listener.filter_chains:
        chain.transport_socket.CopyFrom(downstream_tls())
        if rules is None:
            continue
        if in_requests:
            for manager in filter(_is_manager, chain.filters):
                _judge_requests(manager, filters.http_rbac(rules))
        else:
            _put_first(chain.filters, filters.network_rbac(rules))
    return listener


def _is_manager(item: listener_components_pb2.Filter) -> bool:
    descriptor = http_connection_manager_pb2.HttpConnectionManager.DESCRIPTOR
    return bool(item.typed_config.Is(descriptor))


def _judge_requests(
    item: listener_components_pb2.Filter, judge: http_connection_manager_pb2.HttpFilter
) -> None:
    manager = http_connection_manager_pb2.HttpConnectionManager()
    item.typed_config.Unpack(manager)
    _put_first(manager.http_filters, judge)
    item.typed_config.CopyFrom(packed(manager))


def _put_first(items: Any, first: Any) -> None:
    rest: Iterable[Any] = list(items)
    del items[:]
    items.append(first)
    items.extend(rest)
