"""Laws of the engine, for random programs and random histories.

A program is a handful of queries that read facts and call each other, some of it depending on what
they read. Whatever is committed, asked, watched, closed and half settled, in whatever order:

- an answer is the one a from-scratch computation gives;
- a subscriber is told when the value differs from what it was last told, and only then;
- a memo runs at most once between two changes;
- a live memo stands above all it calls, and nothing unwatched stays connected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pellucid.derive.engine import Cycle, Db, Query, Subscription, query
from tests.derive.facts import FACTS, FromScratch, World, drop, number, put

NODES = 7
ACTIONS = 60
"""How much happens in one history."""

NAMES = ["a", "b", "c"]
GROUPS = ["red", "blue"]
CELLS = ["hot", "cold"]

Step = tuple[Any, ...]
Program = list[tuple[list[Step], int, int]]
"""For each node: what it reads and adds up, the modulus of the sum, and a sum that raises."""


def random_program(random: Random, acyclic: bool) -> Program:
    def step(callable_nodes: Sequence[int]) -> Step:
        kinds = ["row", "row", "group", "all", "values", "cell"]
        if callable_nodes:
            kinds += ["call", "call", "call", "either", "either", "row named by", "catch"]
        match random.choice(kinds):
            case "row":
                return ("row", random.choice(NAMES))
            case "group":
                return ("group", random.choice(GROUPS))
            case "cell":
                return ("cell", random.choice(CELLS))
            case "either":
                nodes = random.choice(callable_nodes), random.choice(callable_nodes)
                return ("either", random.choice(NAMES), *nodes)
            case "all" | "values" as kind:
                return (kind,)
            case kind:
                return (kind, random.choice(callable_nodes))

    def node(place: int) -> tuple[list[Step], int, int]:
        below = range(place if acyclic else NODES)
        reads = [step(below) for _ in range(random.randint(1, 3))]
        return reads, random.choice([2, 3, 100]), random.choice([-1, -1, 1, 2, 3])

    return [node(place) for place in range(NODES)]


def compiled(
    program: Program, ran: Callable[[int], None], itself: Query[[int], int] | None = None
) -> Query[[int], int]:
    """The program as one query of a node's place. `itself`: what it calls in place of itself."""

    def value_of(db: Db, step: Step) -> int:
        match step:
            case ("row", name):
                return number(db, name)
            case ("group", group):
                return sum(stored.value.number for stored in db.rows(FACTS, "group", group))
            case ("all",):
                return len(db.all(FACTS))
            case ("values",):
                return len(db.values(FACTS, "group"))
            case ("cell", name):
                return int(db.cell(name, 0))
            case ("call", place):
                return called(db, place)
            case ("either", name, odd, even):
                return called(db, odd if number(db, name) % 2 else even)
            case ("row named by", place):
                return number(db, NAMES[called(db, place) % len(NAMES)])
            case ("catch", place):
                try:
                    return called(db, place)
                except ValueError:
                    return 99
        raise AssertionError(step)

    @query
    def node(db: Db, place: int) -> int:
        ran(place)
        reads, modulus, unlucky = program[place]
        total = sum(value_of(db, step) for step in reads)
        if total == unlucky:
            raise ValueError(place, total)
        return total % modulus

    called = itself or node
    return node


def outcome(ask: Callable[[], Any]) -> Any:
    """A value, or an error as a comparable value."""
    try:
        return ask()
    except (Cycle, ValueError) as error:
        return error


def alike(one: Any, other: Any) -> bool:
    """Equal; of two reports of a cycle each may begin elsewhere, or name another of several."""
    if isinstance(one, Exception):
        return type(one) is type(other) and (isinstance(one, Cycle) or one.args == other.args)
    return bool(one == other)


class History:
    """One program, its engine, and a random history of what can happen to it."""

    def __init__(self, random: Random, idle_memos: int, acyclic: bool) -> None:
        self.random = random
        self.idle_memos = idle_memos
        self.acyclic = acyclic
        self.program = random_program(random, acyclic)
        self.node = compiled(self.program, self._ran)
        self.evaluations_left = 0
        self.world = World(idle_memos=idle_memos, now=self._now)
        self.cells: dict[Hashable, int] = {}
        self.runs: Counter[int] = Counter()
        self.watched: dict[Subscription[int], int] = {}
        self.last_told: dict[Subscription[int], Any] = {}
        self.complaints: list[str] = []
        """What a subscriber found wrong; the engine keeps its errors from reaching the test."""

    def _ran(self, place: int) -> None:
        self.runs[place] += 1
        self.evaluations_left -= 1

    def _now(self) -> float:
        """A clock that stands still until the evaluations granted to a slice are used up."""
        return 0.0 if self.evaluations_left > 0 else 1.0

    def any_place(self) -> int:
        return self.random.randrange(NODES)

    def put(self) -> None:
        random = self.random
        changes = {random.choice(NAMES): random.randrange(4) for _ in range(random.randint(1, 2))}
        self.runs.clear()
        self.world.commit(*(put(name, n, random.choice(GROUPS)) for name, n in changes.items()))

    def drop(self) -> None:
        self.runs.clear()
        self.world.commit(drop(self.random.choice(NAMES)))

    def set_cell(self) -> None:
        name, value = self.random.choice(CELLS), self.random.randrange(4)
        self.runs.clear()
        self.world.engine.set_cell(name, value)
        self.cells[name] = value

    def drop_cell(self) -> None:
        name = self.random.choice(CELLS)
        self.runs.clear()
        self.world.engine.drop_cell(name)
        self.cells.pop(name, None)

    def ask(self) -> None:
        place = self.any_place()
        assert alike(outcome(lambda: self.world.ask(self.node, place)), self.expected(place))

    def watch(self) -> None:
        def changed() -> None:
            now = outcome(lambda: subscription.value)
            if not alike(now, self.expected(place)):
                self.complaints.append(f"{place}: {now} is not what it comes to")
            before = self.last_told[subscription]
            if now == before or (isinstance(now, Exception) and now.args == getattr(before, "args", None)):
                self.complaints.append(f"{place}: told of {now}, which it knew")
            self.last_told[subscription] = now

        place = self.any_place()
        subscription = self.world.engine.subscribe(self.node, changed, place)
        self.watched[subscription] = place
        self.last_told[subscription] = outcome(lambda: subscription.value)
        assert alike(self.last_told[subscription], self.expected(place))

    def close(self) -> None:
        if self.watched:
            subscription = self.random.choice(list(self.watched))
            subscription.close()
            del self.watched[subscription]

    def settle_a_slice(self) -> None:
        self.evaluations_left = self.random.randint(1, 3)
        self.world.engine.settle(0.5)

    def settle(self) -> None:
        assert self.world.engine.settle()
        for subscription, place in self.watched.items():
            assert alike(self.last_told[subscription], self.expected(place)), "not told"

    ACTIONS = (put, put, drop, set_cell, drop_cell, ask, ask, watch, watch, close, settle_a_slice, settle)

    def expected(self, place: int) -> Any:
        """What the program comes to when every call is run anew."""
        scratch = FromScratch(self.world.engine.snapshot, self.cells)
        running: list[int] = []

        @query
        def guarded(db: Db, place: int) -> int:
            if place in running:
                raise Cycle
            running.append(place)
            try:
                return plain.function(db, place)
            finally:
                running.pop()

        plain = compiled(self.program, lambda _place: None, itself=guarded)
        return outcome(lambda: scratch.ask(guarded, (place,)))

    def check(self) -> None:
        engine = self.world.engine
        assert not self.complaints
        assert len(engine._idle) <= self.idle_memos
        assert not any(memo.live for memo in engine._idle)
        for memo in engine._memos.values():
            assert memo.live or not memo.stale
            if memo.live:
                assert all(memo.height > call.height and memo in call.readers for call in memo.calls)
                assert all(memo in engine._readers[selector] for selector in memo.inputs)
        if self.acyclic and self.idle_memos >= NODES:
            assert all(times == 1 for times in self.runs.values()), "a memo ran twice"

    def end(self) -> None:
        for subscription in self.watched:
            subscription.close()
        assert self.world.engine.watched_inputs == 0
        assert not any(memo.live for memo in self.world.engine._memos.values())
        assert self.world.engine.settle()


def live_through(random: Random, idle_memos: int, *, acyclic: bool) -> None:
    history = History(random, idle_memos, acyclic)
    for action in random.choices(History.ACTIONS, k=ACTIONS):
        action(history)
        history.check()
    history.end()


any_randomness = st.randoms(use_true_random=False)
idle_cache_sizes = st.sampled_from([0, 2, 1_000])


@given(any_randomness, idle_cache_sizes)
def test_laws_hold_for_any_program(random: Random, idle_memos: int) -> None:
    live_through(random, idle_memos, acyclic=True)


@given(any_randomness, idle_cache_sizes)
def test_laws_hold_for_programs_that_may_run_in_circles(random: Random, idle_memos: int) -> None:
    live_through(random, idle_memos, acyclic=False)
