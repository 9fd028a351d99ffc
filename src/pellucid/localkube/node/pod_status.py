"""A pod's status, from its specification and what is observed of its containers. Pure.

Source: Kubernetes API reference, PodStatus; "Pod Lifecycle".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pellucid.localkube.node.decisions import incomplete_init_containers, is_sidecar
from pellucid.localkube.node.observations import ContainerObservation, Running, State, Terminated, Waiting

Object = dict[str, Any]
Observations = Mapping[str, ContainerObservation]
_OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


class PodPlace(msgspec.Struct, frozen=True):
    """Where a pod is; without addresses until its namespaces are made."""

    host_ips: tuple[str, ...]
    pod_ips: tuple[str, ...] = ()
    started_at: datetime | None = None


class CutShort(msgspec.Struct, frozen=True):
    """Why a pod was ended before its containers were done, as `status.reason` and `status.message`."""

    reason: str
    message: str


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_phase(
    spec: Object, observed: Observations, *, finished: bool, cut_short: CutShort | None = None
) -> str:
    """`finished`: nothing of it runs and nothing will be started again."""
    mains = [observed[container["name"]] for container in spec["containers"]]
    if finished and cut_short is not None:
        return "Failed"
    if finished:
        succeeded = all(one.ended is not None and one.ended.exit_code == 0 for one in mains)
        return "Succeeded" if succeeded else "Failed"
    initialized = not incomplete_init_containers(spec, observed)
    if initialized and all(one.running or one.runs for one in mains):
        return "Running"
    return "Pending"


def pod_status(
    pod: Object,
    observed: Observations,
    place: PodPlace,
    now: datetime,
    *,
    finished: bool,
    cut_short: CutShort | None = None,
) -> Object:
    """The whole status. Conditions that others set are kept."""
    spec = pod["spec"]
    phase = pod_phase(spec, observed, finished=finished, cut_short=cut_short)
    old = pod.get("status", {})
    status: Object = {
        "phase": phase,
        "conditions": _conditions(pod, observed, place, phase, now),
        "hostIP": place.host_ips[0],
        "hostIPs": [{"ip": address} for address in place.host_ips[:1]],
        "qosClass": old.get("qosClass") or qos_class(spec),
        "containerStatuses": [_container_status(one, observed) for one in spec["containers"]],
    }
    if finished and cut_short is not None:
        status |= {"reason": cut_short.reason, "message": cut_short.message}
    if place.started_at is not None:
        status["startTime"] = timestamp(place.started_at)
    if place.pod_ips:
        status["podIP"] = place.pod_ips[0]
        status["podIPs"] = [{"ip": address} for address in place.pod_ips]
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [_container_status(one, observed) for one in spec["initContainers"]]
    return status


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by requests and limits of CPU and memory."""
    containers = (*spec["containers"], *spec.get("initContainers", ()))
    amounts = [container.get("resources") or {} for container in containers]
    if not any(one.get("requests") or one.get("limits") for one in amounts):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(one.get("limits") or {})
        and all(
            one["limits"][name] == (one.get("requests") or one["limits"]).get(name)
            for name in ("cpu", "memory")
        )
        for one in amounts
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _conditions(
    pod: Object, observed: Observations, place: PodPlace, phase: str, now: datetime
) -> list[Object]:
    spec, old = pod["spec"], pod.get("status", {}).get("conditions") or []
    kept = [condition for condition in old if condition["type"] not in _OWN_CONDITIONS]
    by_type = {condition["type"]: condition for condition in old}
    uninitialized = incomplete_init_containers(spec, observed)
    watched = [one["name"] for one in spec["containers"]]
    watched += [one["name"] for one in spec.get("initContainers", ()) if is_sidecar(one)]
    unready = [name for name in watched if not observed[name].ready]
    ended = phase in ("Succeeded", "Failed")
    containers_ready = _condition("ContainersReady", *_readiness(unready, phase))
    gates = [
        gate["conditionType"]
        for gate in spec.get("readinessGates", ())
        if by_type.get(gate["conditionType"], {}).get("status") != "True"
    ]
    ready = {**containers_ready, "type": "Ready"}
    if gates and ready["status"] == "True":
        said = f'corresponding condition of pod readiness gate "{gates[0]}" does not exist.'
        ready = _condition("Ready", "False", "ReadinessGatesNotReady", said)
    initialized = _condition("Initialized", "True", "PodCompleted" if phase == "Succeeded" else "")
    if uninitialized:
        said = f"containers with incomplete status: [{' '.join(uninitialized)}]"
        initialized = _condition("Initialized", "False", "ContainersNotInitialized", said)
    sandboxed = "True" if place.pod_ips and not ended else "False"
    new = [
        _condition("PodReadyToStartContainers", sandboxed),
        initialized,
        ready,
        containers_ready,
        _condition("PodScheduled", "True"),
    ]
    return [*(_timed(condition, by_type.get(condition["type"]), now) for condition in new), *kept]


def _readiness(unready: Sequence[str], phase: str) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "True", "", ""


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Object:
    condition: Object = {"type": kind, "status": status}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _timed(condition: Object, old: Object | None, now: datetime) -> Object:
    since = old.get("lastTransitionTime") if old and old["status"] == condition["status"] else None
    return {**condition, "lastProbeTime": None, "lastTransitionTime": since or timestamp(now)}


def _container_status(container: Object, observed: Observations) -> Object:
    one = observed[container["name"]]
    status: Object = {
        "name": one.name,
        "image": container["image"],
        "imageID": one.image_id,
        "restartCount": one.restart_count,
        "ready": one.ready,
        "started": one.started,
        "state": _state(one.state),
        "lastState": _state(one.last) if one.last else {},
    }
    if isinstance(one.state, Waiting) and one.ended is not None:
        status["lastState"] = _state(one.ended)
    if one.container_id:
        status["containerID"] = one.container_id
    return status


def _state(state: State) -> Object:
    match state:
        case Waiting():
            waiting: Object = {"reason": state.reason}
            return {"waiting": waiting | ({"message": state.message} if state.message else {})}
        case Running():
            return {"running": {"startedAt": timestamp(state.started_at)}}
        case Terminated():
            ended: Object = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "startedAt": timestamp(state.started_at),
                "finishedAt": timestamp(state.finished_at),
                "containerID": state.container_id,
            }
            if state.message:
                ended["message"] = state.message
            return {"terminated": ended}


def place_from(pod: Object, host_ips: tuple[str, ...]) -> PodPlace:
    """A pod's place before this node has given it namespaces."""
    started = pod.get("status", {}).get("startTime")
    return PodPlace(host_ips, started_at=datetime.fromisoformat(started) if started else None)


def cut_short_from(pod: Object) -> CutShort | None:
    """Why the pod was ended, as the API has it."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed" or not status.get("reason"):
        return None
    return CutShort(status["reason"], status.get("message", ""))


def observations_from(pod: Object, now: datetime) -> dict[str, ContainerObservation]:
    """Where a kubelet that starts anew takes up: what ran before has ended with the one before."""
    spec, status = pod["spec"], pod.get("status", {})
    old = {
        one["name"]: one
        for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    }
    fresh = Waiting("PodInitializing" if spec.get("initContainers") else "ContainerCreating")
    observed = {}
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        observed[container["name"]] = _resumed(container["name"], old.get(container["name"], {}), fresh, now)
    return observed


def _resumed(name: str, old: Object, fresh: Waiting, now: datetime) -> ContainerObservation:
    ended = _ended(old.get("state", {}), old, now) or _ended(old.get("lastState", {}), old, now)
    if ended is None:
        return ContainerObservation(name, fresh)
    return ContainerObservation(
        name,
        ended,
        last=_ended(old.get("lastState", {}), old, now),
        ended=ended,
        restart_count=old.get("restartCount", 0),
        runs=1,
        ends=1,
        container_id=old.get("containerID", ""),
        image_id=old.get("imageID", ""),
    )


def _ended(state: Object, old: Object, now: datetime) -> Terminated | None:
    if ended := state.get("terminated"):
        return Terminated(
            ended["exitCode"],
            ended.get("reason", "Error"),
            _moment(ended.get("startedAt"), now),
            _moment(ended.get("finishedAt"), now),
            ended.get("containerID", ""),
            ended.get("message", ""),
        )
    if running := state.get("running"):
        said = "The container could not be located when the kubelet started"
        started = _moment(running.get("startedAt"), now)
        return Terminated(137, "ContainerStatusUnknown", started, now, old.get("containerID", ""), said)
    return None


def _moment(text: str | None, otherwise: datetime) -> datetime:
    return datetime.fromisoformat(text) if text else otherwise
