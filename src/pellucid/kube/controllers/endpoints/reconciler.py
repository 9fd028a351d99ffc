"""Brings the catalog in step with one pod at a time.

It compares what the pod comes to with what the catalog holds for a pod of that name, and writes the
difference. Both sides are in memory, so looking at a pod that has not changed costs no request. What the
catalog really holds is read when the controller starts, after the server was away, and now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

import structlog
from msgspec.structs import replace

from pellucid.kube.controllers.endpoints.catalog import (
    NODE_META,
    NODE_SUFFIX,
    Held,
    InstanceKey,
    PodKey,
    Registration,
    deregistration_body,
    difference,
    registration_body,
    registrations_of_node,
)
from pellucid.kube.controllers.endpoints.observed import ClusterService, Pod, Slice
from pellucid.kube.controllers.endpoints.registration import Problem, readiness, registrations
from pellucid.kube.controllers.endpoints.settings import ControllerSettings
from pellucid.kube.controllers.informer import Copy
from pellucid.kube.server_client import ServerClient
from pellucid.model.pods import POD_UID

BY_LABEL = "label"
BY_SELECTOR = "selector"
BY_POD = "pod"
BY_SERVICE = "service"

log = structlog.get_logger("pellucid.kube.endpoints")


def pods_by_label() -> Copy[Pod]:
    """A copy of pods that finds them by namespace and label."""
    return Copy({BY_LABEL: lambda pod: ((pod.namespace, *label) for label in pod.labels.items())})


def services_by_selector() -> Copy[ClusterService]:
    """A copy of Services that finds them by namespace and the first label they select by."""
    return Copy({BY_SELECTOR: lambda service: ((service.namespace, *pair) for pair in service.selector[:1])})


def slices_by_pod() -> Copy[Slice]:
    """A copy of EndpointSlices that finds them by namespace and pod, and by namespace and Service."""
    return Copy(
        {
            BY_POD: lambda one: ((one.namespace, pod) for pod in one.pods),
            BY_SERVICE: lambda one: ((one.namespace, one.service),),
        }
    )


class Reconciler:
    """Looks at pods. tell(pod, problem): called with what keeps a pod out, or with None once it is in."""

    def __init__(
        self,
        server: ServerClient,
        settings: ControllerSettings,
        pods: Copy[Pod],
        services: Copy[ClusterService],
        slices: Copy[Slice],
        *,
        clock: Callable[[], float],
        look_again: Callable[[PodKey, float], object],
        tell: Callable[[Pod, Problem | None], object],
    ) -> None:
        """look_again(pod, seconds): have `look_at` called for a pod in a while."""
        self._server = server
        self._settings = settings
        self._pods = pods
        self._services = services
        self._slices = slices
        self._clock = clock
        self._look_again = look_again
        self._tell = tell
        self._held = Held()
        self._leaving_since: dict[str, float] = {}
        self._kept_out: dict[str, dict[PodKey, None]] = {}
        self.knows_catalog = False

    def is_registered(self, pod: Pod) -> bool:
        """True if the catalog has this very pod."""
        return bool(self._held_of(pod))

    def pods_behind(self, service: ClusterService) -> tuple[PodKey, ...]:
        """The pods behind a Service."""
        if not service.selector:
            of_service = self._slices.under(BY_SERVICE, (service.namespace, service.name))
            return tuple((one.namespace, pod) for one in of_service for pod in one.pods)
        candidates = self._pods.under(BY_LABEL, (service.namespace, *service.selector[0]))
        return tuple(pod.key for pod in candidates if service.selects(pod))

    def distrust_catalog(self) -> None:
        """The catalog may have changed without us; it is to be read before anything else."""
        self.knows_catalog = False

    def forget(self, pod: Pod) -> None:
        """A pod is gone for good."""
        self._leaving_since.pop(pod.uid, None)

    async def read_catalog(self) -> tuple[PodKey, ...]:
        """Learn what the catalog holds. Returns every pod to look at, the oldest first.

        A stand-in that nothing is registered on, of a node that has no pods of ours, goes.

        Raises ServerUnavailable and ServerRefused.
        """
        label, value = next(iter(NODE_META.items()))
        nodes = await self._server.get("/v1/catalog/nodes", {"node-meta": f"{label}:{value}"})
        in_use = {pod.node + NODE_SUFFIX for key in self._pods if (pod := self._pods.get(key))}
        found: list[Registration] = []
        for node in nodes:
            name = quote(node["Node"], safe="")
            services = (await self._server.get(f"/v1/catalog/node-services/{name}"))["Services"]
            if not services and node["Node"] not in in_use:
                await self._server.put("/v1/catalog/deregister", {"Node": node["Node"]})
                continue
            checks = await self._server.get(f"/v1/health/node/{name}")
            found += registrations_of_node(node, services or (), checks)
        self._held.replace_all(found)
        self.knows_catalog = True
        pods = sorted((pod for key in self._pods if (pod := self._pods.get(key))), key=_by_age)
        return *(pod.key for pod in pods), *(key for key in self._held.pods() if self._pods.get(key) is None)

    async def look_at(self, key: PodKey) -> None:
        """Have the catalog hold what a pod of this name comes to, be it nothing.

        Raises ServerUnavailable and ServerRefused.
        """
        held = self._held.of_pod(key)
        pod = self._pods.get(key)
        if pod is None:
            await self._write((), held)
            return
        match self._desired(pod):
            case Problem() as problem:
                self._tell(pod, problem)
                await self._write(self._kept(pod, problem), held)
            case desired:
                await self._write(desired, held)
                if desired:
                    self._tell(pod, None)

    def _desired(self, pod: Pod) -> tuple[Registration, ...] | Problem:
        if pod.is_leaving and not self._has_time_left(pod):
            return ()
        return self._among_others(pod, self._alone(pod))

    def _has_time_left(self, pod: Pod) -> bool:
        """False once a pod has had its time to leave; a node that is dead keeps its pods for ever.

        Counted by our own clock from when we first saw it leaving: the API server's may differ.
        """
        since = self._leaving_since.setdefault(pod.uid, self._clock())
        left = since + pod.grace_s - self._clock()
        if left > 0:
            self._look_again(pod.key, left)
        return left > 0

    def _alone(self, pod: Pod) -> tuple[Registration, ...] | Problem:
        held = next(iter(self._held_of(pod)), None)
        services = tuple(self._services_in_front_of(pod))
        return registrations(pod, services, self._settings, _mesh_service(held) if held else "")

    def _services_in_front_of(self, pod: Pod) -> Iterator[ClusterService]:
        for label in pod.labels.items():
            for service in self._services.under(BY_SELECTOR, (pod.namespace, *label)):
                if service.selects(pod):
                    yield service
        by_hand = {one.service for one in self._slices.under(BY_POD, pod.key)}
        for name in sorted(by_hand):
            service_by_hand = self._services.get((pod.namespace, name))
            if service_by_hand is not None and not service_by_hand.selector:
                yield service_by_hand

    def _among_others(
        self, pod: Pod, result: tuple[Registration, ...] | Problem
    ) -> tuple[Registration, ...] | Problem:
        """A mesh service is made of the pods of one namespace: the first that has it, keeps it."""
        if isinstance(result, Problem) or not result:
            return result
        name = _mesh_service(result[0])
        holder = min(self._held.namespaces_of(name), default=pod.namespace)
        if holder == pod.namespace:
            return result
        self._kept_out.setdefault(name, {})[pod.key] = None
        return Problem(
            "ServiceNameConflict",
            f'the mesh service "{name}" is made of pods in namespace "{holder}" already; give this pod '
            "another name with the annotation consul.hashicorp.com/connect-service",
            lost_service=name,
        )

    def _kept(self, pod: Pod, problem: Problem) -> tuple[Registration, ...]:
        """What is registered of a pod that could not be registered anew, with its present readiness."""
        status, output = readiness(pod)
        return tuple(
            replace(held, status=status, output=output)
            for held in self._held_of(pod)
            if _mesh_service(held) != problem.lost_service
        )

    def _held_of(self, pod: Pod) -> tuple[Registration, ...]:
        held = self._held.of_pod(pod.key)
        return tuple(one for one in held if (one.service.meta or {}).get(POD_UID) == pod.uid)

    async def _write(self, desired: Iterable[Registration], held: tuple[Registration, ...]) -> None:
        what = difference(desired, held)
        for registration in what.registers:
            await self._server.put("/v1/catalog/register", registration_body(registration))
            self._held.put(registration)
            log.info("registered", service=registration.service.id, status=registration.status.value)
        names = {one.key: _mesh_service(one) for one in held}
        for key in reversed(what.deregisters):
            await self._deregister(key, names[key])

    async def _deregister(self, key: InstanceKey, name: str) -> None:
        await self._server.put("/v1/catalog/deregister", deregistration_body(key))
        self._held.drop(key)
        log.info("deregistered", service=key[1])
        if not self._held.namespaces_of(name):
            for pod in self._kept_out.pop(name, ()):
                self._look_again(pod, 0.0)


def _mesh_service(registration: Registration) -> str:
    """The mesh service that an instance or its sidecar belongs to."""
    service = registration.service
    return service.proxy.destination_service_name or service.name


def _by_age(pod: Pod) -> tuple[str, PodKey]:
    return pod.created_at, pod.key
