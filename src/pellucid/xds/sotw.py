"""One state-of-the-world xDS stream as a machine: each response carries everything asked for of a type.

For clients that do not speak the delta variant. Same manners: one response of a type under way,
destinations before traffic, a refused version is not sent again.

Source: the xDS protocol specification, "State of the World".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from pellucid.xds.delta import Refusal
from pellucid.xds.shared import ProxyResources, SharedResource
from pellucid.xds.types import DESTINATION_TYPES, KNOWN_TYPES, TRAFFIC_TYPES, ResourceType


class SotwRequest(msgspec.Struct, frozen=True):
    """The parts of a `DiscoveryRequest` that the session acts on."""

    type_url: str
    names: tuple[str, ...] = ()
    version: str = ""
    nonce: str = ""
    error: str | None = None


class SotwResponse(msgspec.Struct, frozen=True):
    """Every resource of a type, as of a version."""

    type: ResourceType
    nonce: str
    version: str
    resources: tuple[SharedResource, ...]


@dataclass(slots=True)
class _Subscription:
    names: tuple[str, ...]
    """Empty for all."""
    sent: str
    """The version the proxy has, or refused, or has under way."""
    nonce: str = ""
    under_way: bool = False
    refusal: Refusal | None = None


class SotwSession:
    """The state of one stream. `receive` what came in, tell what `changed`, then `poll` for what to send."""

    def __init__(self) -> None:
        self._types: dict[ResourceType, _Subscription] = {}
        self._nonce = 0

    def receive(self, request: SotwRequest) -> Refusal | None:
        """Take a request in. Returns the refusal if it was one. Stale nonces and unknown types pass by."""
        resource_type = KNOWN_TYPES.get(request.type_url)
        if resource_type is None:
            return None
        names = tuple(sorted(set(request.names) - {"*"}))
        state = self._types.get(resource_type)
        if state is None:
            self._types[resource_type] = _Subscription(names, request.version)
            return None
        if request.nonce != state.nonce:
            return None
        state.under_way = False
        if names != state.names:
            state.names, state.sent = names, ""
        if request.error is None:
            state.refusal = None
            return None
        state.refusal = Refusal(state.sent, request.error)
        return state.refusal

    def changed(self, resource_type: ResourceType, name: str) -> None:
        """Nothing to note: `poll` compares the whole state of each type."""

    def poll(self, resources: ProxyResources) -> list[SotwResponse]:
        """Everything that can be sent now, in order."""
        responses = []
        for resource_type in ResourceType:
            state = self._types.get(resource_type)
            if state is None or state.under_way:
                continue
            if resource_type in TRAFFIC_TYPES and self._under_way(DESTINATION_TYPES):
                continue
            response = self._next(resource_type, state, resources)
            if response is not None:
                responses.append(response)
        return responses

    def refusals(self) -> dict[tuple[ResourceType, str], Refusal]:
        """What Envoy refused and has not been replaced since; a refusal is of the type as a whole."""
        return {(t, "*"): state.refusal for t, state in self._types.items() if state.refusal is not None}

    def _next(
        self, resource_type: ResourceType, state: _Subscription, resources: ProxyResources
    ) -> SotwResponse | None:
        refs = resources.refs(resource_type).by_name
        names = [name for name in (state.names or refs) if name in refs]
        found = [resources.resource(resource_type, name, refs[name]) for name in names]
        current = tuple(resource for resource in found if resource is not None)
        version = _version_of(current)
        if version == state.sent:
            return None
        self._nonce += 1
        state.sent, state.nonce, state.under_way = version, f"{self._nonce:08x}", True
        return SotwResponse(resource_type, state.nonce, version, current)

    def _under_way(self, types: tuple[ResourceType, ...]) -> bool:
        return any(t in self._types and self._types[t].under_way for t in types)


def _version_of(resources: tuple[SharedResource, ...]) -> str:
    digest = hashlib.sha256()
    for resource in resources:
        digest.update(f"{resource.name}={resource.version};".encode())
    return digest.hexdigest()
