"""The ways out: the listener that redirected connections arrive at, and those of explicit upstreams.

The outbound listener picks a filter chain by the address and port that the application dialled:

    an upstream's address, with its port or any  ->  the chain of that upstream
    an address of a refused service, the pools   ->  closed at once
    anything else                                ->  where it was going, if that is allowed

A chain that changes loses its connections, so a chain holds only what stays: addresses come and go in the
matcher, and what an upstream is like is in its cluster and routes. A Kubernetes Service has one address and
several ports, of which the mesh may know one; the others are none of its business.

Source: Consul 1.10 agent/xds/listeners.go, which matches addresses whatever the port; Envoy docs, "Matching
API". The refusal at the source is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2
from xds.type.matcher.v3 import matcher_pb2

from pellucid.rules.protocol import is_http_like
from pellucid.xds.resources import escape_hatch, filters
from pellucid.xds.resources.matching import (
    BY_ADDRESS,
    BY_PORT,
    CHAINS_KEPT,
    extension,
    original_destination,
    take_chain,
)
from pellucid.xds.resources.messages import pipe_address, prefix, socket_address
from pellucid.xds.resources.public_listener import listen_on_ipv6_too
from pellucid.xds.view import (
    ANY_PORT,
    ORIGINAL_DESTINATION,
    Destination,
    OutboundListener,
    UpstreamListener,
)

_REFUSED = "refused"


def outbound_listener(view: OutboundListener) -> listener_pb2.Listener:
    """Where redirected connections arrive, on the loopback addresses of both families."""
    chosen = _chosen(view)
    listener = listener_pb2.Listener(
        name=view.name,
        address=socket_address("127.0.0.1", view.port),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=_chains(view, chosen),
    )
    by_destination = _by_destination(chosen, view.refused_pools)
    if by_destination is not None:
        listener.filter_chain_matcher.CopyFrom(by_destination)
    if not view.mesh_destinations_only:
        out = filters.tcp_proxy(f"upstream.{ORIGINAL_DESTINATION}", ORIGINAL_DESTINATION)
        listener.default_filter_chain.filters.append(out)
    listener.listener_filters.append(original_destination())
    listen_on_ipv6_too(listener, "::1", view.port)
    return listener


def upstream_listener(view: UpstreamListener) -> listener_pb2.Listener:
    """A local port or socket that leads to one upstream."""
    if view.envoy_listener_json and not view.refused:
        return escape_hatch.listener(view.envoy_listener_json, "envoy_listener_json")
    if view.socket_path:
        address = pipe_address(view.socket_path, _mode(view.socket_mode))
    else:
        address = socket_address(view.address, view.port)
    last = filters.close_at_once() if view.refused else _towards(view.destination)
    return listener_pb2.Listener(
        name=view.name,
        address=address,
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=[listener_components_pb2.FilterChain(filters=[last])],
    )


def _chosen(view: OutboundListener) -> Mapping[str, Mapping[int, str]]:
    """The name of the chain for each address and port; what two claim belongs to the first."""
    found: dict[str, dict[int, str]] = {}
    for item in view.captured:
        for dialled in item.addresses:
            found.setdefault(dialled.ip, {}).setdefault(dialled.port, item.destination.cluster)
    for dialled in view.refused:
        found.setdefault(dialled.ip, {}).setdefault(dialled.port, _REFUSED)
    return found


def _chains(
    view: OutboundListener, chosen: Mapping[str, Mapping[int, str]]
) -> Iterator[listener_components_pb2.FilterChain]:
    """The chains that are chosen, in order of their names."""
    names = {name for by_port in chosen.values() for name in by_port.values()}
    destinations: dict[str, Destination] = {}
    for item in view.captured:
        destinations.setdefault(item.destination.cluster, item.destination)
    for name in sorted(names - {_REFUSED}):
        yield _chain(destinations[name])
    if _REFUSED in names or view.refused_pools:
        yield listener_components_pb2.FilterChain(name=_REFUSED, filters=[filters.close_at_once()])


@lru_cache(CHAINS_KEPT)
def _chain(destination: Destination) -> listener_components_pb2.FilterChain:
    return listener_components_pb2.FilterChain(name=destination.cluster, filters=[_towards(destination)])


def _by_destination(
    chosen: Mapping[str, Mapping[int, str]], refused_pools: Iterable[str]
) -> matcher_pb2.Matcher | None:
    in_pools = _in_pools(refused_pools)
    if not chosen:
        return in_pools
    matcher = matcher_pb2.Matcher()
    matcher.matcher_tree.input.CopyFrom(BY_ADDRESS)
    for ip, by_port in chosen.items():
        matcher.matcher_tree.exact_match_map.map[ip].CopyFrom(_by_port(tuple(by_port.items())))
    if in_pools is not None:
        matcher.on_no_match.matcher.CopyFrom(in_pools)
    return matcher


@lru_cache(CHAINS_KEPT)
def _by_port(chains: tuple[tuple[int, str], ...]) -> matcher_pb2.Matcher.OnMatch:
    if chains[0][0] == ANY_PORT and len(chains) == 1:
        return take_chain(chains[0][1])
    found = matcher_pb2.Matcher.OnMatch()
    found.matcher.matcher_tree.input.CopyFrom(BY_PORT)
    for port, chain in chains:
        if port == ANY_PORT:
            found.matcher.on_no_match.CopyFrom(take_chain(chain))
        else:
            found.matcher.matcher_tree.exact_match_map.map[str(port)].CopyFrom(take_chain(chain))
    return found


def _in_pools(pools: Iterable[str]) -> matcher_pb2.Matcher | None:
    ranges = [prefix(pool) for pool in pools]
    if not ranges:
        return None
    matcher = matcher_pb2.Matcher()
    matched = matcher.matcher_list.matchers.add(on_match=take_chain(_REFUSED))
    predicate = matched.predicate.single_predicate
    predicate.input.CopyFrom(BY_ADDRESS)
    predicate.custom_match.CopyFrom(extension("pools", ip_pb2.Ip(cidr_ranges=ranges, stat_prefix="pools")))
    return matcher


def _towards(destination: Destination) -> listener_components_pb2.Filter:
    stat_prefix = f"upstream.{destination.target}"
    if is_http_like(destination.protocol):
        return filters.upstream_requests(stat_prefix, destination.protocol, destination.route)
    return filters.tcp_proxy(stat_prefix, destination.cluster)


def _mode(octal: str) -> int:
    """Permission bits; 0, Envoy's own choice, for none or for what is no octal number."""
    try:
        return int(octal or "0", 8)
    except ValueError:
        return 0
