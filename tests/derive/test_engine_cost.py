"""What a change costs, counted in queries run: it follows the change, never the size of the world."""

from __future__ import annotations

import pytest

from pellucid.derive.engine import Db, query
from tests.derive.facts import FACTS, World, drop, number, put


@query
def instances(db: Db, service: str) -> tuple[int, ...]:
    return tuple(stored.value.number for stored in db.rows(FACTS, "group", service))


@query
def assignment(db: Db, service: str) -> str:
    return f"{service}: {instances(db, service)}"


@query
def size(db: Db, service: str) -> int:
    return len(instances(db, service))


@query
def services(db: Db) -> tuple[str, ...]:
    return tuple(map(str, db.values(FACTS, "group")))


@query
def everything(db: Db) -> int:
    return sum(size(db, service) for service in services(db))


def mesh(services: int) -> World:
    """So many services of two instances, each watched, and one subscription to a sum over all of them."""
    world = World()
    world.commit(*(put(f"s{i}-{copy}", copy, f"s{i}") for i in range(services) for copy in (1, 2)))
    for i in range(services):
        world.watch(assignment, f"s{i}")
    world.watch(everything)
    return world


@pytest.mark.parametrize("services", [10, 1_000])
def test_one_changed_instance_costs_the_same_in_a_mesh_of_any_size(services: int) -> None:
    world = mesh(services)
    verified = world.engine.counts.verified

    def change() -> None:
        world.commit(put("s3-1", 99, "s3"))
        world.engine.settle()

    assert world.work(change) == 3  # the instances, what is made of them, and their number, which is equal
    assert world.engine.counts.verified - verified <= 1  # the subscriber reading what it was told of
    assert world.told == [("s3", "s3: (99, 2)")]


@pytest.mark.parametrize("services", [10, 1_000])
def test_a_new_instance_reruns_its_readers_and_the_sum(services: int) -> None:
    world = mesh(services)

    def change() -> None:
        world.commit(put("s3-3", 3, "s3"))
        world.engine.settle()

    assert world.work(change) == 4


@pytest.mark.parametrize("services", [10, 1_000])
def test_a_new_service_costs_what_is_new(services: int) -> None:
    world = mesh(services)

    def change() -> None:
        world.commit(put("new-1", 1, "new"))
        world.engine.settle()

    assert world.work(change) == 4  # the services, the sum, the new one's number and instances


@pytest.mark.parametrize("services", [10, 1_000])
def test_a_change_of_what_nobody_watches_costs_nothing(services: int) -> None:
    world = World()
    for i in range(services):
        world.watch(assignment, f"s{i}")

    def change() -> None:
        world.commit(put("elsewhere", 1, "elsewhere"))
        world.commit(put("elsewhere", 2, "elsewhere"))
        world.engine.settle()

    assert world.work(change) == 0


def test_an_unwatched_table_row_wakes_nobody() -> None:
    world = World()

    @query
    def one(db: Db) -> int:
        return number(db, "one")

    world.watch(one)

    def change() -> None:
        for i in range(100):
            world.commit(put(f"other{i}", i))
        world.commit(drop("other1"))
        world.engine.settle()

    assert world.work(change) == 0


def test_a_shared_value_is_computed_once_for_a_thousand_subscribers() -> None:
    world = World()
    for _ in range(1_000):
        world.watch(assignment, "shared")

    def change() -> None:
        world.commit(put("a", 1, "shared"))
        world.engine.settle()

    assert world.work(change) == 2
    assert len(world.told) == 1_000


def test_a_diamond_is_run_once_from_the_bottom_up() -> None:
    runs: list[str] = []

    @query
    def bottom(db: Db) -> int:
        runs.append("bottom")
        return number(db, "a")

    @query
    def left(db: Db) -> int:
        runs.append("left")
        return bottom(db) + 1

    @query
    def right(db: Db) -> int:
        runs.append("right")
        return bottom(db) + 2

    @query
    def top(db: Db) -> int:
        runs.append("top")
        return left(db) + right(db) + bottom(db)

    world = World()
    root = world.watch(top)
    runs.clear()
    world.commit(put("a", 1))
    world.engine.settle()
    assert runs == ["bottom", "left", "right", "top"]
    assert root.value == 6
