"""What a controller is: which objects wake it, and its pure decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.controllers.plan import Change, Key, Plan
from pellucid.localkube.controllers.reading import Object, controller_of, name_of, namespace_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import Resource

Trigger = Callable[[View, Object], Iterable[Key]]


def _no_answer(_view: View, _key: Key, _error: ApiError, _now: datetime) -> tuple[Change, ...]:
    return ()


@dataclass(frozen=True)
class Controller:
    """A control loop.

    triggers: for each followed resource, which keys an object of it concerns. The object may be the last
    state of a deleted one. triggers_any: the same for objects of every kind. reconcile: what to do about a
    key now. refused: what to write down when the API refused one of the plan's changes.
    """

    name: str
    triggers: Mapping[Resource, Trigger]
    reconcile: Callable[[View, Key, datetime], Plan]
    refused: Callable[[View, Key, ApiError, datetime], tuple[Change, ...]] = _no_answer
    triggers_any: Trigger | None = None


def itself(_view: View, item: Object) -> Iterable[Key]:
    """The object is what the controller looks at."""
    return (Key(namespace_of(item), name_of(item)),)


def its_controller(kind: str) -> Trigger:
    """The object's controlling owner, where that is of `kind`."""

    def trigger(_view: View, item: Object) -> Iterable[Key]:
        owner = controller_of(item)
        return (Key(namespace_of(item), owner["name"]),) if owner and owner["kind"] == kind else ()

    return trigger


def all_of(resource: Resource) -> Trigger:
    """Every object of `resource`, whatever the object seen."""

    def trigger(view: View, _item: Object) -> Iterable[Key]:
        return [Key(namespace_of(item), name_of(item)) for item in view.list(resource)]

    return trigger
