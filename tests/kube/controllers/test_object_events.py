"""Events on objects: told once, again when they change, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from lightkube.resources.core_v1 import Event

from pellucid.kube.controllers.object_events import (
    MOST_WAITING,
    REPEATED_AFTER_S,
    REPHRASED_AFTER_S,
    EventRecorder,
    Subject,
)
from tests.kube.controllers.cluster import Cluster, running_cluster

POD = Subject("v1", "Pod", "default", "web-1", "uid-1")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def recorder(cluster: Cluster, clock: Clock) -> AsyncIterator[EventRecorder]:
    made = EventRecorder(cluster.client, "consul-connect-injector", clock=clock)
    writing = asyncio.create_task(made.run())
    yield made
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing


async def test_an_event_names_the_object_the_reason_and_who_tells(
    cluster: Cluster, recorder: EventRecorder
) -> None:
    recorder.tell(POD, "ConsulServerUnavailable", "waiting for consul-consul-server: connection refused")
    (event,) = await cluster.until_events("web-1")
    assert (event.type, event.reason) == ("Warning", "ConsulServerUnavailable")
    assert event.message == "waiting for consul-consul-server: connection refused"
    assert (event.involvedObject.kind, event.involvedObject.uid) == ("Pod", "uid-1")
    assert event.source is not None
    assert event.source.component == "consul-connect-injector"


async def test_what_is_told_already_is_counted_after_a_while_only(
    cluster: Cluster, recorder: EventRecorder, clock: Clock
) -> None:
    for _ in range(50):
        recorder.tell(POD, "Waiting", "why")
    await cluster.until_events("web-1")
    clock.now += REPEATED_AFTER_S
    recorder.tell(POD, "Waiting", "why")
    (event,) = await cluster.until_events("web-1", lambda event: event.count == 2)
    assert (event.reason, event.message) == ("Waiting", "why")
    assert len([each async for each in cluster.client.list(Event, namespace="default")]) == 1


async def test_words_that_change_back_and_forth_are_not_told_each_time(
    cluster: Cluster, recorder: EventRecorder, clock: Clock
) -> None:
    for message in ("refused", "timeout", "refused", "timeout"):
        recorder.tell(POD, "Waiting", message)
    clock.now += REPHRASED_AFTER_S
    recorder.tell(POD, "Waiting", "timeout")
    first, second = await cluster.until_events("web-1", count=2)
    assert (first.message, second.message) == ("refused", "timeout")


async def test_another_reason_is_told_at_once(cluster: Cluster, recorder: EventRecorder) -> None:
    recorder.tell(POD, "Waiting", "why")
    recorder.tell(POD, "Registered", "in the mesh", kind="Normal")
    first, second = await cluster.until_events("web-1", count=2)
    assert (first.reason, second.reason, second.type) == ("Waiting", "Registered", "Normal")
    assert recorder.last_told(POD) == "Registered"


async def test_an_object_that_is_forgotten_is_new_again(cluster: Cluster, recorder: EventRecorder) -> None:
    recorder.tell(POD, "Waiting", "why")
    recorder.forget(POD)
    recorder.tell(POD, "Waiting", "why")
    assert len(await cluster.until_events("web-1", count=2)) == 2


async def test_with_nobody_to_write_them_events_pile_up_to_a_limit(cluster: Cluster, clock: Clock) -> None:
    idle = EventRecorder(cluster.client, "consul-connect-injector", clock=clock)
    for number in range(MOST_WAITING + 10):
        idle.tell(Subject("v1", "Pod", "default", f"p-{number}", f"uid-{number}"), "Waiting", "why")
    assert idle.waiting == MOST_WAITING


async def test_a_message_is_cut_to_what_the_api_server_takes(
    cluster: Cluster, recorder: EventRecorder
) -> None:
    recorder.tell(POD, "Waiting", "x" * 5_000)
    (event,) = await cluster.until_events("web-1")
    assert event.message == "x" * 1_024
