"""Topics: one subscription for what many streams want, and nothing kept that nobody wants."""

from __future__ import annotations

import pytest

from pellucid.derive.engine import Engine
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change
from pellucid.xds.shared import SharedResource
from pellucid.xds.topics import ProxyView, Topics
from pellucid.xds.types import ResourceType
from tests.derive.facts import put
from tests.xds.configuration import CLUSTER, ENDPOINT
from tests.xds.toy_mesh import toy_refs, toy_resource

WEB = (str(ENDPOINT), "web")


class Reader:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.marked: list[tuple[ResourceType, str]] = []
        self.times_moved = 0

    def mark(self, resource_type: ResourceType, name: str) -> None:
        self.marked.append((resource_type, name))

    def moved(self) -> None:
        self.times_moved += 1


class World:
    """An engine with some services, and topics on it."""

    def __init__(self, **services: int) -> None:
        self.engine = Engine(Snapshot())
        self.topics = Topics(self.engine, toy_refs, toy_resource)
        self.commit(*(put(name, version, "services") for name, version in services.items()))

    def commit(self, *changes: Change) -> None:
        after, batch = self.engine.snapshot.apply(changes)
        self.engine.apply(after, batch)
        self.engine.settle()

    def view(self, reader: Reader, service_id: str = "p") -> ProxyView:
        return ProxyView(self.topics, "node", service_id, reader)


def version(resource: SharedResource | None) -> str | None:
    return None if resource is None else resource.version


def test_a_stream_is_marked_for_what_it_looked_at_and_nothing_else() -> None:
    world, reader = World(web=1, api=1), Reader()
    view = world.view(reader)
    assert version(view.resource(ENDPOINT, "web", WEB)) == "1"

    world.commit(put("web", 2, "services"), put("api", 2, "services"))

    assert reader.marked == [(ENDPOINT, "web")]
    assert version(view.resource(ENDPOINT, "web", WEB)) == "2"


def test_streams_of_all_proxies_share_one_topic_for_a_ref() -> None:
    world = World(web=1)
    readers = [Reader() for _ in range(50)]
    views = [world.view(reader, f"p{number}") for number, reader in enumerate(readers)]
    resources = [view.resource(ENDPOINT, "web", WEB) for view in views]
    before = world.engine.counts.evaluated

    world.commit(put("web", 2, "services"))

    assert len(world.topics) == 1
    assert len({id(resource) for resource in resources}) == 1
    assert world.engine.counts.evaluated - before == 1
    assert all(reader.marked == [(ENDPOINT, "web")] for reader in readers)


def test_one_stream_may_have_a_ref_under_several_names() -> None:
    world, reader = World(web=1), Reader()
    view = world.view(reader)
    view.resource(ENDPOINT, "web", WEB)
    view.resource(ENDPOINT, "alias", WEB)
    view.drop(ENDPOINT, "web")

    world.commit(put("web", 2, "services"))

    assert reader.marked == [(ENDPOINT, "alias")]


def test_a_name_that_comes_to_be_built_from_something_else_follows_that() -> None:
    world, reader = World(web=1, api=5), Reader()
    view = world.view(reader)
    view.resource(ENDPOINT, "web", WEB)
    assert version(view.resource(ENDPOINT, "web", (str(ENDPOINT), "api"))) == "5"

    world.commit(put("web", 2, "services"))

    assert reader.marked == []
    assert len(world.topics) == 1


def test_a_stream_is_told_when_other_resources_are_to_be_had() -> None:
    world, reader = World(web=1), Reader()
    view = world.view(reader)
    before = view.refs(CLUSTER)
    assert before is not None

    world.commit(put("api", 1, "services"))

    after = view.refs(CLUSTER)
    assert reader.times_moved == 1
    assert after is not None
    assert sorted(after.by_name) == ["api", "web"]
    assert view.refs(CLUSTER) is after


def test_closing_a_view_lets_go_of_everything() -> None:
    world = World(web=1)
    view = world.view(Reader())
    view.refs(ENDPOINT)
    view.resource(ENDPOINT, "web", WEB)

    view.close()

    assert len(world.topics) == 0
    assert world.engine.watched_inputs == 0


def test_what_cannot_be_built_is_none_until_it_can(caplog: pytest.LogCaptureFixture) -> None:
    world, reader = World(web=-1), Reader()
    view = world.view(reader)

    assert view.resource(ENDPOINT, "web", WEB) is None
    assert view.resource(ENDPOINT, "web", WEB) is None
    assert len(caplog.records) == 1

    world.commit(put("web", 1, "services"))
    assert reader.marked == [(ENDPOINT, "web")]
    assert version(view.resource(ENDPOINT, "web", WEB)) == "1"
