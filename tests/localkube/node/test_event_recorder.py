"""A pod may tell a burst of events at once, and one more every five minutes after that."""

from datetime import UTC, datetime, timedelta

import pytest

from pellucid.localkube.node.event_recorder import EventRecorder
from pellucid.localkube.types.kinds import EVENTS
from tests.localkube.node.one_node import api_objects

BURST, REFILL = 25, timedelta(minutes=5)


class Recorder:
    """A recorder at moments that the test chooses."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    async def prepare(self) -> None:
        self.resources = await api_objects()
        self._recorder = EventRecorder(self.resources, "n", lambda: self.now)

    async def tell(self, pod: str, times: int = 1) -> None:
        about = {"metadata": {"name": pod, "namespace": "default", "uid": f"uid of {pod}"}}
        for _ in range(times):
            await self._recorder.tell(about, "Unhealthy", "no luck", warning=True)

    def counts(self) -> dict[str, int]:
        _, events = self.resources.select(EVENTS)
        return {event["involvedObject"]["name"]: event["count"] for event in events}


@pytest.fixture
async def recorder() -> Recorder:
    made = Recorder()
    await made.prepare()
    return made


async def test_a_repeated_event_is_counted_up(recorder: Recorder) -> None:
    await recorder.tell("a", times=3)
    assert recorder.counts() == {"a": 3}


async def test_a_pod_that_says_too_much_is_not_heard_and_others_are(recorder: Recorder) -> None:
    await recorder.tell("a", times=BURST + 10)
    await recorder.tell("b")
    assert recorder.counts() == {"a": BURST, "b": 1}


async def test_it_is_heard_again_as_time_passes(recorder: Recorder) -> None:
    await recorder.tell("a", times=BURST + 10)
    recorder.now += 2 * REFILL
    await recorder.tell("a", times=3)
    assert recorder.counts() == {"a": BURST + 2}
    recorder.now += 2 * BURST * REFILL
    await recorder.tell("a", times=2 * BURST)
    assert recorder.counts() == {"a": 2 * BURST + 2}
