"""What a controller wants done: changes as values, carried out by the loop in the order given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pellucid.localkube.controllers.reading import Object
from pellucid.localkube.types.kinds import Resource


@dataclass(frozen=True)
class Key:
    """Which object a controller looks at: its namespace (empty for cluster scope) and name."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Say:
    """Record an Event about an object. `kind` is Normal or Warning."""

    about: Object
    reason: str
    message: str
    kind: str = "Normal"


@dataclass(frozen=True)
class Create:
    """Make `item`. `quietly`: another of the same name already there is as good.

    `then` is said once it is made, with the name it got in the place of `{name}`.
    """

    resource: Resource
    item: Object
    quietly: bool = False
    then: Say | None = None


@dataclass(frozen=True)
class Patch:
    """Merge `patch` (RFC 7386) into an object, or into its `subresource`."""

    resource: Resource
    namespace: str
    name: str
    patch: dict[str, Any]
    subresource: str = ""


@dataclass(frozen=True)
class Reference:
    """One very object: by resource, place, name and uid."""

    resource: Resource
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Remove:
    """Delete an object, if it is still the one with `uid` (empty: whichever is there).

    `unless`: objects any of which keeps it, asked of the API itself and not of the view.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str = ""
    propagation: str = "Background"
    grace_seconds: int | None = None
    unless: tuple[Reference, ...] = ()


Change = Create | Patch | Remove | Say


@dataclass(frozen=True)
class Plan:
    """Changes that bring the cluster one step nearer; in how many seconds to look again, if time matters."""

    changes: tuple[Change, ...] = ()
    again_after: float | None = None


NOTHING = Plan()
