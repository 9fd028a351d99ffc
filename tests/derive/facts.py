"""A tiny world for testing the engine: one table of numbered facts in groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import msgspec

from pellucid.derive.engine import Db, Engine, Query, Subscription
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change, Delete, Put, Table


class Fact(msgspec.Struct, frozen=True):
    name: str
    number: int
    group: str = ""


FACTS = Table.of("facts", Fact, lambda fact: (fact.name,), {"group": lambda fact: (fact.group,)})


def put(name: str, number: int, group: str = "") -> Change:
    return Put(FACTS, Fact(name, number, group))


def drop(name: str) -> Change:
    return Delete(FACTS, (name,))


def number(db: Db, name: str) -> int:
    """The number of a fact, 0 when there is none; recorded as read."""
    stored = db.get(FACTS, (name,))
    return 0 if stored is None else stored.value.number


class World:
    """An engine following commits, and what its subscribers were told."""

    def __init__(self, **options: Any) -> None:
        self.engine = Engine(Snapshot(), **options)
        self.told: list[tuple[Any, ...]] = []

    def commit(self, *changes: Change) -> None:
        after, batch = self.engine.snapshot.apply(changes)
        if batch.touched:
            self.engine.apply(after, batch)

    def watch(self, query: Query[..., Any], *args: Hashable) -> Subscription[Any]:
        """Subscribe; every announcement appends the arguments and the value to `told`."""

        def changed() -> None:
            self.told.append((*args, subscription.value))

        subscription: Subscription[Any] = self.engine.subscribe(query, changed, *args)
        return subscription

    def ask(self, query: Query[..., Any], *args: Hashable) -> Any:
        return self.engine.ask(query, args)

    def work(self, action: Callable[[], Any]) -> int:
        """How many queries `action` runs."""
        before = self.engine.counts.evaluated
        action()
        return self.engine.counts.evaluated - before


class FromScratch:
    """Answers as an engine would that remembers nothing: every ask runs the query's function."""

    def __init__(self, snapshot: Snapshot, cells: Mapping[Hashable, Any]) -> None:
        self.snapshot = snapshot
        self.cells = cells

    def record(self, selector: Any) -> None:
        """Nothing is recorded."""

    def cell(self, name: Hashable, default: Any = None) -> Any:
        return self.cells.get(name, default)

    def ask(self, query: Query[..., Any], args: tuple[Hashable, ...]) -> Any:
        return query.function(Db(self), *args)  # type: ignore[arg-type]
