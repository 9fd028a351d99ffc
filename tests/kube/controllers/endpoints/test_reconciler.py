"""One pod at a time: whatever is missed, doubled or late, the catalog ends as the cluster is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pellucid.kube.controllers.endpoints.catalog import InstanceKey, PodKey, Registration
from pellucid.kube.controllers.endpoints.observed import ClusterService, Pod, ServicePort
from pellucid.kube.controllers.endpoints.reconciler import (
    Reconciler,
    pods_by_label,
    services_by_selector,
    slices_by_pod,
)
from pellucid.kube.controllers.endpoints.registration import Problem, registrations
from pellucid.kube.controllers.informer import Copy
from pellucid.kube.server_client import ServerAddress, ServerClient
from tests.api.serving import ServedAgent
from tests.kube.controllers.endpoints.pods import SETTINGS, pod
from tests.kube.controllers.mesh_catalog import MeshCatalog

POD_NAMES = ("p-0", "p-1", "p-2")
SERVICE_NAMES = ("a", "b")

Change = tuple[str, Pod | ClusterService | None]
"""The name of a pod or Service, and what it is from now on."""


class CountingClient(ServerClient):
    """A client that notes what it is asked to do."""

    def __init__(self, address: ServerAddress) -> None:
        super().__init__(address)
        self.requests: list[str] = []

    @property
    def registrations(self) -> int:
        return self.requests.count("PUT /v1/catalog/register")

    async def get(self, path: str, query: object = None) -> object:
        self.requests.append(f"GET {path}")
        return await super().get(path, query)  # type: ignore[arg-type]

    async def put(self, path: str, body: object, query: object = None) -> object:
        self.requests.append(f"PUT {path}")
        return await super().put(path, body, query)  # type: ignore[arg-type]


class Watched:
    """A reconciler with the copies it looks at, and who wants to be looked at again."""

    def __init__(
        self, url: str, pods: Copy[Pod] | None = None, services: Copy[ClusterService] | None = None
    ) -> None:
        self.pods = pods_by_label() if pods is None else pods
        self.services = services_by_selector() if services is None else services
        self.slices = slices_by_pod()
        self.server = CountingClient(ServerAddress(url))
        self.again: list[PodKey] = []
        self.told: list[Problem | None] = []
        self.reconciler = Reconciler(
            self.server,
            SETTINGS,
            self.pods,
            self.services,
            self.slices,
            clock=lambda: 0.0,
            look_again=lambda key, _seconds: self.again.append(key),
            tell=lambda _pod, problem: self.told.append(problem),
        )

    def change(self, name: str, value: Pod | ClusterService | None) -> set[PodKey]:
        """Take a change over. Returns the pods it concerns, as the controller's callbacks do."""
        key = ("default", name)
        if name in POD_NAMES:
            assert value is None or isinstance(value, Pod)
            self.pods.put(key, value)
            return {key}
        assert value is None or isinstance(value, ClusterService)
        before = self.services.put(key, value)
        concerned = [one for one in (before, value) if one is not None]
        return {pod for one in concerned for pod in self.reconciler.pods_behind(one)}

    def wanted(self) -> dict[InstanceKey, Registration]:
        """What the catalog should hold, from nothing."""
        found: dict[InstanceKey, Registration] = {}
        for key in self.pods:
            seen = self.pods.get(key)
            assert seen is not None
            services = [
                one for name in self.services if (one := self.services.get(name)) and one.selects(seen)
            ]
            result = registrations(seen, services, SETTINGS)
            assert isinstance(result, tuple)
            found |= {one.key: one for one in result}
        return found


labels = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(("x", "y")))
pods = st.builds(
    lambda uid, labels, node, ip, ready: pod(
        "?", uid=uid, labels=labels, node=node, ip=ip, is_ready=ready, given_service="web"
    ),
    st.sampled_from(("u1", "u2")),
    labels,
    st.sampled_from(("n1", "n2")),
    st.sampled_from(("", "10.1.0.1", "10.1.0.2")),
    st.booleans(),
)
services = st.builds(
    lambda name, selector, address: ClusterService(
        namespace="default",
        name=name,
        selector=tuple(sorted(selector.items())),
        cluster_ips=address,
        ports=(ServicePort(80, 8080),),
    ),
    st.just("?"),
    labels,
    st.sampled_from(((), ("10.96.0.1",), ("10.96.0.2", "fd00::2"))),
)


def named(name: str, value: Pod | ClusterService | None) -> Change:
    return name, None if value is None else replace(value, name=name)


changes = st.lists(
    st.one_of(
        st.builds(named, st.sampled_from(POD_NAMES), st.none() | pods),
        st.builds(named, st.sampled_from(SERVICE_NAMES), st.none() | services),
    ),
    max_size=12,
)


@asynccontextmanager
async def served_catalog() -> AsyncIterator[MeshCatalog]:
    async with ServedAgent() as served:
        yield MeshCatalog(served)


async def follow(watched: Watched, history: Sequence[Change], order: random.Random) -> None:
    """Some changes are looked at now, some later, some twice; the last look comes after the last change."""
    await watched.reconciler.read_catalog()
    waiting: list[PodKey] = []
    for name, value in history:
        waiting += watched.change(name, value)
        order.shuffle(waiting)
        for key in waiting[: order.randrange(3)]:
            await watched.reconciler.look_at(key)
    for key in (*waiting, *waiting[:2]):
        await watched.reconciler.look_at(key)


@settings(max_examples=40)
@given(history=changes, order=st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_events_ends_in_the_same_catalog(
    history: list[Change], order: random.Random
) -> None:
    async def check() -> None:
        async with served_catalog() as catalog:
            watched = Watched(catalog.url)
            await follow(watched, history, order)
            await watched.server.aclose()
            there = {(service.node, service.id) for service in catalog.services().values()}
            assert there == watched.wanted().keys()
            # A controller that starts now reads all of it back and finds no instance to write or remove.
            fresh = Watched(catalog.url, watched.pods, watched.services)
            for key in await fresh.reconciler.read_catalog():
                await fresh.reconciler.look_at(key)
            await fresh.server.aclose()
            assert fresh.server.registrations == 0
            assert {(service.node, service.id) for service in catalog.services().values()} == there

    asyncio.run(check())


class TestCost:
    async def test_a_pod_costs_two_writes_however_many_there_are(self) -> None:
        async with served_catalog() as catalog:
            watched = Watched(catalog.url)
            await watched.reconciler.read_catalog()
            for number in range(30):
                add(watched, number)
                await watched.reconciler.look_at(("default", f"p-{number}"))
            watched.server.requests.clear()
            watched.pods.put(("default", "p-7"), pod("p-7", given_service="web", is_ready=True))
            await watched.reconciler.look_at(("default", "p-7"))
            assert watched.server.requests == ["PUT /v1/catalog/register"] * 2
            await watched.server.aclose()

    async def test_a_look_at_what_has_not_changed_costs_nothing(self) -> None:
        async with served_catalog() as catalog:
            watched = Watched(catalog.url)
            await watched.reconciler.read_catalog()
            add(watched, 1)
            await watched.reconciler.look_at(("default", "p-1"))
            watched.server.requests.clear()
            for _ in range(5):
                await watched.reconciler.look_at(("default", "p-1"))
            assert watched.server.requests == []
            await watched.server.aclose()

    async def test_reading_the_catalog_costs_two_requests_for_each_node(self) -> None:
        async with served_catalog() as catalog:
            watched = Watched(catalog.url)
            await watched.reconciler.read_catalog()
            for number in range(9):
                add(watched, number, node=f"n{number % 3}")
                await watched.reconciler.look_at(("default", f"p-{number}"))
            watched.server.requests.clear()
            await watched.reconciler.read_catalog()
            assert len(watched.server.requests) == 1 + 2 * 3
            await watched.server.aclose()


def test_a_service_concerns_the_pods_it_selects_and_no_others() -> None:
    watched = Watched("http://127.0.0.1:1")
    for number in range(6):
        one = pod(f"p-{number}", labels={"app": "web", "half": str(number % 2)})
        watched.pods.put(one.key, one)
    half = ClusterService(namespace="default", name="half", selector=(("app", "web"), ("half", "1")))
    assert watched.reconciler.pods_behind(half) == tuple(("default", f"p-{n}") for n in (1, 3, 5))
    elsewhere = ClusterService(namespace="other", name="half", selector=(("app", "web"),))
    assert watched.reconciler.pods_behind(elsewhere) == ()


async def test_the_oldest_pods_are_looked_at_first_and_leftovers_last() -> None:
    async with served_catalog() as catalog:
        watched = Watched(catalog.url)
        await watched.reconciler.read_catalog()
        add(watched, 0)
        await watched.reconciler.look_at(("default", "p-0"))
        watched.pods.put(("default", "p-0"), None)
        for name, born in (("a", "2021-07-08T10:00:02Z"), ("b", "2021-07-08T10:00:01Z")):
            watched.pods.put(("default", name), pod(name, created_at=born))
        assert [name for _, name in await watched.reconciler.read_catalog()] == ["b", "a", "p-0"]
        await watched.server.aclose()


def add(watched: Watched, number: int, node: str = "n1") -> None:
    name = f"p-{number}"
    watched.pods.put(("default", name), pod(name, given_service="web", node=node))
