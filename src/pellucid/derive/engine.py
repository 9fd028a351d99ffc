"""The incremental engine: memoised queries that record what they read.

A commit marks the live memos that read what it touched as stale; settling runs stale memos from the
lowest height up. A memo that comes to a new value makes its readers stale; one that comes to an equal
value ends the wave there. So the cost of a change follows what the change really alters, and a memo
that nothing altered is not even looked at.

Idle memos (asked for, but under no subscription) are kept in a bounded cache and checked against the
stamps of their inputs when they are next asked for.

Asking is always consistent: a value given out is the one a from-scratch computation would give at the
engine's snapshot, also while a wave is still settling.

Two invariants hold it together, and most methods below keep one of them: a live memo that is not
stale has the right value unless a stale or running memo lies below it; and a live memo's height is above
that of everything it calls. (The class is long because every method is about these two.)

The ideas are salsa's (red/green verification, early cut-off) and Incremental's (heights).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from pellucid.derive.memo import NEVER, CellSelector, Cycle, Input, Memo, Raised, Run
from pellucid.derive.query import Db, Query, query
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch

__all__ = ["CellSelector", "Counts", "Cycle", "Db", "Engine", "Query", "Subscription", "query"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

IDLE_MEMOS = 8_192
"""Idle memos kept; beyond that the least recently asked for are forgotten."""

SLICE_SECONDS = 0.004
"""How long settling may keep the event loop before it gives it back."""


@dataclass(slots=True)
class Counts:
    """Work done since the engine began. Counts, not times: they do not wobble."""

    evaluated: int = 0
    """Queries run."""
    cut_off: int = 0
    """Of those, runs that came to an equal value."""
    verified: int = 0
    """Memos found right without a run."""
    delivered: int = 0
    """Subscribers told of a new value."""


class Subscription(Generic[T]):
    """A root: keeps its memo live and calls `changed` after each wave that gave it a new value."""

    __slots__ = ("_engine", "_memo", "changed", "told")

    def __init__(self, engine: Engine, memo: Memo, changed: Callable[[], None]) -> None:
        self._engine, self._memo, self.changed = engine, memo, changed
        self.told: Any = memo.value
        """The value it was last told of, so that one that came back to it is no news."""

    @property
    def value(self) -> T:
        """The current value. Raises what the query raised."""
        value: T = self._engine.value_of(self._memo)
        return value

    def close(self) -> None:
        """Stop. Closing twice is harmless."""
        self._engine.unsubscribe(self, self._memo)
        self.changed = _nothing  # often a closure over this subscription: a circle that would outlive it


class Engine:
    """All memos over one log. Belongs to one event loop; every method but `run` is synchronous."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        idle_memos: int = IDLE_MEMOS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.snapshot = snapshot
        self.db = Db(self)
        self.counts = Counts()
        self._now = now
        self._clock = 0
        self._memos: WeakValueDictionary[tuple[Query[..., Any], tuple[Hashable, ...]], Memo]
        self._memos = WeakValueDictionary()
        self._idle: OrderedDict[Memo, None] = OrderedDict()
        self._idle_memos = idle_memos
        self._cells: dict[Hashable, tuple[Any, int]] = {}
        self._cells_dropped_at = 0
        self._readers: dict[Input, dict[Memo, None]] = {}
        self._runs: list[Run] = []
        self._path: list[Memo] = []
        """What is being refreshed at the moment, each for the sake of the one before it."""
        self._stale: list[tuple[int, int, Memo]] = []
        self._order = itertools.count()
        self._cyclic: dict[Memo, None] = {}
        self._untold: dict[Subscription[Any], None] = {}
        self._work = asyncio.Event()

    # Changes come in

    def apply(self, snapshot: Snapshot, batch: Batch) -> None:
        """Move to a new snapshot. Marks what the batch touched; runs nothing. A log listener."""
        self.snapshot = snapshot
        self._inputs_moved(batch.selectors())

    def set_cell(self, name: Hashable, value: Any) -> None:
        """Set an input that is not in the log. An equal value changes nothing."""
        if name not in self._cells or self._cells[name][0] != value:
            self._cells[name] = (value, self._clock + 1)
            self._inputs_moved((CellSelector(name),))

    def drop_cell(self, name: Hashable) -> None:
        """Forget a cell; readers see their default again."""
        if self._cells.pop(name, None) is not None:
            self._cells_dropped_at = self._clock + 1
            self._inputs_moved((CellSelector(name),))

    def cell(self, name: Hashable, default: Any = None) -> Any:
        """The value of a cell, without recording that it was read."""
        return self._cells.get(name, (default, 0))[0]

    def record(self, selector: Input) -> None:
        """Note that the running query reads an input."""
        if self._runs:
            self._runs[-1].inputs[selector] = None

    def _inputs_moved(self, selectors: Iterable[Input]) -> None:
        self._clock += 1
        for selector in selectors:
            for memo in self._readers.get(selector, ()):
                self._mark(memo)
        for memo in self._cyclic:
            self._mark(memo)

    # Values go out

    def ask(self, query: Query[..., Any], args: tuple[Hashable, ...]) -> Any:
        """The value of a query at the current snapshot. Raises what the query raised, or Cycle."""
        return self.value_of(self._memo(query, args))

    def value_of(self, memo: Memo) -> Any:
        """The value of a memo at the current snapshot. Raises what its query raised, or Cycle."""
        self._refresh(memo)
        if self._runs:
            self._runs[-1].calls[memo] = None
        if not memo.live:
            self._keep_idle(memo)
        value = memo.value
        if type(value) is Raised:
            raise value.error.with_traceback(None)
        return value

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
        if subscription not in memo.subscriptions:
            return
        del memo.subscriptions[subscription]
        self._untold.pop(subscription, None)
        if not memo.live:
            self._retire(memo)

    # Settling

    @property
    def settled(self) -> bool:
        """True when no live memo is stale and every subscriber has been told."""
        return not self._stale and not self._untold

    def settle(self, seconds: float = float("inf")) -> bool:
        """Run stale memos, lowest first, and tell subscribers, until all is done or time is up.

        Subscribers already known to have news are told before a slice ends, so a wave too large for one
        slice holds up only those it has yet to reach. Returns `settled`.
        """
        deadline = self._now() + seconds
        while not self.settled:
            self._run_stale(self._now() + seconds)
            self._tell(self._now() + seconds)
            if self._now() >= deadline:
                break
        return self.settled

    async def run(self) -> None:
        """Settle whenever there is work, giving the event loop back every few milliseconds."""
        while True:
            await self._work.wait()
            if self.settle(SLICE_SECONDS):
                self._work.clear()
            await asyncio.sleep(0)

    def _run_stale(self, deadline: float) -> None:
        while self._stale:
            _, _, memo = heapq.heappop(self._stale)
            if memo.stale:
                self._refresh(memo)
                if self._now() >= deadline:
                    return

    def _tell(self, deadline: float) -> None:
        while self._untold:
            subscription = next(iter(self._untold))
            del self._untold[subscription]
            self._tell_one(subscription)
            if self._now() >= deadline:
                return

    def _tell_one(self, subscription: Subscription[Any]) -> None:
        memo = subscription._memo
        self._refresh(memo)
        self._untold.pop(subscription, None)
        if _same(memo.value, subscription.told):
            return
        subscription.told = memo.value
        self.counts.delivered += 1
        try:
            subscription.changed()
        except Exception:
            logger.exception("a subscriber of %r failed", memo)

    # Memos

    @property
    def memos(self) -> int:
        """How many memos are remembered, live and idle."""
        return len(self._memos)

    @property
    def watched_inputs(self) -> int:
        """How many inputs live memos read. None once every subscription is closed."""
        return len(self._readers)

    def _memo(self, query: Query[..., Any], args: tuple[Hashable, ...]) -> Memo:
        memo = self._memos.get((query, args))
        if memo is None:
            memo = self._memos[query, args] = Memo(query, args)
        return memo

    def _keep_idle(self, memo: Memo) -> None:
        """Remember an idle memo as the one last used. What is pushed out lives on only while called."""
        self._idle[memo] = None
        self._idle.move_to_end(memo)
        if len(self._idle) > self._idle_memos:
            self._idle.popitem(last=False)

    def _refresh(self, memo: Memo) -> None:
        """See to it that the memo's value is right at the current snapshot."""
        if memo.running:
            raise self._cycle_through(memo)
        if memo.verified_at == self._clock and not memo.stale:
            return
        self._path.append(memo)
        try:
            if self._is_valid(memo):
                self.counts.verified += 1
                memo.verified_at, memo.verified_revision = self._clock, self.snapshot.revision
            else:
                self._evaluate(memo)
        finally:
            self._path.pop()

    def _is_valid(self, memo: Memo) -> bool:
        if memo.stale or memo.verified_at == NEVER or memo.in_cycle:
            return False
        if memo.live:
            if not self._unsettled_below(memo.height):
                return True
        elif any(self._moved_since(selector, memo) for selector in memo.inputs):
            return False
        return self._calls_unchanged(memo)

    def _unsettled_below(self, height: int) -> bool:
        if self._stale and self._stale[0][0] < height:
            return True
        return any(run.memo.height < height and run.memo.live for run in self._runs)

    def _calls_unchanged(self, memo: Memo) -> bool:
        """Refresh what the memo calls, in order, up to the first that changed since it ran."""
        for call in memo.calls:
            if call.running:
                return False
            self._refresh(call)
            if memo.verified_at == self._clock:
                return not memo.stale  # the call came back to the memo and ran it: they are in a cycle
            if call.changed_at > memo.verified_at:
                return False
            memo.height = max(memo.height, call.height + 1)
        return True

    def _moved_since(self, selector: Input, memo: Memo) -> bool:
        if isinstance(selector, CellSelector):
            return self._cells.get(selector.name, (None, self._cells_dropped_at))[1] > memo.verified_at
        return self.snapshot.stamp(selector) > memo.verified_revision

    def _evaluate(self, memo: Memo) -> None:
        run = Run(memo)
        value = self._run(run)
        self.counts.evaluated += 1
        inputs, calls = memo.inputs, memo.calls
        memo.inputs, memo.calls = tuple(run.inputs), tuple(run.calls)
        memo.stale = False
        memo.verified_at, memo.verified_revision = self._clock, self.snapshot.revision
        if memo.live:
            self._rewire(memo, inputs, calls)
        memo.height = max((call.height + 1 for call in memo.calls), default=0)
        self._raise_readers(memo)
        if _same(value, memo.value):
            self.counts.cut_off += 1
            return
        memo.value, memo.changed_at = value, self._clock
        if memo.live:
            self._announce(memo)

    def _run(self, run: Run) -> Any:
        """Call the query's function. What it raises becomes the value."""
        memo = run.memo
        self._runs.append(run)
        memo.running = True
        try:
            value = memo.query.function(self.db, *memo.args)
        except Exception as raised:
            value = Raised(raised)
        finally:
            self._runs.pop()
            memo.running = False
        return value if run.cycle is None else Raised(run.cycle)

    def _announce(self, memo: Memo) -> None:
        if memo.in_cycle:
            self._cyclic[memo] = None
        else:
            self._cyclic.pop(memo, None)
        for reader in memo.readers:
            self._mark(reader)
        if memo.subscriptions:
            self._untold.update(memo.subscriptions)
            self._work.set()

    def _mark(self, memo: Memo) -> None:
        if not memo.stale and not memo.running:
            memo.stale = True
            heapq.heappush(self._stale, (memo.height, next(self._order), memo))
            self._work.set()

    def _raise_readers(self, memo: Memo) -> None:
        """A reader stands above what it reads; keep that true when a memo grew taller."""
        for reader in memo.readers:
            if reader.height <= memo.height:
                reader.height = memo.height + 1
                if reader.stale:
                    heapq.heappush(self._stale, (reader.height, next(self._order), reader))
                self._raise_readers(reader)

    def _cycle_through(self, memo: Memo) -> Cycle:
        """The report on a running query that was asked for. All in the circle get it, caught or not."""
        start = next(place for place, run in enumerate(self._runs) if run.memo is memo)
        last = len(self._path) - 1 - self._path[::-1].index(memo)
        cycle = _cycle(self._path[last:])
        for run in self._runs[start:]:
            run.cycle = run.cycle or cycle
        return cycle

    # Live and idle

    def _enliven(self, memo: Memo) -> None:
        """The memo got its first reader or subscription: connect it, and what it calls, to their inputs."""
        self._idle.pop(memo, None)
        if memo.in_cycle:
            self._cyclic[memo] = None
        self._connect(memo, memo.inputs, memo.calls)

    def _retire(self, memo: Memo) -> None:
        """The memo lost its last: disconnect it, and leave it in the cache of idle ones.

        Being stale needs no remembering: what made it so is later than its last run.
        """
        self._cyclic.pop(memo, None)
        memo.stale = False
        self._disconnect(memo, memo.inputs, memo.calls)
        self._keep_idle(memo)

    def _rewire(self, memo: Memo, inputs: tuple[Input, ...], calls: tuple[Memo, ...]) -> None:
        """Connect a live memo to what its last run read, and disconnect what only the one before did."""
        if inputs != memo.inputs:
            before, after = set(inputs), set(memo.inputs)
            self._connect(memo, [i for i in memo.inputs if i not in before], ())
            self._disconnect(memo, [i for i in inputs if i not in after], ())
        if calls != memo.calls:
            called, calling = set(calls), set(memo.calls)
            self._connect(memo, (), [call for call in memo.calls if call not in called])
            self._disconnect(memo, (), [call for call in calls if call not in calling])

    def _connect(self, memo: Memo, inputs: Iterable[Input], calls: Iterable[Memo]) -> None:
        for selector in inputs:
            self._readers.setdefault(selector, {})[memo] = None
        for call in calls:
            was_live = call.live
            call.readers[memo] = None
            if not was_live:
                self._enliven(call)

    def _disconnect(self, memo: Memo, inputs: Iterable[Input], calls: Iterable[Memo]) -> None:
        for selector in inputs:
            readers = self._readers[selector]
            del readers[memo]
            if not readers:
                del self._readers[selector]
        for call in calls:
            del call.readers[memo]
            if not call.live:
                self._retire(call)


def _nothing() -> None:
    """What a closed subscription calls."""


def _cycle(participants: list[Memo]) -> Cycle:
    """The report; it starts at the same place whichever query was asked first."""
    names = [repr(memo) for memo in participants]
    start = names.index(min(names))
    return Cycle(" -> ".join([*names[start:], *names[:start], names[start]]))


def _same(value: Any, other: Any) -> bool:
    """Whether two values are equal. Values that cannot be compared count as different."""
    if value is other:
        return True
    try:
        return bool(value == other)
    except Exception:
        return False
