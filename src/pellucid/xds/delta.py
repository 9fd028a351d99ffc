"""One delta xDS stream as a machine: requests in, responses out, no sockets and no clock.

The session knows what the proxy has (by name and version), what it has asked for, and what was sent and
not yet answered. Told that something may have changed, it compares just that and says what to send:

- at most one response of a type is under way; meanwhile changes gather, and the next response carries
  the newest state, never a queue of old ones;
- clusters, and endpoints the proxy has not got yet, go before the listeners and routes that may use them;
  a resource is removed only after everything that may refer to it is up to date (make before break);
- the endpoints of a cluster are sent again right behind the cluster, because Envoy does not take an
  updated cluster until it has heard of its endpoints;
- a refused version is not sent again unless it is asked for by name; what the proxy had before stays, and
  Envoy's words are kept;
- what cannot be derived at the moment is left as the proxy has it.

Source: the xDS protocol specification, "Incremental xDS"; behaviour seen with Envoy 1.40.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pellucid.xds.shared import ProxyResources, SharedResource
from pellucid.xds.subscription import DeltaRequest, DeltaSubscription, Refusal
from pellucid.xds.types import KNOWN_TYPES, REFERRERS, TRAFFIC_TYPES, ResourceType

_IN_ORDER = tuple(ResourceType)
"""Destinations before what refers to them."""


class DeltaResponse(msgspec.Struct, frozen=True):
    """What to send: resources that are new or changed, and the names of those that are gone."""

    type: ResourceType
    nonce: str
    resources: tuple[SharedResource, ...]
    removed: tuple[str, ...]


class DeltaSession:
    """The state of one stream. `receive` what came in, tell what `changed`, ask for the next response."""

    def __init__(self) -> None:
        self._types: dict[ResourceType, DeltaSubscription] = {}
        self._nonce = 0
        self._returning = False
        """Whether the proxy came with clusters, and so with listeners, from an earlier stream."""
        self._moved = True
        """Whether the configuration may have moved since it was last looked at."""

    def receive(self, request: DeltaRequest) -> Refusal | None:
        """Take a request in. Returns the refusal if it is one. Unknown types and nonces are passed over.

        Raises TooManyNames.
        """
        resource_type = KNOWN_TYPES.get(request.type_url)
        if resource_type is None:
            return None
        if resource_type in self._types:
            return self._types[resource_type].receive(request)
        self._types[resource_type] = DeltaSubscription.begin(resource_type, request)
        self._types[resource_type].receive(request)
        self._moved = True
        if resource_type is ResourceType.CLUSTER:
            self._returning = bool(request.initial_versions)
        elif resource_type is ResourceType.ENDPOINT and ResourceType.CLUSTER in self._types:
            under_way = self._types[ResourceType.CLUSTER].under_way
            self._endpoints_follow(under_way.versions if under_way is not None else ())
        return None

    def changed(self, resource_type: ResourceType, name: str) -> None:
        """A resource may have a new version."""
        if resource_type in self._types:
            self._types[resource_type].suspects[name] = None

    def moved(self) -> None:
        """There may be other resources than before."""
        self._moved = True

    def next_response(self, resources: ProxyResources) -> DeltaResponse | None:
        """The next response that can be sent now. Ask until there is none."""
        for subscription in self._types.values():
            subscription.refresh(resources)
        for resource_type in _IN_ORDER:
            response = self._response(resource_type)
            if response is not None:
                return response
        return None

    @property
    def settled(self) -> bool:
        """True when the proxy has all there is of what it asked for."""
        return all(each.settled and not each.suspects for each in self._types.values())

    def refusals(self) -> dict[tuple[ResourceType, str], Refusal]:
        """What Envoy refused and has not been replaced since."""
        return {
            (resource_type, name): refusal
            for resource_type, subscription in self._types.items()
            for name, refusal in subscription.refused.items()
        }

    def _response(self, resource_type: ResourceType) -> DeltaResponse | None:
        subscription = self._types.get(resource_type)
        if subscription is None or not subscription.due or self._waits(resource_type):
            return None
        nonce = f"{self._nonce + 1:08x}"
        may_remove = subscription.removes and self._may_remove(resource_type)
        sent = subscription.take(nonce, may_remove=may_remove)
        if sent is None:
            return None
        self._nonce += 1
        upserts = tuple(resource for resource in sent.values() if resource is not None)
        removed = tuple(name for name, resource in sent.items() if resource is None)
        if resource_type is ResourceType.CLUSTER:
            self._endpoints_follow(cluster.name for cluster in upserts)
        return DeltaResponse(resource_type, nonce, upserts, removed)

    def _waits(self, resource_type: ResourceType) -> bool:
        """Whether destinations have to be known and taken first.

        New versions of endpoints the proxy has are not waited for: where they change all the time,
        listeners would never go.
        """
        clusters = self._types.get(ResourceType.CLUSTER)
        endpoints = self._types.get(ResourceType.ENDPOINT)
        return resource_type in TRAFFIC_TYPES and (
            (clusters is not None and (clusters.under_way is not None or not clusters.derivable))
            or (endpoints is not None and endpoints.arriving)
        )

    def _may_remove(self, resource_type: ResourceType) -> bool:
        if resource_type is ResourceType.CLUSTER and self._returning:
            listeners_known = ResourceType.LISTENER in self._types
        else:
            listeners_known = True
        referrers = (self._types[t] for t in REFERRERS[resource_type] if t in self._types)
        return listeners_known and all(each.settled for each in referrers)

    def _endpoints_follow(self, clusters: Iterable[str]) -> None:
        """Owe the proxy the endpoints of clusters it was sent."""
        endpoints = self._types.get(ResourceType.ENDPOINT)
        if endpoints is not None:
            for name in endpoints.names.intersection(clusters):
                endpoints.owe(name)
