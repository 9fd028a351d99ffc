"""Refs: what a resource is built from, where that has still to be looked up.

Each names, by content, the derived values its view is made of (see `lookup`). Where nothing has to be
looked up, the view itself is the ref.
"""

from __future__ import annotations

import msgspec

from pellucid.model.config_entries import UpstreamConfig
from pellucid.model.config_entries.shared import UpstreamConfiguration
from pellucid.rules.access import Access


class Reach(msgspec.Struct, frozen=True):
    """Whom a transparent proxy takes connections for. Equal for all callers that intentions treat alike."""

    access: Access
    caller: UpstreamConfiguration | None = None
    """What the caller's `service-defaults` says of its upstreams."""
    mesh_gateway: str = ""
    """The mode that the proxy's registration gives."""
    named: tuple[str, ...] = ()
    """Services whose settings come from the registration instead."""


NO_REACH = Reach(Access(otherwise=False))
"""For a proxy that is not transparent."""


class UpstreamRef(msgspec.Struct, frozen=True):
    """The cluster of an upstream that no registration names, or of a further port of any upstream."""

    service: str
    caller: UpstreamConfiguration | None
    mesh_gateway: str
    further_port: int = 0


class ExplicitUpstreamRef(msgspec.Struct, frozen=True):
    """The cluster of an upstream of the registration."""

    identifier: str
    """As Consul names it: `[prepared_query:]<name>[?dc=<datacenter>]`."""
    cluster: str
    target: str
    """`<name>.<namespace>.<datacenter>`, or the query's name, for counters."""
    service: str
    """Empty for a prepared query."""
    datacenter: str
    settings: UpstreamConfig


class PassthroughRef(msgspec.Struct, frozen=True):
    """The cluster of a service whose instances are dialled directly."""

    service: str


class EndpointsRef(msgspec.Struct, frozen=True):
    """The endpoints of a cluster: the sidecars of a service; without a service, none are known."""

    cluster: str
    service: str
    further_port: int = 0


class AllowedSourcesRef(msgspec.Struct, frozen=True):
    """The inner listener of every service that lets the same callers in."""

    access: Access
    port: int = 0


class OutboundListenerRef(msgspec.Struct, frozen=True):
    """The outbound listener of every transparent proxy with the same reach."""

    port: int
    reach: Reach
    named: tuple[ExplicitUpstreamRef, ...] = ()
    """The upstreams of the registration in this datacenter."""


class LeafRef(msgspec.Struct, frozen=True):
    """The certificate of a service."""

    service: str


class RootsRef(msgspec.Struct, frozen=True):
    """The trusted roots."""
