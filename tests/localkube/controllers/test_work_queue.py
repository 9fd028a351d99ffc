import asyncio

from pellucid.localkube.controllers.plan import Key
from pellucid.localkube.controllers.work_queue import WorkQueue

ONE, OTHER = Key("", "one"), Key("", "other")


async def test_a_key_that_was_added_twice_is_given_once() -> None:
    queue = WorkQueue()
    for key in (ONE, OTHER, ONE):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == [ONE, OTHER]


async def test_a_key_that_failed_comes_later_even_where_its_failure_was_written_down() -> None:
    queue = WorkQueue()
    queue.add(ONE)
    assert await queue.get() == ONE
    queue.add(ONE)
    queue.failed(ONE)
    queue.add(OTHER)
    assert [await queue.get(), await queue.get()] == [OTHER, ONE]


async def test_a_change_after_the_failure_has_a_key_looked_at_at_once() -> None:
    queue = WorkQueue()
    for _ in range(20):
        queue.failed(ONE)
    queue.add(ONE)
    async with asyncio.timeout(30):
        assert await queue.get() == ONE
