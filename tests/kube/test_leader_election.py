"""One of several replicas works, whatever becomes of it and of the API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from socket import gethostname

import pytest
from lightkube import AsyncClient

from pellucid.kube.leader_election import DURATION_S, LOOK_S, RETRY_S, Candidate, LeaderElection, identity_of
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.controllers.gate import Gate, gate_to


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        yield running


class Clock:
    """Time that passes when a test says so, from one look of a candidate to its next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._asked_for = 0.0
        self._asleep = asyncio.Event()
        self._woken = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self._asked_for = seconds
        self._woken.clear()
        self._asleep.set()
        await self._woken.wait()

    async def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            await until(self._asleep)
            self.now += self._asked_for
            self._asleep.clear()
            self._woken.set()
        await until(self._asleep)


class Replica:
    """A process that takes part, with time of its own."""

    def __init__(self, client: AsyncClient, name: str) -> None:
        self.clock = Clock()
        self.works = asyncio.Event()
        self.stopped = asyncio.Event()
        self._election = LeaderElection(
            client,
            Candidate(name, "default", "injector"),
            clock=lambda: self.clock.now,
            sleep=self.clock.sleep,
        )
        self._running = asyncio.create_task(self._election.run(self._work))

    async def _work(self) -> None:
        self.works.set()
        self.stopped.clear()
        try:
            await asyncio.Event().wait()
        finally:
            self.works.clear()
            self.stopped.set()

    async def vanish(self) -> None:
        """As a process that is killed."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def leave(self) -> None:
        """As a process that is told to end."""
        await self.vanish()
        await self._election.release()


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await event.wait()


async def test_a_lease_that_is_renewed_is_not_taken(cluster: Cluster) -> None:
    first = Replica(cluster.client, "first")
    await until(first.works)
    second = Replica(cluster.client, "second")
    for _ in range(round(2 * DURATION_S / RETRY_S)):
        await first.clock.pass_by(RETRY_S)
        await second.clock.pass_by(RETRY_S)
    assert (first.works.is_set(), second.works.is_set()) == (True, False)
    await second.vanish()
    await first.vanish()


async def test_the_one_that_ends_hands_over_at_once(cluster: Cluster) -> None:
    first = Replica(cluster.client, "first")
    await until(first.works)
    second = Replica(cluster.client, "second")
    await second.clock.pass_by(RETRY_S)
    await first.leave()
    assert first.stopped.is_set()
    await second.clock.pass_by(LOOK_S)
    await until(second.works)
    await second.vanish()


async def test_the_one_that_is_killed_is_followed_when_its_lease_has_run_out(cluster: Cluster) -> None:
    first = Replica(cluster.client, "first")
    await until(first.works)
    await first.vanish()
    second = Replica(cluster.client, "second")
    await second.clock.pass_by(DURATION_S - 2 * RETRY_S)
    assert not second.works.is_set()
    await second.clock.pass_by(3 * RETRY_S)
    await until(second.works)
    await second.vanish()


async def test_whoever_lost_the_lease_stops_at_the_next_look(cluster: Cluster) -> None:
    first = Replica(cluster.client, "first")
    await until(first.works)
    second = Replica(cluster.client, "second")
    await second.clock.pass_by(2 * DURATION_S)
    await until(second.works)
    await first.clock.pass_by(RETRY_S)
    await until(first.stopped)
    await first.vanish()
    await second.vanish()


async def test_without_the_api_server_the_work_stops_before_others_may_begin_and_comes_back(
    cluster: Cluster,
) -> None:
    async with gate_to(cluster.served.port) as gate:
        first = Replica(cluster.client_through(gate.port), "first")
        await until(first.works)
        await _cut_off(first, gate)
        await gate.open()
        await first.clock.pass_by(RETRY_S)
        await until(first.works)
        await first.vanish()


async def _cut_off(replica: Replica, gate: Gate) -> None:
    gate.shut()
    began = replica.clock.now
    while replica.works.is_set():
        await replica.clock.pass_by(RETRY_S)
    assert replica.clock.now - began < DURATION_S


async def test_work_that_fails_is_begun_again(cluster: Cluster) -> None:
    begun = 0
    again = asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise RuntimeError("a bug")
        again.set()
        await asyncio.Event().wait()

    async def no_pause(_: float) -> None:
        await asyncio.sleep(0)

    election = LeaderElection(cluster.client, Candidate("a", "default", "injector"), sleep=no_pause)
    running = asyncio.create_task(election.run(work))
    await until(again)
    running.cancel()


def test_a_pod_leads_under_its_name_and_another_process_under_a_name_of_its_own() -> None:
    assert identity_of({"POD_NAME": "injector-0"}) == "injector-0"
    outside = identity_of({})
    assert outside.startswith(f"{gethostname()}_")
    assert outside != identity_of({})
