"""The endpoints controller at work: informers feed a queue of pods, one worker looks at them in turn.

While the server is away nothing is tried in vain: pods that wait for it are told why, in an Event, and the
server is asked now and then whether it is back. Then everything is compared, since it may have lost
something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import structlog
from lightkube import AsyncClient
from lightkube.operators import not_equal

from pellucid.foundation.work_queue import WorkQueue
from pellucid.kube.annotations import CONNECT_INJECT_STATUS, INJECTED
from pellucid.kube.controllers.endpoints.catalog import PodKey
from pellucid.kube.controllers.endpoints.observed import (
    SLICE_CONTROLLER,
    SLICE_MANAGER_LABEL,
    ClusterService,
    EndpointSliceBetaObject,
    EndpointSliceObject,
    Pod,
    PodObject,
    ServiceObject,
    Slice,
    cluster_service_of,
    pod_of,
    slice_of,
)
from pellucid.kube.controllers.endpoints.reconciler import (
    Reconciler,
    pods_by_label,
    services_by_selector,
    slices_by_pod,
)
from pellucid.kube.controllers.endpoints.registration import Problem
from pellucid.kube.controllers.endpoints.settings import SLICES_SINCE, ControllerSettings
from pellucid.kube.controllers.informer import Informer, Key
from pellucid.kube.controllers.object_events import NORMAL, EventRecorder, Subject
from pellucid.kube.controllers.outage import LONGEST_PAUSE_S, outage
from pellucid.kube.server_client import ServerClient, ServerRefused, ServerUnavailable

COMPONENT = "consul-connect-injector"
QUESTION_S = 5
"""How long the server is to keep a question that only serves to notice its absence."""
NEVER = 2**62
"""An index that the server does not reach."""

SERVER_UNAVAILABLE = "ConsulServerUnavailable"
SERVER_REFUSED = "ConsulServerRefused"
REGISTERED = "Registered"

EVERYTHING: PodKey = ("", "")
"""The key that stands for a comparison of the whole catalog."""

log = structlog.get_logger("pellucid.kube.endpoints")


async def run(client: AsyncClient, settings: ControllerSettings) -> None:
    """Keep the catalog in step with the cluster until cancelled."""
    async with aclosing(ServerClient(settings.server)) as server, asyncio.TaskGroup() as tasks:
        for part in EndpointsController(client, server, settings).parts():
            tasks.create_task(part)


class EndpointsController:
    """The controller's parts, which `run` runs side by side."""

    def __init__(
        self,
        client: AsyncClient,
        server: ServerClient,
        settings: ControllerSettings,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self._server = server
        self._settings = settings
        self._sleep = sleep
        self._queue: WorkQueue[PodKey] = WorkQueue()
        self._events = EventRecorder(client, COMPONENT, clock=clock)
        self._pods = Informer(
            client,
            PodObject,
            pods_by_label(),
            pod_of,
            self._pod_changed,
            labels={CONNECT_INJECT_STATUS: INJECTED},
        )
        self._services = Informer(
            client, ServiceObject, services_by_selector(), cluster_service_of, self._service_changed
        )
        self._slices = Informer(
            client,
            EndpointSliceObject if settings.kubernetes >= SLICES_SINCE else EndpointSliceBetaObject,
            slices_by_pod(),
            slice_of,
            self._slice_changed,
            labels={SLICE_MANAGER_LABEL: not_equal(SLICE_CONTROLLER)},
        )
        self._reconciler = Reconciler(
            server,
            settings,
            self._pods.copy,
            self._services.copy,
            self._slices.copy,
            clock=clock,
            look_again=self._queue.add_after,
            tell=self._tell,
        )

    def parts(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What is to run until it is cancelled."""
        followed = (informer.run() for informer in (self._pods, self._services, self._slices))
        return *followed, self._events.run(), self._compare(), self._follow_server(), self._work()

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        if before is not None and (after is None or after.uid != before.uid):
            self._reconciler.forget(before)
            self._events.forget(_subject(before))
        self._queue.add(key)

    def _service_changed(
        self, _key: Key, before: ClusterService | None, after: ClusterService | None
    ) -> None:
        for service in (before, after):
            if service is not None:
                for pod in self._reconciler.pods_behind(service):
                    self._queue.add(pod)

    def _slice_changed(self, _key: Key, before: Slice | None, after: Slice | None) -> None:
        for one in (before, after):
            if one is not None:
                for pod in one.pods:
                    self._queue.add((one.namespace, pod))

    async def _compare(self) -> None:
        """Ask for a comparison of everything, now and then."""
        while True:
            await self._sleep(self._settings.full_comparison_s)
            self._queue.add(EVERYTHING)

    async def _follow_server(self) -> None:
        """Notice when the server was away, however shortly: another may be there now, with less in it.

        A question that is answered only after a while breaks off with the server that was asked.
        """
        question = {"index": str(NEVER), "wait": f"{QUESTION_S}s"}
        while True:
            try:
                await self._server.get_once("/v1/catalog/nodes", question)
            except ServerUnavailable:
                self._reconciler.distrust_catalog()
                self._queue.add(EVERYTHING)
                await self._sleep(LONGEST_PAUSE_S)
            except ServerRefused:
                await self._sleep(QUESTION_S)

    async def _work(self) -> None:
        # Before the lists are whole, what is not seen may yet be there.
        for informer in (self._pods, self._services, self._slices):
            await informer.synced.wait()
        self._queue.add(EVERYTHING)
        while True:
            key = await self._queue.get()
            try:
                await self._look_at(key)
            except ServerUnavailable as away:
                self._queue.add(key)
                await self._outlast(away)
            except ServerRefused as refusal:
                self._tell_refused(key, refusal)
                self._queue.failed(key)
            except Exception:
                # One odd pod must not keep the others waiting.
                log.exception("a pod could not be looked at", pod=key)
                self._queue.failed(key)
            else:
                self._queue.succeeded(key)

    async def _look_at(self, key: PodKey) -> None:
        if key == EVERYTHING or not self._reconciler.knows_catalog:
            for pod in await self._reconciler.read_catalog():
                self._queue.add(pod)
        if key != EVERYTHING:
            await self._reconciler.look_at(key)

    async def _outlast(self, away: ServerUnavailable) -> None:
        """Wait until the server answers, and tell the pods that wait with us."""
        self._reconciler.distrust_catalog()
        async for reason in outage(self._server, away, sleep=self._sleep):
            self._tell_waiting(reason)

    def _tell_waiting(self, away: ServerUnavailable) -> None:
        for key in self._pods.copy:
            pod = self._pods.copy.get(key)
            if pod is not None and pod.ip and not pod.is_finished and not self._reconciler.is_registered(pod):
                self._events.tell(_subject(pod), SERVER_UNAVAILABLE, f"waiting for {away}")

    def _tell_refused(self, key: PodKey, refusal: ServerRefused) -> None:
        log.warning("the server refused", pod=key, reason=str(refusal))
        if (pod := self._pods.copy.get(key)) is not None:
            message = f"the server at {self._settings.server.name} refused the registration: {refusal}"
            self._events.tell(_subject(pod), SERVER_REFUSED, message)

    def _tell(self, pod: Pod, problem: Problem | None) -> None:
        """Tell what is wrong with a pod, or, to one that was told something, that nothing is any more."""
        subject = _subject(pod)
        if problem is not None:
            self._events.tell(subject, problem.reason, problem.message)
        elif self._events.last_told(subject) not in (None, REGISTERED):
            self._events.tell(subject, REGISTERED, "the pod is in the mesh", kind=NORMAL)


def _subject(pod: Pod) -> Subject:
    return Subject("v1", "Pod", pod.namespace, pod.name, pod.uid)
