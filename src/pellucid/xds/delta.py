"""One delta xDS stream as a machine: requests in, responses out, no sockets and no clock.

The session knows what the proxy has (by name and version), what it has asked for, and what was sent and
not yet answered. Told that something may have changed, it compares just that and says what to send:

- at most one response of a type is under way; meanwhile changes gather, and the next response carries
  the newest state, never a queue of old ones;
- clusters and their endpoints go before the listeners and routes that use them, and clusters are removed
  only after those have been taken (make before break);
- the endpoints of a cluster are sent again right behind the cluster, because Envoy does not take an
  updated cluster until it has heard of its endpoints;
- a refused version is not sent again; what the proxy had before stays, and Envoy's words are kept.

Source: the xDS protocol specification, "Incremental xDS"; behaviour seen with Envoy 1.40.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from pellucid.xds.shared import NO_REFS, ProxyResources, Refs, SharedResource
from pellucid.xds.types import DESTINATION_TYPES, KNOWN_TYPES, TRAFFIC_TYPES, ResourceType


class DeltaRequest(msgspec.Struct, frozen=True):
    """The parts of a `DeltaDiscoveryRequest` that the session acts on."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = {}
    nonce: str = ""
    error: str | None = None
    """Envoy's words if it refused the response with this nonce."""


class DeltaResponse(msgspec.Struct, frozen=True):
    """What to send: resources that are new or changed, and the names of those that are gone."""

    type: ResourceType
    nonce: str
    resources: tuple[SharedResource, ...]
    removed: tuple[str, ...]


class Refusal(msgspec.Struct, frozen=True):
    """A resource version that Envoy did not take, and why."""

    version: str
    message: str


@dataclass(slots=True)
class _UnderWay:
    """A response that the proxy has not answered: what it will have if it takes it."""

    nonce: str
    versions: dict[str, str]
    removed: frozenset[str]


@dataclass(slots=True)
class _Subscription:
    """What is known of one type on this stream."""

    wildcard: bool
    names: set[str]
    held: dict[str, str]
    """Name -> version the proxy has taken."""
    refused: dict[str, Refusal] = field(default_factory=dict)
    under_way: _UnderWay | None = None
    answered: bool = False
    """Whether any response of the type has been sent: the first one is sent even if it is empty."""
    seen: Refs = NO_REFS
    suspects: dict[str, None] = field(default_factory=dict)
    """Names that may differ from what the proxy has."""
    upserts: dict[str, SharedResource] = field(default_factory=dict)
    removals: dict[str, None] = field(default_factory=dict)

    @property
    def quiet(self) -> bool:
        return not (self.under_way or self.upserts or self.removals)

    def has(self, name: str) -> str | None:
        """The version the proxy has, or will have once it takes what is under way."""
        if self.under_way is not None:
            if name in self.under_way.removed:
                return None
            if name in self.under_way.versions:
                return self.under_way.versions[name]
        return self.held.get(name)


class DeltaSession:
    """The state of one stream. `receive` what came in, tell what `changed`, then `poll` for what to send."""

    def __init__(self) -> None:
        self._types: dict[ResourceType, _Subscription] = {}
        self._nonce = 0

    # What comes in

    def receive(self, request: DeltaRequest) -> Refusal | None:
        """Take a request in. Returns the refusal if it was one. Unknown types are passed over."""
        resource_type = KNOWN_TYPES.get(request.type_url)
        if resource_type is None:
            return None
        state = self._types.get(resource_type)
        if state is None:
            state = self._types[resource_type] = _Subscription(
                wildcard=not request.subscribe or "*" in request.subscribe,
                names=set(),
                held=dict(request.initial_versions),
            )
            state.suspects.update(dict.fromkeys(state.held))
        refusal = _answered(state, request) if request.nonce else None
        for name in request.subscribe:
            if name != "*":
                state.names.add(name)
                if name not in request.initial_versions:
                    state.held.pop(name, None)
                state.suspects[name] = None
        for name in request.unsubscribe:
            state.names.discard(name)
            state.suspects[name] = None
            for forgotten in (state.held, state.upserts, state.removals, state.refused):
                forgotten.pop(name, None)
        return refusal

    def changed(self, resource_type: ResourceType, name: str) -> None:
        """A resource may have a new version."""
        state = self._types.get(resource_type)
        if state is not None:
            state.suspects[name] = None

    # What goes out

    def poll(self, resources: ProxyResources) -> list[DeltaResponse]:
        """Everything that can be sent now, in order."""
        for resource_type, state in self._types.items():
            self._compare(resource_type, state, resources)
        responses = []
        for resource_type in ResourceType:
            response = self._next(resource_type, resources)
            if response is not None:
                responses.append(response)
        return responses

    # What can be asked

    @property
    def settled(self) -> bool:
        """True when the proxy has taken all there is, or refused it."""
        return all(state.quiet and not state.suspects for state in self._types.values())

    def tracked(self, resource_type: ResourceType) -> Iterable[str]:
        """The names this stream wants to hear about."""
        state = self._types.get(resource_type)
        if state is None:
            return ()
        return state.seen.by_name if state.wildcard else state.names

    def refusals(self) -> dict[tuple[ResourceType, str], Refusal]:
        """What Envoy refused and has not been replaced since."""
        return {
            (resource_type, name): refusal
            for resource_type, state in self._types.items()
            for name, refusal in state.refused.items()
        }

    # Comparing

    def _compare(self, resource_type: ResourceType, state: _Subscription, resources: ProxyResources) -> None:
        refs = resources.refs(resource_type)
        if refs is not state.seen:
            before, state.seen = state.seen.by_name, refs
            now = refs.by_name
            names = now if state.wildcard else state.names
            state.suspects.update((n, None) for n in names if now.get(n) != before.get(n))
            state.suspects.update((n, None) for n in before if n not in now)
        suspects, state.suspects = state.suspects, {}
        for name in suspects:
            self._compare_one(resource_type, state, name, resources)

    def _compare_one(
        self, resource_type: ResourceType, state: _Subscription, name: str, resources: ProxyResources
    ) -> None:
        state.upserts.pop(name, None)
        state.removals.pop(name, None)
        wanted = state.wildcard or name in state.names
        if not wanted or name not in state.seen.by_name:
            resources.drop(resource_type, name)
            if wanted and state.has(name) is not None:
                state.removals[name] = None
            return
        resource = resources.resource(resource_type, name, state.seen.by_name[name])
        if resource is None or resource.version == state.has(name):
            return
        refused = state.refused.get(name)
        if refused is None or refused.version != resource.version:
            state.upserts[name] = resource

    # Sending

    def _next(self, resource_type: ResourceType, resources: ProxyResources) -> DeltaResponse | None:
        state = self._types.get(resource_type)
        if state is None or state.under_way is not None:
            return None
        if resource_type in TRAFFIC_TYPES and self._under_way(DESTINATION_TYPES):
            return None
        removed = tuple(state.removals)
        if resource_type is ResourceType.CLUSTER and not self._quiet(TRAFFIC_TYPES):
            removed = ()
        if not state.upserts and not removed and (state.answered or not state.wildcard):
            return None
        response = self._send(resource_type, state, removed)
        if resource_type is ResourceType.CLUSTER:
            self._send_endpoints_again(response, resources)
        return response

    def _send(
        self, resource_type: ResourceType, state: _Subscription, removed: tuple[str, ...]
    ) -> DeltaResponse:
        self._nonce += 1
        nonce = f"{self._nonce:08x}"
        sent = tuple(state.upserts.values())
        state.under_way = _UnderWay(nonce, {r.name: r.version for r in sent}, frozenset(removed))
        state.answered = True
        state.upserts.clear()
        for name in removed:
            del state.removals[name]
        return DeltaResponse(resource_type, nonce, sent, removed)

    def _send_endpoints_again(self, response: DeltaResponse, resources: ProxyResources) -> None:
        endpoints = self._types.get(ResourceType.ENDPOINT)
        if endpoints is None:
            return
        for cluster in response.resources:
            if cluster.name not in endpoints.names:
                continue
            endpoints.held.pop(cluster.name, None)
            if endpoints.under_way is not None:
                endpoints.suspects[cluster.name] = None
                endpoints.under_way.versions.pop(cluster.name, None)
            else:
                self._compare_one(ResourceType.ENDPOINT, endpoints, cluster.name, resources)

    def _under_way(self, types: tuple[ResourceType, ...]) -> bool:
        return any(t in self._types and self._types[t].under_way for t in types)

    def _quiet(self, types: tuple[ResourceType, ...]) -> bool:
        return all(t not in self._types or self._types[t].quiet for t in types)


def _answered(state: _Subscription, request: DeltaRequest) -> Refusal | None:
    sent = state.under_way
    if sent is None or sent.nonce != request.nonce:
        return None
    state.under_way = None
    if request.error is None:
        state.held.update(sent.versions)
        for name in sent.removed:
            state.held.pop(name, None)
        for name in (*sent.versions, *sent.removed):
            state.refused.pop(name, None)
        return None
    for name, version in sent.versions.items():
        state.refused[name] = Refusal(version, request.error)
    state.suspects.update(dict.fromkeys((*sent.versions, *sent.removed)))
    first = next(iter(sent.versions.values()), "")
    return Refusal(first, request.error)
