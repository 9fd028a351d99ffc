"""CronJob: a Job at each time of a schedule.

Source: Kubernetes docs, "CronJob".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pellucid.localkube.controllers.controller import Controller, its_controller, itself
from pellucid.localkube.controllers.cron_schedule import InvalidSchedule, Schedule, parse_schedule
from pellucid.localkube.controllers.job import finished_as
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan, Remove, Say
from pellucid.localkube.controllers.reading import (
    Object,
    created_at,
    format_time,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    parse_time,
    spec_of,
    status_of,
    uid_of,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import CRON_JOBS, JOBS

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MOST_MISSED = 100


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Make the job that is due, forget old ones, and wait for the next time."""
    cron_job = view.get(CRON_JOBS, key.namespace, key.name)
    if cron_job is None or is_deleting(cron_job):
        return NOTHING
    jobs = view.controlled(JOBS, cron_job)
    changes: list[Change] = [*_forgotten(cron_job, jobs)]
    if spec_of(cron_job).get("suspend"):
        return Plan((*changes, *_status_change(cron_job, jobs, None)))
    try:
        schedule, zone = _schedule(cron_job)
    except InvalidSchedule as error:
        return Plan(
            (*changes, Say(cron_job, "UnparseableSchedule", f"unparseable schedule: {error}", "Warning"))
        )
    due = _due(cron_job, schedule, zone, now)
    following = schedule.next_after(now.astimezone(zone))
    wait = (following - now).total_seconds() if following else None
    started: datetime | None = None
    if due is not None:
        running = [job for job in jobs if finished_as(job) is None and not is_deleting(job)]
        made, started = _started(cron_job, running, due, now)
        changes += made
    return Plan((*changes, *_status_change(cron_job, jobs, started)), wait)


def _schedule(cron_job: Object) -> tuple[Schedule, Any]:
    """Raises InvalidSchedule, for an unknown time zone too."""
    name = spec_of(cron_job).get("timeZone") or ""
    try:
        zone = ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidSchedule(f"unknown time zone {name}") from None
    return parse_schedule(spec_of(cron_job)["schedule"]), zone


def _due(cron_job: Object, schedule: Schedule, zone: Any, now: datetime) -> datetime | None:
    """The last time that has come since a job was last made."""
    since = parse_time(status_of(cron_job).get("lastScheduleTime") or created_at(cron_job))
    assert since is not None
    due: datetime | None = None
    moment = schedule.next_after(since.astimezone(zone))
    for _ in range(MOST_MISSED):
        if moment is None or moment > now:
            return due
        due = moment
        moment = schedule.next_after(moment)
    return _last_before(schedule, zone, now) or due


def _last_before(schedule: Schedule, zone: Any, now: datetime) -> datetime | None:
    """The latest due minute of the last hour, for one that has missed very many."""
    moment, last = schedule.next_after(now.astimezone(zone).replace(minute=0)), None
    while moment is not None and moment <= now:
        last, moment = moment, schedule.next_after(moment)
    return last


def _started(
    cron_job: Object, running: Sequence[Object], due: datetime, now: datetime
) -> tuple[list[Change], datetime | None]:
    """The changes that start the job due, and its time; None where it is not started."""
    limit = spec_of(cron_job).get("startingDeadlineSeconds")
    if limit is not None and (now - due).total_seconds() > limit:
        text = f"Missed scheduled time to start a job: {due.astimezone(UTC):%a, %d %b %Y %H:%M:%S +0000}"
        return [Say(cron_job, "MissSchedule", text, "Warning")], due
    policy = spec_of(cron_job).get("concurrencyPolicy", "Allow")
    if policy == "Forbid" and running:
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return [Say(cron_job, "JobAlreadyActive", text)], None
    replaced = running if policy == "Replace" else ()
    changes: list[Change] = [Remove(JOBS, namespace_of(job), name_of(job), uid_of(job)) for job in replaced]
    said = Say(cron_job, "SuccessfulCreate", "Created job {name}")
    return [*changes, Create(JOBS, _job(cron_job, due), quietly=True, then=said)], due


def _job(cron_job: Object, due: datetime) -> Object:
    template = spec_of(cron_job)["jobTemplate"]
    meta = template.get("metadata") or {}
    metadata = {
        "name": f"{name_of(cron_job)}-{int(due.timestamp()) // 60}",
        "namespace": namespace_of(cron_job),
        "labels": meta.get("labels") or {},
        "annotations": (meta.get("annotations") or {}) | {SCHEDULED_AT: format_time(due)},
        "ownerReferences": [owner_reference(cron_job)],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


def _forgotten(cron_job: Object, jobs: Sequence[Object]) -> list[Change]:
    changes: list[Change] = []
    for kind, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        ended = sorted((job for job in jobs if finished_as(job) == kind), key=created_at, reverse=True)
        kept = int(spec_of(cron_job).get(limit, 3 if kind == "Complete" else 1))
        for job in ended[kept:]:
            if not is_deleting(job):
                changes.append(Remove(JOBS, namespace_of(job), name_of(job), uid_of(job)))
    return changes


def _status_change(cron_job: Object, jobs: Sequence[Object], started: datetime | None) -> tuple[Change, ...]:
    old = status_of(cron_job)
    status: dict[str, Any] = {
        "active": [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": name_of(job),
                "namespace": namespace_of(job),
                "uid": uid_of(job),
            }
            for job in jobs
            if finished_as(job) is None and not is_deleting(job)
        ]
    }
    if started is not None:
        status["lastScheduleTime"] = format_time(started)
    successes = [status_of(job)["completionTime"] for job in jobs if status_of(job).get("completionTime")]
    if successes:
        status["lastSuccessfulTime"] = max(successes)
    if all((old.get(name) or []) == (value or []) for name, value in status.items()):
        return ()
    return (Patch(CRON_JOBS, namespace_of(cron_job), name_of(cron_job), {"status": status}, "status"),)


CRON_JOB_CONTROLLER = Controller("cronjob", {CRON_JOBS: itself, JOBS: its_controller("CronJob")}, reconcile)
