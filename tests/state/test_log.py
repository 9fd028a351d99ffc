"""The log: order, durability before the answer, and what a failure leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from pellucid.state.log import Engine, Gap, Log, LogClosed, MemoryEngine, StorageError
from pellucid.state.snapshot import Conflict, Snapshot
from pellucid.state.sqlite import SqliteEngine
from pellucid.state.tables import Batch, Put, Record, Unstorable
from tests.state.things import THINGS, CountingEngine, Thing, delete, key, put


class HeldEngine(CountingEngine):
    """Writes only when let go, and fails when told to."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, [THINGS])
        self.writing = threading.Semaphore(0)
        self.may_write = threading.Semaphore(0)
        self.failure: Exception | None = None

    def append(self, revision: int, records: Sequence[Record]) -> None:
        self.writing.release()
        self.may_write.acquire()
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        super().append(revision, records)


@pytest.fixture(params=["memory", "sqlite"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    engine: Engine = MemoryEngine() if request.param == "memory" else SqliteEngine(tmp_path, [THINGS])
    log = Log(engine)
    yield log
    await log.close()


@pytest.fixture
def held(tmp_path: Path) -> HeldEngine:
    return HeldEngine(tmp_path)


async def until_writing(engine: HeldEngine) -> None:
    """Until the engine has been given a write that it does not finish yet."""
    await asyncio.to_thread(engine.writing.acquire)


def commits(log: Log, *names: str) -> list[asyncio.Task[int]]:
    return [asyncio.ensure_future(log.commit([put(name)])) for name in names]


async def started(*_: object) -> None:
    """Let tasks that were just made run up to where they wait."""
    await asyncio.sleep(0)


def names(log: Log) -> list[str]:
    return [stored.value.name for stored in log.snapshot().all(THINGS)]


async def test_commits_get_consecutive_revisions(log: Log) -> None:
    assert [await log.commit([put(name)]) for name in "abc"] == [1, 2, 3]
    assert log.revision == 3


async def test_a_commit_that_changes_nothing_answers_with_the_present_revision(log: Log) -> None:
    await log.commit([put("a")])
    assert await log.commit([put("a")]) == 1
    assert await log.commit([]) == 1


async def test_a_conflict_applies_nothing(log: Log) -> None:
    await log.commit([put("a")])
    with pytest.raises(Conflict):
        await log.commit([put("b"), delete("a")], expect={(THINGS, key("a")): 7})
    assert (log.revision, names(log)) == (1, ["a"])


async def test_listeners_hear_every_commit_in_order_before_the_committer_is_answered(log: Log) -> None:
    heard: list[int] = []
    stop = log.listen(lambda snapshot, batch: heard.append(batch.revision))
    for name in "abc":
        revision = await log.commit([put(name)])
        assert heard[-1] == revision
    stop()
    stop()
    await log.commit([put("d")])
    assert heard == [1, 2, 3]


async def test_a_listener_that_fails_stops_neither_the_commit_nor_other_listeners(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int] = []

    def fail(snapshot: Snapshot, batch: Batch) -> None:
        raise RuntimeError("a listener's bug")

    log.listen(fail)
    log.listen(lambda snapshot, batch: heard.append(batch.revision))
    assert await log.commit([put("a")]) == 1
    assert heard == [1]
    assert "a log listener failed at revision 1" in caplog.text


@pytest.mark.parametrize("value", [2**70, object(), "\ud800"])
async def test_a_value_that_cannot_be_stored_fails_its_own_commit_only(log: Log, value: object) -> None:
    good = commits(log, "a", "b")
    with pytest.raises(Unstorable, match="things bad cannot be stored"):
        await log.commit([put("c"), Put(THINGS, Thing("bad", more={"x": value}))])
    assert await asyncio.gather(*good) == [1, 2]
    assert await log.commit([put("d")]) == 3
    assert names(log) == ["a", "b", "d"]


async def test_a_closed_log_refuses_commits_and_keeps_answering_reads(log: Log) -> None:
    await log.commit([put("a")])
    await log.close()
    await log.close()
    with pytest.raises(LogClosed):
        await log.commit([put("b")])
    assert names(log) == ["a"]


# Group commit and durability, on a real disk


async def test_commits_that_arrive_during_a_write_are_written_together(held: HeldEngine) -> None:
    log = Log(held)
    first = commits(log, "first")
    await until_writing(held)
    rest = commits(log, *(f"t{i}" for i in range(100)))
    await started()
    held.may_write.release(2)
    assert await asyncio.gather(*first, *rest) == list(range(1, 102))
    assert held.transactions == 2
    await log.close()


async def test_nothing_is_visible_or_answered_before_it_is_durable(held: HeldEngine) -> None:
    log = Log(held)
    (commit,) = commits(log, "a")
    await until_writing(held)
    assert (log.revision, names(log), commit.done()) == (0, [], False)
    assert log.head.get(THINGS, key("a")) is not None
    held.may_write.release()
    await commit
    assert names(log) == ["a"]
    await log.close()


async def test_a_commit_that_changes_nothing_waits_for_what_it_relies_on(held: HeldEngine) -> None:
    log = Log(held)
    (first,) = commits(log, "a")
    await until_writing(held)
    (same,) = commits(log, "a")
    await started()
    assert not same.done()
    held.may_write.release()
    assert (await first, await same) == (1, 1)
    await log.close()


async def test_a_cancelled_committer_holds_up_nobody_and_its_commit_is_whole(held: HeldEngine) -> None:
    log = Log(held)
    cancelled, other = commits(log, "a", "b")
    await until_writing(held)
    cancelled.cancel()
    held.may_write.release(2)
    assert await other == 2
    assert cancelled.cancelled()
    assert names(log) == ["a", "b"]
    await log.close()


@pytest.mark.parametrize("failure", [StorageError("the disk said no"), RuntimeError("a bug")])
async def test_a_failed_write_fails_all_in_flight_and_the_log_stands_where_it_was(
    held: HeldEngine, failure: Exception
) -> None:
    log = Log(held)
    held.may_write.release()
    await log.commit([put("kept")])
    await until_writing(held)
    held.failure = failure
    doomed = commits(log, "a", "b")
    await until_writing(held)
    queued = commits(log, "c", "a")
    await started()
    held.may_write.release()
    answers = await asyncio.gather(*doomed, *queued, return_exceptions=True)
    assert all(isinstance(answer, StorageError) for answer in answers)
    assert (log.revision, names(log), log.head is log.snapshot()) == (1, ["kept"], True)
    held.may_write.release()
    assert await log.commit([put("a", "red")]) == 2
    await log.close()
    assert [s.value for s in SqliteEngine(held._directory, [THINGS]).load().all(THINGS)] == [
        Thing("a", "red"),
        Thing("kept"),
    ]


async def test_closing_finishes_the_commits_in_flight(held: HeldEngine, tmp_path: Path) -> None:
    log = Log(held)
    flying = commits(log, "a", "b")
    await until_writing(held)
    closing = asyncio.ensure_future(log.close())
    await started()
    held.may_write.release(2)
    await closing
    assert await asyncio.gather(*flying) == [1, 2]
    assert len(SqliteEngine(tmp_path, [THINGS]).load().all(THINGS)) == 2


# Following


async def taken(batches: AsyncIterator[Batch], count: int) -> list[int]:
    return [(await anext(batches)).revision for _ in range(count)]


async def test_a_follower_gets_what_it_missed_and_then_what_comes(log: Log) -> None:
    for name in "abc":
        await log.commit([put(name)])
    following = log.follow(1)
    assert await taken(following, 2) == [2, 3]
    waiting = asyncio.ensure_future(taken(following, 2))
    await started()
    await log.commit([put("d")])
    await log.commit([put("e")])
    assert await waiting == [4, 5]


async def test_every_follower_gets_every_batch(log: Log) -> None:
    waiting = [asyncio.ensure_future(taken(log.follow(0), 20)) for _ in range(3)]
    await started()
    await asyncio.gather(*(log.commit([put(f"t{i}")]) for i in range(20)))
    assert await asyncio.gather(*waiting) == [list(range(1, 21))] * 3


async def test_a_follower_that_fell_behind_the_kept_history_gets_a_gap() -> None:
    log = Log(history=3)
    for i in range(5):
        await log.commit([put(f"t{i}")])
    assert await taken(log.follow(2), 3) == [3, 4, 5]
    with pytest.raises(Gap, match="cannot follow from revision 1: batches 3 to 5 are kept"):
        await anext(log.follow(1))


async def test_a_follower_from_the_future_gets_a_gap(log: Log) -> None:
    with pytest.raises(Gap):
        await anext(log.follow(9))


async def test_after_a_restart_history_begins_at_the_loaded_revision(tmp_path: Path) -> None:
    log = Log(SqliteEngine(tmp_path, [THINGS]))
    await log.commit([put("a")])
    await log.close()
    log = Log(SqliteEngine(tmp_path, [THINGS]))
    with pytest.raises(Gap):
        await anext(log.follow(0))
    following = asyncio.ensure_future(taken(log.follow(1), 1))
    await started()
    await log.commit([put("b")])
    assert await following == [2]
    await log.close()


async def test_closing_ends_following_after_the_last_batch(held: HeldEngine) -> None:
    log = Log(held)
    seen: list[int] = []

    async def follow() -> None:
        async for batch in log.follow(0):
            seen.append(batch.revision)

    following = asyncio.ensure_future(follow())
    flying = commits(log, "a", "b")
    await until_writing(held)
    closing = asyncio.ensure_future(log.close())
    await started()
    held.may_write.release(2)
    await asyncio.gather(closing, following, *flying)
    assert seen == [1, 2]


async def test_waking_a_follower_costs_what_is_new_not_what_is_kept() -> None:
    log = Log(history=1_000)
    for i in range(1_000):
        await log.commit([put(f"t{i}")])
    reads: list[int] = []
    log._history = _CountedReads(log._history, reads.append)  # type: ignore[assignment]
    assert await taken(log.follow(998), 2) == [999, 1_000]
    assert len(reads) == 3


class _CountedReads:
    """A history that reports each batch looked at."""

    def __init__(self, history: Sequence[Batch], read: Callable[[int], None]) -> None:
        self._history, self._read = history, read

    def __len__(self) -> int:
        return len(self._history)

    def __getitem__(self, place: int) -> Batch:
        self._read(place)
        return self._history[place]
