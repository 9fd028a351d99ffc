from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pellucid.localkube.node.observations import (
    ContainerObservation,
    Terminated,
    Waiting,
    after_end,
    after_start,
)
from pellucid.localkube.node.pod_status import PodPlace, observations_from, pod_status, qos_class

NOW = datetime(2024, 1, 1, tzinfo=UTC)
PLACE = PodPlace(("172.30.0.2",), ("10.244.0.2",), NOW)
Object = dict[str, Any]


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "i"}], **spec}}


def running(name: str, *, ready: bool = True) -> ContainerObservation:
    one = after_start(ContainerObservation(name, Waiting("ContainerCreating")), "runc://1", "sha256:1", NOW)
    return msgspec.structs.replace(one, started=True, ready=ready)


def status(given: Object, *observed: ContainerObservation, finished: bool = False) -> Object:
    return pod_status(given, {one.name: one for one in observed}, PLACE, NOW, finished=finished)


def condition(given: Object, kind: str) -> Object:
    return next(one for one in given["conditions"] if one["type"] == kind)


def test_a_pod_whose_container_is_being_made_is_pending_and_says_which() -> None:
    said = status(pod(), ContainerObservation("a", Waiting("ContainerCreating")))
    assert said["phase"] == "Pending"
    assert condition(said, "Ready")["message"] == "containers with unready status: [a]"
    assert said["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}


def test_a_running_pod_that_is_ready() -> None:
    said = status(pod(), running("a"))
    assert (said["phase"], condition(said, "Ready")["status"]) == ("Running", "True")
    assert said["podIPs"] == [{"ip": "10.244.0.2"}]


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (1, "Failed")])
def test_a_finished_pod_is_judged_by_its_exit_codes(code: int, phase: str) -> None:
    over = after_end(running("a"), Terminated(code, "x", NOW, NOW, "runc://1"))
    said = status(pod(), over, finished=True)
    assert said["phase"] == phase
    assert condition(said, "Ready")["status"] == "False"


def test_a_pod_that_waits_for_its_init_container_is_not_initialized() -> None:
    given = pod(initContainers=[{"name": "i", "image": "i"}])
    said = status(given, running("i"), ContainerObservation("a", Waiting("PodInitializing")))
    assert said["phase"] == "Pending"
    assert condition(said, "Initialized")["message"] == "containers with incomplete status: [i]"


def test_a_condition_keeps_the_time_of_its_last_change_and_others_conditions_stay() -> None:
    before = "2020-01-01T00:00:00Z"
    given = pod()
    given["status"] = {
        "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": before},
            {"type": "ContainersReady", "status": "False", "lastTransitionTime": before},
            {"type": "example.org/gate", "status": "True"},
        ]
    }
    said = status(given, running("a"))
    assert condition(said, "Ready")["lastTransitionTime"] == before
    assert condition(said, "ContainersReady")["lastTransitionTime"] == "2024-01-01T00:00:00Z"
    assert condition(said, "example.org/gate")["status"] == "True"


def test_readiness_gates_hold_a_pod_back() -> None:
    said = status(pod(readinessGates=[{"conditionType": "example.org/gate"}]), running("a"))
    assert condition(said, "Ready")["reason"] == "ReadinessGatesNotReady"
    assert condition(said, "ContainersReady")["status"] == "True"


def test_a_restarted_container_tells_how_it_ended_before() -> None:
    over = after_end(running("a"), Terminated(3, "Error", NOW, NOW, "runc://1"))
    again = after_start(over, "runc://2", "sha256:1", NOW + timedelta(seconds=1))
    said = status(pod(), again)["containerStatuses"][0]
    assert said["restartCount"] == 1
    assert said["lastState"]["terminated"]["exitCode"] == 3


def test_a_new_kubelet_takes_what_ran_for_ended_and_counts_on() -> None:
    given = pod()
    given["status"] = status(given, running("a"))
    one = observations_from(given, NOW)["a"]
    assert one.ended is not None
    assert one.ended.reason == "ContainerStatusUnknown"
    assert after_start(one, "runc://2", "sha256:1", NOW).restart_count == 1


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, "Burstable"),
    ],
)
def test_quality_of_service_follows_requests_and_limits(resources: Object, expected: str) -> None:
    assert qos_class({"containers": [{"resources": resources}]}) == expected
