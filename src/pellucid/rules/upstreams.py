"""Which upstreams a service has, and with what settings.

A transparent proxy has an upstream for every service of the datacenter that intentions let its
service reach; explicit upstreams of the registration come on top. A proxy that is not transparent
has only those.

    catalog names -- intentions --> reachable, refused
    reachable + registered upstreams -- config entries --> EffectiveUpstream

Two holes of Consul 1.10 are closed: `UpstreamConfig.Overrides` apply to inferred upstreams too, and
an inferred upstream is spoken to in its own protocol instead of tcp. What intentions refuse is
returned as well, so that a proxy can refuse it at the source.

Source: Consul 1.10 docs, "Transparent Proxy - Upstreams"; agent/consul/state/intention.go
(IntentionTopology), agent/proxycfg/upstreams.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pellucid.model.config_entries import ProxyDefaults, ServiceDefaults, UpstreamConfig
from pellucid.model.names import SERVER_SERVICE
from pellucid.model.services import Upstream
from pellucid.rules.access import reachable_from
from pellucid.rules.effective import DefaultsOf, EffectiveProxy, central_upstream_config
from pellucid.rules.intentions import IntentionView
from pellucid.rules.proxy_config import upstream_settings


class InferredUpstreams(msgspec.Struct, frozen=True):
    """The services of the catalog as intentions sort them for one source; names in order."""

    reachable: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class EffectiveUpstream(msgspec.Struct, frozen=True):
    """One upstream of a proxy, settings settled."""

    name: str
    settings: UpstreamConfig
    mesh_gateway: str = ""
    """How to reach another datacenter: `""`, `none`, `local` or `remote`."""
    datacenter: str = ""
    """Empty for the proxy's own."""
    is_prepared_query: bool = False
    registration: Upstream | None = None
    """The explicit upstream, which has a listener of its own; None for an inferred one."""
    is_inferred: bool = False
    """True if traffic to the service's virtual addresses is to be taken in for it."""
    is_refused: bool = False
    """True if intentions refuse it, so that its listener must not let anything out."""


def infer(source: str, candidates: Iterable[str], view: IntentionView) -> InferredUpstreams:
    """Sort the services that `source` could call.

    candidates: names of ordinary services of the datacenter, with or without a sidecar. The service
    itself and the servers are left out here. view: at least the intentions matching `source`.
    """
    access = reachable_from(view.rows, source, view.default)
    reachable: list[str] = []
    refused: list[str] = []
    for name in sorted(set(candidates) - {source, SERVER_SERVICE}):
        (reachable if access.allows(name) else refused).append(name)
    return InferredUpstreams(tuple(reachable), tuple(refused))


def effective_upstreams(
    proxy: EffectiveProxy,
    inferred: InferredUpstreams,
    *,
    datacenter: str,
    proxy_defaults: ProxyDefaults | None,
    service_defaults: ServiceDefaults | None,
    defaults_of: DefaultsOf,
) -> tuple[EffectiveUpstream, ...]:
    """The upstreams of a proxy: registered ones in their order, then inferred ones by name.

    inferred: what `infer` said; empty for a proxy that is not transparent.
    datacenter: the proxy's own. service_defaults: the entry of the service the proxy stands for.
    """
    explicit = tuple(_explicit(upstream, proxy, inferred, datacenter) for upstream in proxy.proxy.upstreams)
    registered_here = {
        upstream.name for upstream in explicit if not upstream.datacenter and not upstream.is_prepared_query
    }
    return explicit + tuple(
        _inferred(
            name,
            proxy,
            central_upstream_config(
                name,
                proxy_defaults=proxy_defaults,
                service_defaults=service_defaults,
                upstream_defaults=defaults_of(name),
                proxy_mesh_gateway=proxy.registered_mesh_gateway,
            ),
        )
        for name in inferred.reachable
        if name not in registered_here
    )


def _explicit(
    upstream: Upstream, proxy: EffectiveProxy, inferred: InferredUpstreams, datacenter: str
) -> EffectiveUpstream:
    is_query = upstream.destination_type == "prepared_query"
    elsewhere = "" if upstream.datacenter == datacenter else upstream.datacenter
    judged_here = proxy.is_transparent and not is_query and not elsewhere
    return EffectiveUpstream(
        name=upstream.destination_name,
        settings=upstream_settings(upstream.config or {}),
        mesh_gateway=upstream.mesh_gateway.mode or proxy.proxy.mesh_gateway.mode,
        datacenter=elsewhere,
        is_prepared_query=is_query,
        registration=upstream,
        is_inferred=judged_here and upstream.destination_name in inferred.reachable,
        is_refused=judged_here and upstream.destination_name in inferred.refused,
    )


def _inferred(name: str, proxy: EffectiveProxy, config: Mapping[str, Any]) -> EffectiveUpstream:
    settings = upstream_settings(config)
    return EffectiveUpstream(
        name=name,
        settings=settings,
        mesh_gateway=settings.mesh_gateway.mode or proxy.proxy.mesh_gateway.mode,
        is_inferred=True,
    )
