"""What `kubectl get` prints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pellucid.localkube.types.columns import duration, path_value, pod_status, table_of
from pellucid.localkube.types.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, Resource


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (192, "3m12s"),
        (600, "10m"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (51 * 3600, "2d3h"),
        (8 * 86400, "8d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_spans_are_told_in_at_most_two_units(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def _pod(status: dict[str, Any], init: int = 0, **meta: Any) -> dict[str, Any]:
    containers = [{"name": f"i{number}"} for number in range(init)]
    return {"metadata": meta, "spec": {"initContainers": containers}, "status": status}


def _waiting(reason: str, name: str = "c") -> dict[str, Any]:
    return {"name": name, "state": {"waiting": {"reason": reason}}}


def _ended(code: int, reason: str = "", name: str = "c") -> dict[str, Any]:
    return {"name": name, "state": {"terminated": {"exitCode": code, "reason": reason}}}


_RUNNING = {"name": "c", "ready": True, "state": {"running": {}}}


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (_pod({"phase": "Pending"}), "Pending"),
        (_pod({"phase": "Running", "containerStatuses": [_RUNNING]}), "Running"),
        (
            _pod({"phase": "Running", "containerStatuses": [_waiting("CrashLoopBackOff")]}),
            "CrashLoopBackOff",
        ),
        (_pod({"phase": "Succeeded", "containerStatuses": [_ended(0, "Completed")]}), "Completed"),
        (_pod({"phase": "Failed", "containerStatuses": [_ended(3)]}), "ExitCode:3"),
        (_pod({"phase": "Failed", "reason": "Evicted"}), "Evicted"),
        (_pod({"phase": "Running"}, deletionTimestamp="now"), "Terminating"),
        (
            _pod(
                {"phase": "Running", "containerStatuses": [_ended(0, "Completed"), _RUNNING]},
            ),
            "Running",
        ),
        (
            _pod({"phase": "Pending", "initContainerStatuses": [_waiting("PodInitializing", "i0")]}, 2),
            "Init:0/2",
        ),
        (
            _pod({"phase": "Pending", "initContainerStatuses": [_waiting("CrashLoopBackOff", "i0")]}, 1),
            "Init:CrashLoopBackOff",
        ),
        (
            _pod(
                {"phase": "Pending", "initContainerStatuses": [_ended(0, name="i0"), _ended(2, name="i1")]}, 2
            ),
            "Init:ExitCode:2",
        ),
    ],
)
def test_a_pods_status_says_what_keeps_it_from_running(pod: dict[str, Any], text: str) -> None:
    assert pod_status(pod) == text


def test_printer_columns_find_names_indexes_and_conditions() -> None:
    value = {
        "spec": {"items": [{"a": 1}], "example.com/x": "dotted"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert path_value(value, ".spec.items[0].a") == 1
    assert path_value(value, '.status.conditions[?(@.type=="Ready")].status') == "True"
    assert path_value(value, ".spec.missing.deeper") is None


@pytest.mark.parametrize("resource", [PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES])
def test_what_is_being_deleted_and_still_in_use_is_terminating(resource: Resource) -> None:
    columns, cells = table_of(resource, None)
    status = [column.name for column in columns].index("Status")
    bound = {"metadata": {"name": "data"}, "spec": {}, "status": {"phase": "Bound"}}
    going = {**bound, "metadata": {"name": "data", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [cells(each, now)[status] for each in (bound, going)] == ["Bound", "Terminating"]
