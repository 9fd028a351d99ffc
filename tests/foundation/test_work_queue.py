"""The queue of keys that controllers work off."""

from __future__ import annotations

import asyncio

from pellucid.foundation.work_queue import LONGEST_DELAY_S, WorkQueue, delay_after


async def test_keys_come_out_in_the_order_they_were_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("b", "a", "c"):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["b", "a", "c"]


async def test_a_key_that_waits_is_not_added_again() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    queue.add("c")
    assert await queue.get() == "c"


async def test_the_keys_to_be_looked_at_now_can_be_seen() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "c"):
        queue.add(key)
    queue.add_after("later", 3_600)
    await queue.get()
    assert list(queue) == ["b", "c"]


async def test_a_key_added_while_it_is_looked_at_comes_again() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert await queue.get() == "a"


async def test_who_waits_is_woken_by_a_new_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await waiting == "a"


def test_each_failure_in_a_row_doubles_the_delay_up_to_a_limit() -> None:
    assert [delay_after(failures) for failures in (0, 1, 2, 3)] == [0.1, 0.2, 0.4, 0.8]
    assert delay_after(1_000) == LONGEST_DELAY_S


async def test_a_failed_key_comes_again_by_itself() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.failed("a")
    assert await queue.get() == "a"


async def test_a_key_that_failed_comes_later_even_where_its_failure_was_written_down() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.failed("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["b", "a"]


async def test_a_change_after_the_failure_has_a_key_looked_at_at_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for _ in range(20):
        queue.failed("a")
    queue.add("a")
    async with asyncio.timeout(30):
        assert await queue.get() == "a"


async def test_of_two_times_for_a_key_the_sooner_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 3_600)
    queue.add_after("a", 0)
    queue.add_after("a", 3_600)
    assert await queue.get() == "a"
