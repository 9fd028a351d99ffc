"""One state-of-the-world xDS stream as a machine: each response carries everything asked for of a type.

For clients that do not speak the delta variant. Same manners: one response of a type under way,
destinations before traffic, a refused version is not sent again. What is left out of a response is
removed, so a resource that is to go, or cannot be built, is kept in as it was sent before: the former until
what may refer to it is up to date, the latter until it can be built again.

Source: the xDS protocol specification, "State of the World".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from pellucid.xds.shared import ProxyResources, Refs, SharedResource
from pellucid.xds.subscription import MAX_NAMES, WILDCARD, Refusal, TooManyNames
from pellucid.xds.types import KNOWN_TYPES, REFERRERS, TRAFFIC_TYPES, WILDCARD_TYPES, ResourceType


class SotwRequest(msgspec.Struct, frozen=True):
    """The parts of a `DiscoveryRequest` that are acted on."""

    type_url: str
    names: tuple[str, ...] = ()
    version: str = ""
    nonce: str = ""
    error: str | None = None
    """Envoy's words if it refused the response with this nonce."""


class SotwResponse(msgspec.Struct, frozen=True):
    """Every resource of a type, as of a version."""

    type: ResourceType
    nonce: str
    version: str
    resources: tuple[SharedResource, ...]


@dataclass(slots=True)
class _Subscription:
    type: ResourceType
    version: str
    """What the proxy has, refused, or has under way; empty if nothing."""
    returning: bool
    """Whether the version is from an earlier stream, so that what is in it is not known."""
    wildcard: bool = False
    names: tuple[str, ...] = ()
    nonce: str = ""
    under_way: bool = False
    owed: bool = False
    """Whether the proxy waits for a response, whatever it has."""
    sent: dict[str, SharedResource] = field(default_factory=dict)
    """What the latest response held."""
    joined: set[str] = field(default_factory=set)
    """The names whose changes are told."""
    refusal: Refusal | None = None
    current: dict[str, SharedResource] | None = None
    """What the proxy is to have; None while it is not known."""

    def receive(self, request: SotwRequest) -> Refusal | None:
        if request.nonce != self.nonce:
            return None
        self._ask_for(request.names)
        if not self.under_way:
            return None
        self.under_way = False
        self.refusal = None if request.error is None else Refusal(self.version, request.error)
        return self.refusal

    def _ask_for(self, names: Iterable[str]) -> None:
        wanted = tuple(sorted(set(names) - {WILDCARD}))
        wildcard = WILDCARD in names or (self.type in WILDCARD_TYPES and not wanted)
        if (wanted, wildcard) != (self.names, self.wildcard):
            self.owed |= bool(self.nonce)
            self.names, self.wildcard = wanted, wildcard
        if len(wanted) > MAX_NAMES:
            raise TooManyNames(f"a stream may ask for {MAX_NAMES} names of {self.type}")

    def refresh(self, resources: ProxyResources) -> None:
        """Find out what the proxy is to have."""
        refs = resources.refs(self.type)
        self.current = None if refs is None else self._built(refs, resources)

    def _built(self, refs: Refs, resources: ProxyResources) -> dict[str, SharedResource] | None:
        wanted = [name for name in refs.by_name if self.wildcard or name in self.names]
        for name in self.joined.difference(wanted):
            resources.drop(self.type, name)
        self.joined = set(wanted)
        built: dict[str, SharedResource] = {}
        for name in wanted:
            resource = resources.resource(self.type, name, refs.by_name[name]) or self.sent.get(name)
            if resource is not None:
                built[name] = resource
            elif self.returning:
                return None
        return built

    @property
    def settled(self) -> bool:
        """True when nothing that the proxy has of this type is out of date."""
        return (
            self.current is not None
            and not self.under_way
            and self.refusal is None
            and self.version == _version_of(self.current.values())
        )

    def take(self, nonce: str, *, may_remove: bool) -> tuple[str, tuple[SharedResource, ...]] | None:
        """The version and resources to send now; they are then under way. None if nothing is due."""
        if self.under_way or self.current is None:
            return None
        kept = {} if may_remove else self._asked_for(self.sent)
        sent = {**kept, **self.current}
        version = _version_of(sent.values())
        if version == self.version and not self.owed:
            return None
        self.version, self.nonce, self.sent = version, nonce, sent
        self.under_way, self.owed, self.returning = True, False, False
        return version, tuple(sent.values())

    def _asked_for(self, resources: dict[str, SharedResource]) -> dict[str, SharedResource]:
        return {name: each for name, each in resources.items() if self.wildcard or name in self.names}


class SotwSession:
    """The state of one stream. `receive` what came in, tell what `changed`, ask for the next response."""

    def __init__(self) -> None:
        self._types: dict[ResourceType, _Subscription] = {}
        self._nonce = 0

    def receive(self, request: SotwRequest) -> Refusal | None:
        """Take a request in. Returns the refusal if it is one. Stale nonces and unknown types pass by.

        Raises TooManyNames.
        """
        resource_type = KNOWN_TYPES.get(request.type_url)
        if resource_type is None:
            return None
        subscription = self._types.get(resource_type)
        if subscription is None:
            subscription = _Subscription(resource_type, request.version, returning=bool(request.version))
            self._types[resource_type] = subscription
            # A nonce from an earlier stream means nothing here.
            request = msgspec.structs.replace(request, nonce="")
        return subscription.receive(request)

    def changed(self, resource_type: ResourceType, name: str) -> None:
        """Nothing to note: every response is compared as a whole."""

    def moved(self) -> None:
        """Nothing to note either."""

    def next_response(self, resources: ProxyResources) -> SotwResponse | None:
        """The next response that can be sent now. Ask until there is none."""
        for subscription in self._types.values():
            subscription.refresh(resources)
        for resource_type in ResourceType:
            response = self._response(resource_type)
            if response is not None:
                return response
        return None

    def refusals(self) -> dict[tuple[ResourceType, str], Refusal]:
        """What Envoy refused and has not been replaced since; a refusal is of the type as a whole."""
        return {(t, WILDCARD): each.refusal for t, each in self._types.items() if each.refusal is not None}

    def _response(self, resource_type: ResourceType) -> SotwResponse | None:
        subscription = self._types.get(resource_type)
        if subscription is None or self._waits(resource_type):
            return None
        nonce = f"{self._nonce + 1:08x}"
        may_remove = all(t not in self._types or self._types[t].settled for t in REFERRERS[resource_type])
        taken = subscription.take(nonce, may_remove=may_remove)
        if taken is None:
            return None
        self._nonce += 1
        version, resources = taken
        if resource_type is ResourceType.CLUSTER and ResourceType.ENDPOINT in self._types:
            endpoints = self._types[ResourceType.ENDPOINT]
            endpoints.owed |= any(cluster.name in endpoints.names for cluster in resources)
        return SotwResponse(resource_type, nonce, version, resources)

    def _waits(self, resource_type: ResourceType) -> bool:
        """Whether destinations have to be taken first."""
        destinations = (ResourceType.CLUSTER, ResourceType.ENDPOINT)
        return resource_type in TRAFFIC_TYPES and any(
            t in self._types and self._types[t].under_way for t in destinations
        )


def _version_of(resources: Iterable[SharedResource]) -> str:
    digest = hashlib.sha256()
    for resource in sorted(resources, key=lambda each: each.name):
        digest.update(f"{resource.name}={resource.version};".encode())
    return digest.hexdigest()
