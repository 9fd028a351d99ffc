"""The incremental engine: memoised queries that record what they read.

A commit marks the live memos that read what it touched as stale; settling runs stale memos from the
lowest height up. A memo that comes to a new value makes its readers stale; one that comes to an equal
value ends the wave there. So the cost of a change follows what the change really alters, and a memo
that nothing altered is not even looked at.

Idle memos (asked for, but under no subscription) are kept in a bounded cache and checked against the
stamps of their inputs when they are next asked for.

Asking is always consistent: a value given out is the one a from-scratch computation would give at the
engine's snapshot, also while a wave is still settling.

The ideas are salsa's (red/green verification, early cut-off) and Incremental's (heights).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import (
    Batch,
    BucketSelector,
    Key,
    RowSelector,
    Selector,
    Stored,
    Table,
    TableSelector,
    ValuesSelector,
)

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

IDLE_MEMOS = 8_192
"""Idle memos kept; beyond that the least recently asked for are forgotten."""

SLICE_SECONDS = 0.004
"""How long settling may keep the event loop before it gives it back."""


class Cycle(Exception):
    """A query came to depend on itself; the message is the path of query names."""


@dataclass(slots=True)
class Counts:
    """Work done since the engine began. Counts, not times: they do not wobble."""

    evaluated: int = 0
    cut_off: int = 0
    verified: int = 0
    delivered: int = 0


@dataclass(frozen=True, slots=True)
class CellSelector:
    """A value set by the edge of the program, by name."""

    name: Hashable


Input = Selector | CellSelector


class Query(Generic[P, T]):
    """A query, made from a function by `@query`. Calling it asks the engine behind `db`."""

    def __init__(self, function: Callable[Concatenate[Db, P], T]) -> None:
        self.function = function
        self.name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self.__doc__ = function.__doc__

    def __call__(self, db: Db, *args: P.args, **kwargs: P.kwargs) -> T:
        if kwargs:
            raise TypeError(f"{self.name} takes positional arguments only: they are its memo's key")
        value: T = db.engine.ask(self, args)
        return value

    def __repr__(self) -> str:
        return f"<query {self.name}>"


def query(function: Callable[Concatenate[Db, P], T]) -> Query[P, T]:
    """Make a query of a pure function whose first argument is the `Db` and whose others are hashable.

    The function reads only through the `Db` and through other queries, and returns an immutable,
    comparable value. A raised exception is remembered like a value until an input changes.
    """
    return Query(function)


class Memo:
    """One query for one set of arguments. Internal to the engine, but for `height` in tests."""

    __slots__ = (
        "args",
        "calls",
        "changed_at",
        "error",
        "height",
        "inputs",
        "query",
        "readers",
        "running",
        "stale",
        "subscriptions",
        "value",
        "verified_at",
        "verified_revision",
    )

    def __init__(self, query: Query[..., Any], args: tuple[Hashable, ...]) -> None:
        self.query, self.args = query, args
        self.value: Any = None
        self.error: Exception | None = None
        self.inputs: dict[Input, None] = {}
        self.calls: dict[Memo, None] = {}
        self.readers: dict[Memo, None] = {}
        self.subscriptions: dict[Subscription[Any], None] = {}
        self.height = 0
        self.changed_at = -1
        self.verified_at = -1
        self.verified_revision = -1
        self.stale = False
        self.running = False

    @property
    def live(self) -> bool:
        return bool(self.readers) or bool(self.subscriptions)

    def __repr__(self) -> str:
        return f"{self.query.name}({', '.join(map(repr, self.args))})"


class Subscription(Generic[T]):
    """A root: keeps its memo live and calls `changed` after each wave that gave it a new value."""

    __slots__ = ("_engine", "_memo", "changed")

    def __init__(self, engine: Engine, memo: Memo, changed: Callable[[], None]) -> None:
        self._engine, self._memo, self.changed = engine, memo, changed

    @property
    def value(self) -> T:
        """The current value. Raises what the query raised."""
        value: T = self._engine.ask(self._memo.query, self._memo.args)
        return value

    def close(self) -> None:
        """Stop. Closing twice is harmless."""
        self._engine.unsubscribe(self, self._memo)


class Db:
    """What a query reads: rows, buckets and tables of the snapshot, stamps, and cells."""

    __slots__ = ("engine",)

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def get(self, table: Table[R], key: Key) -> Stored[R] | None:
        """The row with this key, or None."""
        self.engine.record(RowSelector(table, key))
        return self.engine.snapshot.get(table, key)

    def rows(self, table: Table[R], index: str, value: Hashable) -> tuple[Stored[R], ...]:
        """The rows that have `value` in `index`, in key order."""
        self.engine.record(BucketSelector(table, index, value))
        return self.engine.snapshot.rows(table, index, value)

    def all(self, table: Table[R]) -> tuple[Stored[R], ...]:
        """Every row of the table, in key order."""
        self.engine.record(TableSelector(table))
        return self.engine.snapshot.all(table)

    def values(self, table: Table[Any], index: str) -> tuple[Hashable, ...]:
        """The values of an index that have at least one row, in order.

        Read this, not the rows, to know what exists: it changes only when a value appears or vanishes.
        """
        self.engine.record(ValuesSelector(table, index))
        return self.engine.snapshot.values(table, index)

    def stamp(self, selector: Selector) -> int:
        """The revision that last changed what the selector names."""
        self.engine.record(selector)
        return self.engine.snapshot.stamp(selector)

    def cell(self, name: Hashable, default: Any = None) -> Any:
        """The value the edge last set under this name."""
        self.engine.record(CellSelector(name))
        return self.engine.cell(name, default)


class Engine:
    """All memos over one log. Belongs to one event loop; every method but `run` is synchronous."""

    def __init__(self, snapshot: Snapshot, *, idle_memos: int = IDLE_MEMOS) -> None:
        self.snapshot = snapshot
        self.db = Db(self)
        self.counts = Counts()
        self._clock = 0
        self._memos: dict[tuple[Query[..., Any], tuple[Hashable, ...]], Memo] = {}
        self._idle: OrderedDict[Memo, None] = OrderedDict()
        self._idle_memos = idle_memos
        self._cells: dict[Hashable, tuple[Any, int]] = {}
        self._readers: dict[Input, dict[Memo, None]] = {}
        self._running: list[Memo] = []
        self._stale: list[tuple[int, int, Memo]] = []
        self._order = itertools.count()
        self._changed_roots: dict[Memo, None] = {}
        self._work = asyncio.Event()

    # Changes come in

    def apply(self, snapshot: Snapshot, batch: Batch) -> None:
        """Move to a new snapshot. Marks what the batch touched; runs nothing. A log listener."""
        self.snapshot = snapshot
        self._clock += 1
        for selector in batch.selectors():
            self._mark_readers(selector)

    def set_cell(self, name: Hashable, value: Any) -> None:
        """Set an input that is not in the log. An equal value changes nothing."""
        if name in self._cells and self._cells[name][0] == value:
            return
        self._clock += 1
        self._cells[name] = (value, self._clock)
        self._mark_readers(CellSelector(name))

    def cell(self, name: Hashable, default: Any = None) -> Any:
        """The value of a cell, without recording that it was read."""
        return self._cells.get(name, (default, 0))[0]

    def record(self, selector: Input) -> None:
        """Note that the running query reads an input."""
        if self._running:
            self._running[-1].inputs[selector] = None

    # Values go out

    def ask(self, query: Query[..., Any], args: tuple[Hashable, ...]) -> Any:
        """The value of a query at the current snapshot. Raises what the query raised, or Cycle."""
        memo = self._memo(query, args)
        if self._running:
            self._running[-1].calls[memo] = None
        self._refresh(memo)
        if memo.error is not None:
            raise memo.error
        return memo.value

    def subscribe(
        self, query: Query[P, T], changed: Callable[[], None], *args: P.args, **_: P.kwargs
    ) -> Subscription[T]:
        """Keep a query live and be told after each wave that changed it. The first value is not announced."""
        memo = self._memo(query, args)
        self._refresh(memo)
        subscription: Subscription[T] = Subscription(self, memo, changed)
        was_live = memo.live
        memo.subscriptions[subscription] = None
        if not was_live:
            self._enliven(memo)
        return subscription

    def unsubscribe(self, subscription: Subscription[Any], memo: Memo) -> None:
        """Undo `subscribe`; called by `Subscription.close`."""
        if memo.subscriptions.pop(subscription, 0) is None and not memo.live:
            self._retire(memo)

    # Settling

    @property
    def settled(self) -> bool:
        """True when no live memo is stale and every root has been told."""
        return not self._stale and not self._changed_roots

    def settle(self, seconds: float = float("inf")) -> bool:
        """Run stale memos, lowest first, then tell changed roots. Returns False if time ran out first."""
        deadline = time.monotonic() + seconds
        while self._stale:
            _, _, memo = heapq.heappop(self._stale)
            if memo.stale and memo.live:
                self._evaluate(memo)
            if time.monotonic() >= deadline:
                break
        self._deliver()
        return self.settled

    async def run(self) -> None:
        """Settle whenever there is work, giving the event loop back every few milliseconds."""
        while True:
            await self._work.wait()
            self._work.clear()
            settled = False
            while not settled:
                settled = self.settle(SLICE_SECONDS)
                await asyncio.sleep(0)

    def _deliver(self) -> None:
        roots, self._changed_roots = self._changed_roots, {}
        for memo in roots:
            for subscription in tuple(memo.subscriptions):
                self.counts.delivered += 1
                try:
                    subscription.changed()
                except Exception:
                    logger.exception("a subscriber of %r failed", memo)

    # Memos

    def _memo(self, query: Query[..., Any], args: tuple[Hashable, ...]) -> Memo:
        memo = self._memos.get((query, args))
        if memo is None:
            memo = self._memos[query, args] = Memo(query, args)
        if not memo.live:
            self._idle[memo] = None
            self._idle.move_to_end(memo)
            if len(self._idle) > self._idle_memos:
                self._forget_one()
        return memo

    def _forget_one(self) -> None:
        for memo in self._idle:
            if not memo.running:
                del self._idle[memo]
                self._memos.pop((memo.query, memo.args), None)
                return

    def _refresh(self, memo: Memo) -> None:
        if memo.running:
            names = [m.query.name for m in self._running[self._running.index(memo) :]]
            raise Cycle(" -> ".join([*names, memo.query.name]))
        if memo.verified_at == self._clock and not memo.stale:
            return
        if self._is_valid(memo):
            self.counts.verified += 1
            memo.verified_at, memo.verified_revision = self._clock, self.snapshot.revision
        else:
            self._evaluate(memo)

    def _is_valid(self, memo: Memo) -> bool:
        if memo.stale or memo.verified_at < 0:
            return False
        if memo.live and not (self._stale and self._stale[0][0] < memo.height):
            return True
        if not memo.live and any(self._moved_since(selector, memo) for selector in memo.inputs):
            return False
        for call in memo.calls:
            self._refresh(call)
            if call.changed_at > memo.verified_at:
                return False
        return not memo.stale

    def _moved_since(self, selector: Input, memo: Memo) -> bool:
        if isinstance(selector, CellSelector):
            return self._cells.get(selector.name, (None, 0))[1] > memo.verified_at
        return self.snapshot.stamp(selector) > memo.verified_revision

    def _evaluate(self, memo: Memo) -> None:
        old_inputs, old_calls = memo.inputs, memo.calls
        memo.inputs, memo.calls = {}, {}
        memo.running = True
        self._running.append(memo)
        value, error = None, None
        try:
            value = memo.query.function(self.db, *memo.args)
        except Exception as raised:
            error = raised.with_traceback(None)
        finally:
            self._running.pop()
            memo.running = False
        self.counts.evaluated += 1
        first = memo.verified_at < 0
        memo.stale = False
        memo.verified_at, memo.verified_revision = self._clock, self.snapshot.revision
        memo.height = max((call.height + 1 for call in memo.calls), default=0)
        if memo.live:
            self._rewire(memo, old_inputs, old_calls)
            self._raise_readers(memo)
        if first or not _same(memo, value, error):
            memo.value, memo.error, memo.changed_at = value, error, self._clock
            self._announce(memo)
        else:
            self.counts.cut_off += 1

    def _announce(self, memo: Memo) -> None:
        for reader in memo.readers:
            self._mark(reader)
        if memo.subscriptions:
            self._changed_roots[memo] = None
            self._work.set()

    def _mark_readers(self, selector: Input) -> None:
        for memo in self._readers.get(selector, ()):
            self._mark(memo)

    def _mark(self, memo: Memo) -> None:
        if not memo.stale and not memo.running:
            memo.stale = True
            heapq.heappush(self._stale, (memo.height, next(self._order), memo))
            self._work.set()

    def _raise_readers(self, memo: Memo) -> None:
        """A reader stands above what it reads; keep that true when a memo grew taller."""
        for reader in memo.readers:
            if reader.height <= memo.height and not reader.running:
                reader.height = memo.height + 1
                if reader.stale:
                    heapq.heappush(self._stale, (reader.height, next(self._order), reader))
                self._raise_readers(reader)

    # Live and idle

    def _enliven(self, memo: Memo) -> None:
        """The memo got its first reader or subscription: connect it, and what it calls, to their inputs."""
        self._idle.pop(memo, None)
        self._memos.setdefault((memo.query, memo.args), memo)
        self._rewire(memo, {}, {})

    def _retire(self, memo: Memo) -> None:
        """The memo lost its last: disconnect it, and leave it in the cache of idle ones."""
        self._idle[memo] = None
        inputs, calls = memo.inputs, memo.calls
        self._disconnect(memo, inputs, calls)
        if memo.stale:
            memo.stale, memo.verified_at = False, -1
        while len(self._idle) > self._idle_memos:
            self._forget_one()

    def _rewire(self, memo: Memo, old_inputs: dict[Input, None], old_calls: dict[Memo, None]) -> None:
        for selector in memo.inputs:
            if selector not in old_inputs:
                self._readers.setdefault(selector, {})[memo] = None
        for call in memo.calls:
            if call not in old_calls:
                was_live = call.live
                call.readers[memo] = None
                if not was_live:
                    self._enliven(call)
        self._disconnect(
            memo,
            {s: None for s in old_inputs if s not in memo.inputs},
            {c: None for c in old_calls if c not in memo.calls},
        )

    def _disconnect(self, memo: Memo, inputs: dict[Input, None], calls: dict[Memo, None]) -> None:
        for selector in inputs:
            readers = self._readers.get(selector)
            if readers is not None:
                readers.pop(memo, None)
                if not readers:
                    del self._readers[selector]
        for call in calls:
            call.readers.pop(memo, None)
            if not call.live:
                self._retire(call)


def _same(memo: Memo, value: Any, error: Exception | None) -> bool:
    if error is None or memo.error is None:
        return error is memo.error and bool(value == memo.value)
    return type(error) is type(memo.error) and error.args == memo.error.args
