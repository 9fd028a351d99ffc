"""The engine, behaviour by behaviour."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from pellucid.derive.engine import Cycle, Db, query
from pellucid.state.log import Log
from tests.derive.facts import FACTS, World, drop, number, put

ran: Counter[tuple[object, ...]] = Counter()
"""How often each query below ran, by name and arguments."""


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@query
def parity(db: Db, name: str) -> int:
    ran["parity", name] += 1
    return number(db, name) % 2


@query
def label(db: Db, name: str) -> str:
    ran["label", name] += 1
    return "odd" if parity(db, name) else "even"


@query
def group_sum(db: Db, group: str) -> int:
    ran["group_sum", group] += 1
    return sum(stored.value.number for stored in db.rows(FACTS, "group", group))


@query
def whole(db: Db, name: str) -> int:
    """The number of a fact that must exist."""
    ran["whole", name] += 1
    stored = db.get(FACTS, (name,))
    if stored is None:
        raise LookupError(f"no fact {name}")
    return stored.value.number


@query
def doubled(db: Db, name: str) -> int:
    ran["doubled", name] += 1
    return 2 * whole(db, name)


@query
def temperature(db: Db, place: str) -> int:
    ran["temperature", place] += 1
    return int(db.cell(place, 20))


@query
def next_of(db: Db, name: str) -> int:
    """Follows facts whose numbers name the next fact, to the one with number 0."""
    ran["next_of", name] += 1
    following = number(db, name)
    return 0 if following == 0 else 1 + next_of(db, f"f{following}")


class SlowClock:
    """One second passes each time the engine looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


# Asking


def test_a_query_runs_once_however_often_it_is_asked() -> None:
    world = World()
    world.commit(put("a", 3))
    assert [world.ask(parity, "a") for _ in range(3)] == [1, 1, 1]
    assert ran == {("parity", "a"): 1}


def test_an_idle_query_runs_again_only_when_what_it_read_has_changed() -> None:
    world = World()
    world.commit(put("a", 3))
    world.ask(label, "a")
    for i in range(3):
        world.commit(put("other", i))
        world.ask(label, "a")
    assert ran == {("label", "a"): 1, ("parity", "a"): 1}
    world.commit(put("a", 5))
    assert world.ask(label, "a") == "odd"
    assert ran == {("label", "a"): 1, ("parity", "a"): 2}
    world.commit(put("a", 6))
    assert world.ask(label, "a") == "even"
    assert ran == {("label", "a"): 2, ("parity", "a"): 3}


def test_a_query_sees_rows_come_and_go() -> None:
    world = World()
    assert world.ask(group_sum, "red") == 0
    world.commit(put("a", 3, "red"), put("b", 4, "red"))
    assert world.ask(group_sum, "red") == 7
    world.commit(drop("a"))
    assert world.ask(group_sum, "red") == 4


def test_keyword_arguments_are_refused_because_they_are_not_part_of_the_key() -> None:
    with pytest.raises(TypeError, match="label takes positional arguments only"):
        label(World().engine.db, name="a")


def test_a_cell_is_an_input_like_any_other() -> None:
    world = World()
    told = world.watch(temperature, "kitchen")
    world.engine.set_cell("kitchen", 25)
    world.engine.set_cell("cellar", 8)
    world.engine.settle()
    world.engine.set_cell("kitchen", 25)
    world.engine.settle()
    assert told.value == 25
    world.engine.drop_cell("kitchen")
    world.engine.settle()
    assert world.told == [("kitchen", 25), ("kitchen", 20)]
    assert ran == {("temperature", "kitchen"): 3}


# Watching


def test_a_subscriber_is_told_after_a_wave_that_changed_its_value() -> None:
    world = World()
    world.watch(label, "a")
    world.commit(put("a", 1))
    assert world.told == []
    assert world.engine.settle()
    assert world.told == [("a", "odd")]


def test_an_equal_value_stops_the_wave_before_its_readers_are_so_much_as_looked_at() -> None:
    world = World()
    world.watch(label, "a")
    world.commit(put("a", 2))
    verified = world.engine.counts.verified
    world.engine.settle()
    assert world.told == []
    assert ran == {("label", "a"): 1, ("parity", "a"): 2}
    assert world.engine.counts.cut_off == 1
    assert world.engine.counts.verified == verified


def test_a_value_that_came_back_before_anyone_was_told_is_no_news() -> None:
    world = World()
    root = world.watch(parity, "a")
    world.commit(put("a", 1))
    assert root.value == 1
    world.commit(put("a", 2))
    world.engine.settle()
    assert world.told == []


def test_a_late_subscriber_is_not_told_of_the_value_it_began_with() -> None:
    world = World()
    world.watch(parity, "a")
    world.commit(put("a", 1))
    late: list[int] = []
    world.engine.subscribe(parity, lambda: late.append(1), "a")
    world.engine.settle()
    assert world.told == [("a", 1)]
    assert late == []


def test_a_burst_of_commits_runs_each_stale_query_once() -> None:
    world = World()
    world.watch(group_sum, "red")
    for i in range(100):
        world.commit(put(f"f{i}", 1, "red"))
    ran.clear()
    world.engine.settle()
    assert ran == {("group_sum", "red"): 1}
    assert world.told == [("red", 100)]


def test_a_subscriber_that_fails_keeps_none_of_the_others_from_being_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()

    def fail() -> None:
        raise RuntimeError("a subscriber's bug")

    world.engine.subscribe(parity, fail, "a")
    world.watch(parity, "a")
    world.commit(put("a", 1))
    world.engine.settle()
    assert world.told == [("a", 1)]
    assert "a subscriber of test_engine.parity('a') failed" in caplog.text


# Subscribers that act while they are being told


def test_a_subscriber_may_commit() -> None:
    world = World()

    def copy() -> None:
        world.commit(put("copy", original.value))

    original = world.engine.subscribe(whole, copy, "a")
    world.watch(parity, "copy")
    world.commit(put("a", 7))
    assert world.engine.settle()
    assert world.told == [("copy", 1)]


def test_a_subscriber_may_subscribe_and_is_not_told_of_what_it_saw() -> None:
    world = World()

    def watch() -> None:
        world.watch(label, "a")

    world.engine.subscribe(parity, watch, "a")
    world.commit(put("a", 1))
    world.engine.settle()
    assert world.told == []
    world.commit(put("a", 2), put("b", 1))
    world.engine.settle()
    assert world.told == [("a", "even")]


def test_a_subscription_closed_by_another_subscriber_is_told_nothing_more() -> None:
    world = World()
    world.engine.subscribe(parity, lambda: victim.close(), "a")
    victim = world.watch(label, "a")
    world.commit(put("a", 1))
    world.engine.settle()
    assert world.told == []


# Errors


def test_an_error_is_remembered_and_raised_again_without_another_run() -> None:
    world = World()
    for _ in range(3):
        with pytest.raises(LookupError, match="no fact a"):
            world.ask(doubled, "a")
    assert ran == {("doubled", "a"): 1, ("whole", "a"): 1}


def test_a_remembered_error_does_not_grow_with_each_time_it_is_raised() -> None:
    world = World()

    def traceback_length() -> int:
        with pytest.raises(LookupError) as raised:
            world.ask(doubled, "a")
        return len(raised.traceback)

    assert len({traceback_length() for _ in range(5)}) == 1


def test_an_error_reaches_its_readers_and_nobody_else_and_passes_when_an_input_changes() -> None:
    world = World()
    world.commit(put("a", 1), put("b", 1))
    failing, fine = world.watch(doubled, "a"), world.watch(doubled, "b")
    world.told.clear()
    world.commit(drop("a"))
    ran.clear()
    with pytest.raises(LookupError):
        _ = failing.value
    assert fine.value == 2
    assert ("doubled", "b") not in ran
    world.commit(put("a", 5))
    world.engine.settle()
    assert failing.value == 10
    assert world.told == [("a", 10)]


def test_the_same_error_again_stops_the_wave() -> None:
    world = World()

    @query
    def strict(db: Db) -> int:
        raise ValueError(number(db, "a") % 2)

    told: list[None] = []
    world.engine.subscribe(strict, lambda: told.append(None))
    world.commit(put("a", 2))
    world.engine.settle()
    assert told == []
    world.commit(put("a", 3))
    world.engine.settle()
    assert told == [None]


def test_values_that_cannot_be_compared_count_as_changed() -> None:
    class Awkward:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise TypeError("not comparable")

    @query
    def awkward(db: Db) -> Awkward:
        number(db, "a")
        return Awkward()

    world = World()
    told: list[None] = []
    world.engine.subscribe(awkward, lambda: told.append(None))
    world.commit(put("a", 1))
    assert world.engine.settle()
    assert told == [None]


# Cycles

FULL_CIRCLE = " -> ".join(f"test_engine.next_of('f{i}')" for i in (1, 2, 3, 1))


def test_a_cycle_names_its_path_whichever_query_is_asked_first() -> None:
    world = World()
    world.commit(put("f1", 2), put("f2", 3), put("f3", 1))
    for name in ("f1", "f2", "f3"):
        with pytest.raises(Cycle) as raised:
            world.ask(next_of, name)
        assert str(raised.value) == FULL_CIRCLE


def test_a_query_in_a_cycle_cannot_talk_itself_out_of_it() -> None:
    @query
    def stubborn(db: Db) -> int:
        try:
            return stubborn(db)
        except Cycle:
            return 0

    with pytest.raises(Cycle):
        World().ask(stubborn)


def test_what_calls_into_a_cycle_may_catch_it() -> None:
    @query
    def cautious(db: Db) -> int:
        try:
            return next_of(db, "f1")
        except Cycle:
            return -1

    world = World()
    world.commit(put("f1", 1))
    world.watch(cautious)
    assert world.ask(cautious) == -1
    world.commit(put("f1", 0))
    world.engine.settle()
    assert world.told == [(0,)]


@pytest.mark.parametrize("closing", ["f1", "f2", "f3"])
def test_a_cycle_that_comes_and_goes_among_live_queries(closing: str) -> None:
    world = World()
    chain = {"f1": 2, "f2": 3, "f3": 1}
    world.commit(*(put(name, 0 if name == closing else following) for name, following in chain.items()))
    roots = [world.engine.subscribe(next_of, lambda: None, name) for name in chain]
    for _ in range(2):
        world.commit(put(closing, chain[closing]))
        world.engine.settle()
        for root in roots:
            with pytest.raises(Cycle) as raised:
                _ = root.value
            assert str(raised.value) == FULL_CIRCLE
        world.commit(put(closing, 0))
        world.engine.settle()
        assert sorted(root.value for root in roots) == [0, 1, 2]
    for root in roots:
        root.close()
    assert world.engine.watched_inputs == 0


def test_a_live_cycle_is_told_of_once_not_at_every_commit() -> None:
    world = World()
    told: list[str] = []
    for name in ("f1", "f2"):
        world.engine.subscribe(next_of, lambda name=name: told.append(name), name)  # type: ignore[misc]
    world.commit(put("f1", 2), put("f2", 1))
    world.engine.settle()
    assert sorted(told) == ["f1", "f2"]
    for i in range(3):
        world.commit(put("unrelated", i))
        world.engine.settle()
    assert sorted(told) == ["f1", "f2"]


def test_a_circle_found_while_an_idle_query_is_being_checked_leaves_heights_in_order() -> None:
    @query
    def watched(db: Db) -> int:
        return idle(db) if number(db, "a") else 0

    @query
    def idle(db: Db) -> int:
        return watched(db) + 1

    world = World()
    root = world.watch(watched)
    assert world.ask(idle) == 1
    world.commit(put("a", 1))
    with pytest.raises(Cycle):
        world.ask(idle)
    for memo in world.engine._memos.values():
        assert all(call.height < memo.height for call in memo.calls)
    world.commit(put("a", 0))
    assert (root.value, world.ask(idle)) == (0, 1)


# Dependencies that turn round


def test_two_queries_may_exchange_who_reads_whom() -> None:
    @query
    def left(db: Db) -> int:
        return 1 + right(db) if number(db, "way") == 1 else 10

    @query
    def right(db: Db) -> int:
        return 1 + left(db) if number(db, "way") == 2 else 20

    world = World()
    roots = [world.watch(left), world.watch(right)]
    for way, values in [(1, (21, 20)), (2, (10, 11)), (1, (21, 20)), (0, (10, 20)), (2, (10, 11))]:
        world.commit(put("way", way))
        assert world.engine.settle()
        assert (roots[0].value, roots[1].value) == values


def test_a_query_that_stands_only_on_a_reader_it_is_about_to_read_is_disconnected_cleanly() -> None:
    @query
    def low(db: Db) -> int:
        return high(db) + 1 if number(db, "turned") else 1

    @query
    def high(db: Db) -> int:
        return 5 if number(db, "turned") else low(db)

    world = World()
    root = world.watch(high)
    world.commit(put("turned", 1))
    world.engine.settle()
    assert root.value == 5
    assert world.ask(low) == 6
    root.close()
    assert world.engine.watched_inputs == 0


def test_a_reader_found_idle_below_a_taller_call_is_never_trusted_too_early() -> None:
    """An idle reader keeps its height while what it calls grows taller; live again, it must stand above."""

    @query
    def shape(db: Db) -> int:
        return (label(db, "deep") == "odd") + 0 if number(db, "grow") else 0

    @query
    def top(db: Db) -> int:
        return shape(db) + 100

    world = World(now=SlowClock())
    world.ask(top)
    keep = world.watch(shape)
    world.commit(put("grow", 1))
    world.engine.settle()
    root = world.watch(top)
    world.commit(put("deep", 1))
    assert not world.engine.settle(0.5), "the wave has reached the lowest query and not the next"
    assert root.value == 101
    keep.close()
    assert world.ask(top) == 101


# Remembering and forgetting


def test_idle_memos_are_bounded_and_the_least_recently_asked_for_go_first() -> None:
    world = World(idle_memos=10)
    for i in range(100):
        world.ask(parity, f"f{i}")
        world.ask(parity, "f0")
    assert world.engine.memos == 10
    ran.clear()
    world.ask(parity, "f0")
    world.ask(parity, "f1")
    assert ran == {("parity", "f1"): 1}


def test_watched_memos_are_kept_whatever_the_bound() -> None:
    world = World(idle_memos=0)
    roots = [world.watch(label, f"f{i}") for i in range(50)]
    world.ask(parity, "other")
    assert world.engine.memos == 100
    ran.clear()
    assert [root.value for root in roots] == ["even"] * 50
    assert not ran


def test_a_memo_pushed_out_is_shared_while_something_remembered_calls_it() -> None:
    world = World(idle_memos=1)
    world.ask(label, "a")
    root = world.watch(label, "a")
    assert world.ask(parity, "a") == 0
    assert ran == {("label", "a"): 1, ("parity", "a"): 1}
    root.close()


def test_closing_the_last_subscription_leaves_nothing_connected() -> None:
    world = World()
    roots = [world.watch(label, "a"), world.watch(label, "a"), world.watch(parity, "a")]
    for root in roots:
        assert world.engine.watched_inputs == 1
        root.close()
        root.close()
    assert world.engine.watched_inputs == 0
    ran.clear()
    world.commit(put("a", 1))
    assert world.engine.settled
    assert not ran
    assert world.ask(label, "a") == "odd"


def test_subscribing_and_closing_again_and_again_remembers_no_more_than_once() -> None:
    world = World(idle_memos=4)
    for i in range(100):
        root = world.watch(label, f"f{i}")
        world.commit(put(f"f{i}", 1))
        root.close()
    world.engine.settle()
    assert world.engine.memos <= 4 + 1
    assert world.engine.watched_inputs == 0


# Waves and slices


def test_a_wave_too_large_for_one_slice_is_settled_slice_by_slice_and_subscribers_hear_early() -> None:
    world = World(now=SlowClock())
    roots = [world.watch(parity, f"f{i}") for i in range(50)]
    world.commit(*(put(f"f{i}", 1) for i in range(50)))
    slices, told = 0, []
    while not world.engine.settle(5.0):
        slices += 1
        told.append(len(world.told))
    assert slices >= 9
    assert 0 < told[0] < 50
    assert len(world.told) == 50
    assert all(root.value == 1 for root in roots)


def test_values_are_consistent_in_the_middle_of_a_wave() -> None:
    world = World(now=SlowClock())
    root = world.watch(label, "z")
    others = [world.watch(parity, f"f{i}") for i in range(20)]
    world.commit(*(put(f"f{i}", 1) for i in range(20)), put("z", 1))
    assert not world.engine.settle(2.0)
    assert root.value == "odd"
    assert [other.value for other in others] == [1] * 20
    assert world.ask(label, "f19") == "odd"


async def test_run_settles_by_itself_and_gives_the_loop_back_between_slices() -> None:
    log = Log()
    world = World(now=SlowClock())
    log.listen(world.engine.apply)
    turns_of_others: list[int] = []

    async def other_work() -> None:
        while len(world.told) < 30:
            turns_of_others.append(len(world.told))
            await asyncio.sleep(0)

    for i in range(30):
        world.watch(parity, f"f{i}")
    last = world.engine.subscribe(group_sum, lambda: None, "all")
    running = asyncio.ensure_future(world.engine.run())
    await log.commit([put(f"f{i}", 1, "all") for i in range(30)])
    await other_work()
    assert last.value == 30
    assert len(set(turns_of_others)) > 3
    running.cancel()


async def test_run_wakes_for_cells_and_for_commits_made_by_subscribers() -> None:
    log = Log()
    world = World()
    log.listen(world.engine.apply)
    settled = asyncio.Event()
    commits: list[asyncio.Task[int]] = []

    def copy() -> None:
        commits.append(asyncio.ensure_future(log.commit([put("copy", warm.value)])))

    warm = world.engine.subscribe(temperature, copy, "kitchen")
    copied = world.engine.subscribe(whole, settled.set, "copy")
    running = asyncio.ensure_future(world.engine.run())
    await asyncio.sleep(0)
    world.engine.set_cell("kitchen", 31)
    await settled.wait()
    assert copied.value == 31
    running.cancel()
