"""What intentions come to for each side, derived from the entries that speak of it."""

from __future__ import annotations

import pytest

from pellucid.derive.instances import mesh_services
from pellucid.derive.intentions import (
    INTENTION_DEFAULT,
    callers,
    intentions_from,
    intentions_to,
    reachable,
    verdict,
)
from pellucid.derive.upstreams import reachable_services, refused_services
from pellucid.rules.intentions import DefaultPolicy
from tests.derive.mesh_world import MeshWorld, app, intends, sidecar


@pytest.fixture
def world() -> MeshWorld:
    world = MeshWorld()
    for name in ("api", "db", "web"):
        world.commit(app(name), sidecar(name))
    return world


def test_everybody_reaches_everybody_where_nothing_is_said(world: MeshWorld) -> None:
    assert world.ask(reachable_services, "web") == ("api", "db", "web")
    assert world.ask(refused_services, "web") == ()


def test_a_default_of_deny_holds_where_nothing_is_said(world: MeshWorld) -> None:
    world.engine.set_cell(INTENTION_DEFAULT, DefaultPolicy("deny"))
    assert world.ask(reachable_services, "web") == ()
    assert not world.ask(verdict, "web", "db").is_allowed


def test_deny_all_then_allow_one(world: MeshWorld) -> None:
    world.commit(intends("*", any_="deny"))
    assert world.ask(reachable_services, "web") == ()
    world.commit(intends("db", web="allow"))
    assert world.ask(reachable_services, "web") == ("db",)
    assert world.ask(refused_services, "web") == ("api", "web")
    assert world.ask(callers, "db").allows("web")
    assert not world.ask(callers, "db").allows("api")


def test_intentions_are_found_from_both_sides(world: MeshWorld) -> None:
    world.commit(
        intends("*", any_="deny"), intends("db", web="allow", api="deny"), intends("api", db="allow")
    )
    to_db = {(row.source_name, row.destination_name) for row in world.ask(intentions_to, "db")}
    from_web = {(row.source_name, row.destination_name) for row in world.ask(intentions_from, "web")}
    assert to_db == {("web", "db"), ("api", "db"), ("*", "*")}
    assert from_web == {("web", "db"), ("*", "*")}


def test_both_sides_agree_with_the_verdict(world: MeshWorld) -> None:
    world.commit(
        intends("*", any_="deny", web="allow"), intends("db", any_="deny"), intends("api", db="allow")
    )
    for source in ("api", "db", "web", "stranger"):
        for destination in ("api", "db", "web"):
            allowed = world.ask(verdict, source, destination).is_allowed
            assert world.ask(callers, destination).allows(source) == allowed
            assert world.ask(reachable, source).allows(destination) == allowed


def test_an_intention_between_others_changes_nothing_here(world: MeshWorld) -> None:
    world.watch(reachable_services, "web")
    world.watch(callers, "web")
    world.commit(intends("db", api="deny"))
    world.engine.settle()
    assert world.told == []


def test_who_may_call_does_not_depend_on_who_there_is(world: MeshWorld) -> None:
    world.commit(intends("*", any_="deny"), intends("db", web="allow"))
    world.watch(callers, "db")
    world.watch(mesh_services)
    world.commit(app("new"), sidecar("new"))
    world.engine.settle()
    assert [len(told) for told in world.told] == [1]
