"""The ways out: the listener that redirected connections arrive at, and those of explicit upstreams.

The outbound listener picks a filter chain by the address the application dialled, the longest prefix
first: an upstream's addresses, then mesh addresses that are refused, then (if allowed) everything else.
A chain that changes loses its connections, so a chain holds only what stays: addresses that may come and
go have a chain each, and what an upstream is like is in its cluster and routes.

Source: Consul 1.10 agent/xds/listeners.go; the refusal at the source is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2

from pellucid.rules.protocol import is_http_like
from pellucid.xds.resources import escape_hatch, filters
from pellucid.xds.resources.messages import packed, pipe_address, prefix, socket_address
from pellucid.xds.resources.public_listener import CHAINS_KEPT, listen_on_ipv6_too
from pellucid.xds.view import ORIGINAL_DESTINATION, Captured, Destination, OutboundListener, UpstreamListener


def outbound_listener(view: OutboundListener) -> listener_pb2.Listener:
    """Where redirected connections arrive, on the loopback addresses of both families."""
    listener = listener_pb2.Listener(
        name=view.name,
        address=socket_address("127.0.0.1", view.port),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=[*_captured(view), *_refused(view), *_everything_else(view)],
    )
    original_destination = packed(original_dst_pb2.OriginalDst())
    listener.listener_filters.add(
        name="envoy.filters.listener.original_dst", typed_config=original_destination
    )
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


def disjoint(captured: Iterable[Captured]) -> Iterator[Captured]:
    """The same, each address in the first place it has; what is left without any is left out.

    Envoy refuses a listener in which two chains match the same address.
    """
    taken: set[str] = set()
    for item in captured:
        addresses = tuple(address for address in dict.fromkeys(item.addresses) if address not in taken)
        taken.update(addresses)
        if addresses:
            yield Captured(addresses, item.destination)


def _captured(view: OutboundListener) -> Iterator[listener_components_pb2.FilterChain]:
    for item in sorted(disjoint(view.captured), key=lambda item: item.addresses[0]):
        yield _captured_chain(item)


@lru_cache(CHAINS_KEPT)
def _captured_chain(view: Captured) -> listener_components_pb2.FilterChain:
    return _chain(view.addresses, _towards(view.destination))


def _refused(view: OutboundListener) -> Iterator[listener_components_pb2.FilterChain]:
    taken = {address for item in view.captured for address in item.addresses}
    refused = [address for address in dict.fromkeys(view.refused_prefixes) if address not in taken]
    if refused:
        yield _chain(refused, filters.close_at_once())


def _everything_else(view: OutboundListener) -> Iterator[listener_components_pb2.FilterChain]:
    if not view.mesh_destinations_only:
        out = filters.tcp_proxy(f"upstream.{ORIGINAL_DESTINATION}", ORIGINAL_DESTINATION)
        yield listener_components_pb2.FilterChain(filters=[out])


def _chain(
    addresses: Iterable[str], last: listener_components_pb2.Filter
) -> listener_components_pb2.FilterChain:
    match = listener_components_pb2.FilterChainMatch(prefix_ranges=map(prefix, addresses))
    return listener_components_pb2.FilterChain(filter_chain_match=match, filters=[last])


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
