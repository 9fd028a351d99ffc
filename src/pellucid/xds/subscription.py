"""What one delta stream knows of one resource type: what the proxy has, wants, and is to be sent.

Source: the xDS protocol specification, "Incremental xDS".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from pellucid.xds.layers import differing
from pellucid.xds.shared import ProxyResources, Refs, SharedResource
from pellucid.xds.types import WILDCARD_TYPES, ResourceType

WILDCARD = "*"

MAX_NAMES = 65_536
"""Names of one type that a stream may ask for."""

GONE = ""
"""The version of what is not there."""

_UNSURE = "?"
"""The version of what the proxy may have, or not: it refused a response with it, or had let go of it when
the response was under way."""


class TooManyNames(Exception):
    """The stream asks for more names than a proxy can need."""


class DeltaRequest(msgspec.Struct, frozen=True):
    """The parts of a `DeltaDiscoveryRequest` that are acted on."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = {}
    nonce: str = ""
    error: str | None = None
    """Envoy's words if it refused the response with this nonce."""


class Refusal(msgspec.Struct, frozen=True):
    """A version that Envoy did not take, and why."""

    version: str
    """`GONE` if it was a removal."""
    message: str


@dataclass(slots=True)
class _UnderWay:
    """A response that the proxy has not answered."""

    nonce: str
    versions: dict[str, str]
    """What the proxy will have if it takes it."""
    arrivals: bool
    """Whether there is something in it that the proxy had not got, or waited for."""
    let_go: set[str] = field(default_factory=set)
    """Names the proxy let go of since. If it asks for them again before they arrive, it keeps them."""


@dataclass(slots=True)
class DeltaSubscription:
    """One type on one stream. `receive` requests, `refresh`, and `take` what is to be sent."""

    type: ResourceType
    wildcard: bool
    held: dict[str, str]
    """Name -> version the proxy has."""
    names: set[str] = field(default_factory=set)
    refs: Refs | None = None
    """The latest known."""
    derivable: bool = False
    """Whether `refs` are those of now."""
    suspects: dict[str, None] = field(default_factory=dict)
    """Names that may differ from what the proxy has."""
    owed: set[str] = field(default_factory=set)
    """Names the proxy waits to hear of, whatever it has: it asked by name, or was sent the cluster."""
    pending: dict[str, SharedResource | None] = field(default_factory=dict)
    """What to send next; None is a removal."""
    unbuilt: set[str] = field(default_factory=set)
    """Names that are wanted and cannot be built at the moment."""
    under_way: _UnderWay | None = None
    answered: bool = False
    """Whether any response has been sent: the first one of a wildcard is sent even if it is empty."""
    refused: dict[str, Refusal] = field(default_factory=dict)

    @classmethod
    def begin(cls, resource_type: ResourceType, request: DeltaRequest) -> DeltaSubscription:
        """The state before the first request of a type: what the proxy has from an earlier stream."""
        wildcard = resource_type in WILDCARD_TYPES and not request.subscribe
        held = dict(request.initial_versions)
        return cls(resource_type, wildcard, held, suspects=dict.fromkeys(held))

    @property
    def settled(self) -> bool:
        """True when nothing that the proxy has of this type is out of date."""
        return (
            self.derivable
            and self.under_way is None
            and not self.pending
            and (self.answered or not self.wildcard)
            and not any(name in self.held for name in (*self.unbuilt, *self.refused))
        )

    @property
    def due(self) -> bool:
        """Whether a response may be sent if nothing else stands against it."""
        return self.under_way is None and (bool(self.pending) or self._owes_first)

    @property
    def removes(self) -> bool:
        """Whether something is to be removed."""
        return any(resource is None for resource in self.pending.values())

    @property
    def _first_is_due(self) -> bool:
        return self.wildcard and self.derivable and not self.answered

    @property
    def arriving(self) -> bool:
        """Whether there is something to send or under way that the proxy has not got, or waits for."""
        return self._arrivals(self.pending) or (self.under_way is not None and self.under_way.arrivals)

    # What comes in

    def receive(self, request: DeltaRequest) -> Refusal | None:
        """Take a request in. Returns the refusal if it is one. Raises TooManyNames."""
        refusal = self._answer(request) if request.nonce else None
        for name in request.subscribe:
            self._subscribe(name, known=name in request.initial_versions)
        for name in request.unsubscribe:
            self._unsubscribe(name)
        if max(len(self.names), len(self.suspects), len(self.owed)) > MAX_NAMES:
            raise TooManyNames(f"a stream may ask for {MAX_NAMES} names of {self.type}")
        return refusal

    def owe(self, name: str) -> None:
        """The proxy waits to hear of this name."""
        self.owed.add(name)
        self.suspects[name] = None

    def _answer(self, request: DeltaRequest) -> Refusal | None:
        sent = self.under_way
        if sent is None or sent.nonce != request.nonce:
            return None
        self.under_way = None
        versions = {name: version for name, version in sent.versions.items() if self._wants(name)}
        if request.error is not None:
            return self._refuse(versions, request.error)
        for name, version in versions.items():
            if self.refused.pop(name, None) is not None or name in sent.let_go:
                # What was refused may be what is wanted now, and has not been sent for the refusal.
                self.suspects[name] = None
            if name in sent.let_go:
                self.held[name] = _UNSURE
            elif version == GONE:
                self.held.pop(name, None)
            else:
                self.held[name] = version
        return None

    def _refuse(self, versions: Mapping[str, str], message: str) -> Refusal:
        """Envoy names the resources at fault and takes or drops the others, so those are sent again."""
        blamed = [name for name in versions if _names(message, name)] or list(versions)
        for name in versions:
            self.held[name] = _UNSURE
            self.suspects[name] = None
        for name in blamed:
            self.refused[name] = Refusal(versions[name], message)
        return self.refused[blamed[0]] if blamed else Refusal(GONE, message)

    def _subscribe(self, name: str, *, known: bool) -> None:
        if name == WILDCARD:
            self.wildcard, self.answered = True, False
            self.suspects.update(dict.fromkeys(self._existing()))
            return
        self.names.add(name)
        self.refused.pop(name, None)
        if known:
            self.suspects[name] = None
        else:
            self.owe(name)

    def _unsubscribe(self, name: str) -> None:
        if name == WILDCARD:
            self.wildcard = False
            for dropped in self._known() - self.names:
                self._forget(dropped)
            return
        self.names.discard(name)
        self._forget(name)
        if self.wildcard:
            # The proxy cannot tell whether the wildcard covers the name until it hears of it.
            self.owe(name)

    def _forget(self, name: str) -> None:
        self.held.pop(name, None)
        self.refused.pop(name, None)
        self.owed.discard(name)
        if self.under_way is not None and name in self.under_way.versions:
            self.under_way.let_go.add(name)
        self.suspects[name] = None

    def _wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def _known(self) -> set[str]:
        under_way = self.under_way.versions if self.under_way is not None else {}
        known: tuple[Iterable[str], ...] = (self._existing(), self.held, under_way, self.pending, self.owed)
        return set().union(*known)

    def _existing(self) -> Mapping[str, object]:
        return self.refs.by_name if self.refs is not None else {}

    # Comparing

    def refresh(self, resources: ProxyResources) -> None:
        """Bring what is to be sent up to date with the configuration."""
        refs = resources.refs(self.type)
        self.derivable = refs is not None
        if refs is not None and refs is not self.refs:
            self._suspect_moved(self._existing(), refs.by_name)
            self.refs = refs
        if self.refs is None:
            return
        suspects, self.suspects = self.suspects, {}
        for name in suspects:
            self._compare(name, self.refs.by_name, resources)

    def _suspect_moved(self, before: Mapping[str, object], now: Mapping[str, object]) -> None:
        moved = differing(before, now)
        self.suspects.update(
            (name, None) for name in moved if self.wildcard or name in self.names or name not in now
        )

    def _compare(self, name: str, refs: Mapping[str, object], resources: ProxyResources) -> None:
        self.pending.pop(name, None)
        self.unbuilt.discard(name)
        if not self._wants(name):
            resources.drop(self.type, name)
            return
        if name not in refs:
            resources.drop(self.type, name)
            self._want(name, None)
            return
        resource = resources.resource(self.type, name, refs[name])
        if resource is None:
            self.unbuilt.add(name)
        else:
            self._want(name, resource)

    def _want(self, name: str, resource: SharedResource | None) -> None:
        """The proxy is to have this, or nothing: send it, unless that is what it has or refused."""
        version = _version_of(resource)
        if version == self._version(name) and name not in self.owed:
            return
        refusal = self.refused.get(name)
        if refusal is None or refusal.version != version:
            self.pending[name] = resource

    def _version(self, name: str) -> str:
        """The version the proxy has, or will have once it takes what is under way."""
        if self.under_way is None or name not in self.under_way.versions:
            return self.held.get(name, GONE)
        return _UNSURE if name in self.under_way.let_go else self.under_way.versions[name]

    # What goes out

    def take(self, nonce: str, *, may_remove: bool) -> dict[str, SharedResource | None] | None:
        """What to send of the news, by name, None for a removal; it is then under way. None if none is due.

        may_remove: whether nothing the proxy has refers any more to what is to be removed.
        """
        may_remove = may_remove and self.derivable
        sent = {
            name: resource
            for name, resource in self.pending.items()
            if resource is not None or may_remove or self._removal_is_due(name)
        }
        if self.under_way is not None or not (sent or self._owes_first):
            return None
        versions = {name: _version_of(resource) for name, resource in sent.items()}
        self.under_way = _UnderWay(nonce, versions, self._arrivals(sent))
        self.answered = True
        self.owed.difference_update(sent)
        for name in sent:
            del self.pending[name]
        return sent

    @property
    def _owes_first(self) -> bool:
        return self.wildcard and self.derivable and not self.answered

    def _removal_is_due(self, name: str) -> bool:
        """Whether the proxy waits to hear that a name is gone, and has no traffic for it.

        Traffic is for clusters; of the rest of what it waits for, Envoy keeps what it had.
        """
        in_use = self.type is ResourceType.CLUSTER and name in self.held
        return self.derivable and name in self.owed and not in_use

    def _arrivals(self, names: Iterable[str]) -> bool:
        return any(name in self.owed or name not in self.held for name in names)


def _names(message: str, name: str) -> bool:
    """Whether the message names the resource, and not just one with a longer name."""
    return re.search(rf"(?<![\w.~-]){re.escape(name)}(?![\w.~-])", message) is not None


def _version_of(resource: SharedResource | None) -> str:
    return GONE if resource is None else resource.version
