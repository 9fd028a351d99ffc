"""Job: pods that run to completion, so many times, tried again so often.

Source: Kubernetes docs, "Jobs".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pellucid.localkube.controllers.controller import Controller, its_controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan, Remove, Say
from pellucid.localkube.controllers.pods import is_active, is_ready, phase, pod_from_template
from pellucid.localkube.controllers.reading import (
    Object,
    annotations_of,
    condition,
    format_time,
    is_deleting,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    uid_of,
    with_condition,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import JOBS, PODS

INDEX = "batch.kubernetes.io/job-completion-index"
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(minutes=6)


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Make the pods still needed, or end the job."""
    job = view.get(JOBS, key.namespace, key.name)
    if job is None or is_deleting(job):
        return NOTHING
    pods = view.controlled(PODS, job)
    if finished_as(job) is not None:
        return _after_the_end(job, pods, now)
    ending = _ending(job, pods, now)
    if ending is not None:
        kind, reason, message = ending
        active = [pod for pod in pods if is_active(pod)]
        status = _status(job, pods, now, kept=0)
        status["conditions"] = with_condition(
            status.get("conditions") or (),
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastProbeTime": format_time(now),
            },
            now,
        )
        if kind == "Complete":
            status["completionTime"] = format_time(now)
        said = Say(job, reason, message, "Normal" if kind == "Complete" else "Warning")
        return Plan((*_removed(job, active), _status_patch(job, status), said), 0.0)
    made, wait = _moved(job, pods, now)
    return Plan((*made, *_status_change(job, pods, now)), _sooner(wait, _until_deadline(job, now)))


def finished_as(job: Object) -> str | None:
    """Complete or Failed, once the job has ended."""
    for kind in ("Complete", "Failed"):
        if (condition(job, kind) or {}).get("status") == "True":
            return kind
    return None


def _ending(job: Object, pods: Sequence[Object], now: datetime) -> tuple[str, str, str] | None:
    """Condition, reason and message with which the job ends now."""
    spec = spec_of(job)
    left = _until_deadline(job, now)
    if left is not None and left <= 0:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    if _failures(job, pods) > int(spec.get("backoffLimit", 6)):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    succeeded, running = _succeeded(job, pods), any(is_active(pod) for pod in pods)
    completions = spec.get("completions")
    done = succeeded >= completions if completions is not None else succeeded > 0 and not running
    return ("Complete", "Completed", "Job completed") if done else None


def _failures(job: Object, pods: Sequence[Object]) -> int:
    """Failed pods and, where containers are restarted in place, their restarts."""
    failed = sum(phase(pod) == "Failed" for pod in pods)
    if spec_of(job)["template"]["spec"].get("restartPolicy") != "OnFailure":
        return failed
    return failed + sum(
        int(entry.get("restartCount", 0))
        for pod in pods
        if is_active(pod)
        for entry in status_of(pod).get("containerStatuses") or ()
    )


def _is_indexed(job: Object) -> bool:
    return spec_of(job).get("completionMode") == "Indexed"


def _succeeded(job: Object, pods: Sequence[Object]) -> int:
    done = [pod for pod in pods if phase(pod) == "Succeeded"]
    return len({_index_of(pod) for pod in done}) if _is_indexed(job) else len(done)


def _index_of(pod: Object) -> str:
    return annotations_of(pod).get(INDEX, "")


def _moved(job: Object, pods: Sequence[Object], now: datetime) -> tuple[list[Change], float | None]:
    """Pods to make or delete now, or in how many seconds the next may be made."""
    active = [pod for pod in pods if is_active(pod)]
    wanted = 0 if spec_of(job).get("suspend") else _parallel(job, pods)
    if len(active) >= wanted:
        return _removed(job, active[wanted:]), None
    wait = _retry_wait(pods, now)
    if wait > 0:
        return [], wait
    missing = wanted - len(active)
    if not _is_indexed(job):
        return [_created(job, _pod(job))] * missing, None
    taken = {_index_of(pod) for pod in pods if is_active(pod) or phase(pod) == "Succeeded"}
    free = [number for number in range(int(spec_of(job)["completions"])) if str(number) not in taken]
    return [_created(job, _indexed_pod(job, number)) for number in free[:missing]], None


def _created(job: Object, pod: Object) -> Create:
    return Create(PODS, pod, then=Say(job, "SuccessfulCreate", "Created pod: {name}"))


def _parallel(job: Object, pods: Sequence[Object]) -> int:
    """How many pods may run now."""
    spec = spec_of(job)
    parallelism = int(spec.get("parallelism", 1))
    if spec.get("completions") is not None:
        return min(parallelism, int(spec["completions"]) - _succeeded(job, pods))
    running = sum(map(is_active, pods))
    return running if _succeeded(job, pods) else parallelism


def _retry_wait(pods: Sequence[Object], now: datetime) -> float:
    """Seconds before a pod may follow the failed ones: 10, doubled for each after the first, at most 360."""
    failed = [pod for pod in pods if phase(pod) == "Failed"]
    if not failed:
        return 0.0
    last = max(_ended_at(pod) for pod in failed)
    delay: timedelta = min(FIRST_RETRY * 2 ** min(len(failed) - 1, 10), LONGEST_RETRY)
    return (last + delay - now).total_seconds()


def _ended_at(pod: Object) -> datetime:
    ends = [
        parse_time(((entry.get("state") or {}).get("terminated") or {}).get("finishedAt"))
        for entry in status_of(pod).get("containerStatuses") or ()
    ]
    created = parse_time(pod["metadata"]["creationTimestamp"])
    assert created is not None
    return max((moment for moment in ends if moment is not None), default=created)


def _pod(job: Object) -> Object:
    return pod_from_template(job, spec_of(job)["template"])


def _indexed_pod(job: Object, index: int) -> Object:
    pod = _pod(job)
    metadata = pod["metadata"] | {
        "generateName": f"{name_of(job)}-{index}-",
        "annotations": (pod["metadata"].get("annotations") or {}) | {INDEX: str(index)},
        "labels": pod["metadata"]["labels"] | {INDEX: str(index)},
    }
    variable = {"name": "JOB_COMPLETION_INDEX", "value": str(index)}
    spec = pod["spec"] | {"hostname": f"{name_of(job)}-{index}"}
    for kind in ("containers", "initContainers"):
        if spec.get(kind):
            spec[kind] = [one | {"env": [*(one.get("env") or ()), variable]} for one in spec[kind]]
    return pod | {"metadata": metadata, "spec": spec}


def _removed(job: Object, pods: Sequence[Object]) -> list[Change]:
    changes: list[Change] = []
    for pod in pods:
        changes.append(Remove(PODS, namespace_of(pod), name_of(pod), uid_of(pod)))
        changes.append(Say(job, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"))
    return changes


def _until_deadline(job: Object, now: datetime) -> float | None:
    allowed, since = spec_of(job).get("activeDeadlineSeconds"), parse_time(status_of(job).get("startTime"))
    if allowed is None or since is None or spec_of(job).get("suspend"):
        return None
    return float(allowed) - (now - since).total_seconds()


def _status(job: Object, pods: Sequence[Object], now: datetime, kept: int | None = None) -> dict[str, Any]:
    active = [pod for pod in pods if is_active(pod)] if kept is None else []
    old = status_of(job)
    status: dict[str, Any] = {
        "active": len(active),
        "ready": sum(map(is_ready, active)),
        "succeeded": _succeeded(job, pods),
        "failed": sum(phase(pod) == "Failed" for pod in pods),
        "terminating": sum(is_deleting(pod) for pod in pods),
    }
    if not spec_of(job).get("suspend"):
        status["startTime"] = old.get("startTime") or format_time(now)
    conditions = _conditions(job, now)
    if conditions:
        status["conditions"] = conditions
    if _is_indexed(job):
        done = sorted({int(_index_of(pod)) for pod in pods if phase(pod) == "Succeeded" and _index_of(pod)})
        status["completedIndexes"] = _ranges(done)
    return status


def _conditions(job: Object, now: datetime) -> list[Object]:
    """Those there are, with what there is to say about the job's suspension."""
    known = list(status_of(job).get("conditions") or ())
    new: Object = {
        "type": "Suspended",
        "status": "True",
        "reason": "JobSuspended",
        "message": "Job suspended",
    }
    if not spec_of(job).get("suspend"):
        if condition(job, "Suspended") is None:
            return known
        new |= {"status": "False", "reason": "JobResumed", "message": "Job resumed"}
    return with_condition(known, new, now)


def _ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers as `0,3-5,7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _status_change(job: Object, pods: Sequence[Object], now: datetime) -> tuple[Change, ...]:
    status, old = _status(job, pods, now), status_of(job)
    if all(old.get(name, 0 if value == 0 else None) == value for name, value in status.items()):
        return ()
    return (_status_patch(job, status),)


def _status_patch(job: Object, status: dict[str, Any]) -> Patch:
    return Patch(JOBS, namespace_of(job), name_of(job), {"status": status}, "status")


def _after_the_end(job: Object, pods: Sequence[Object], now: datetime) -> Plan:
    """Delete a finished job when its time to live is over."""
    ttl = spec_of(job).get("ttlSecondsAfterFinished")
    ended = parse_time((condition(job, finished_as(job) or "") or {}).get("lastTransitionTime"))
    if ttl is None or ended is None:
        return NOTHING
    left = ttl - (now - ended).total_seconds()
    if left > 0:
        return Plan(again_after=left)
    gone = Remove(JOBS, namespace_of(job), name_of(job), uid_of(job), propagation="Foreground")
    return Plan((gone,))


def _sooner(one: float | None, other: float | None) -> float | None:
    waits = [wait for wait in (one, other) if wait is not None]
    return min(waits) if waits else None


JOB_CONTROLLER = Controller("job", {JOBS: itself, PODS: its_controller("Job")}, reconcile)
