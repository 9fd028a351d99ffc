"""DaemonSets, StatefulSets, Jobs and CronJobs, with the other controllers running."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pellucid.localkube.controllers import cronjob, job
from pellucid.localkube.controllers.cron_schedule import InvalidSchedule, parse_schedule
from pellucid.localkube.controllers.plan import Create, Key, Plan, Remove
from pellucid.localkube.controllers.reading import condition, name_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import (
    CONTROLLER_REVISIONS,
    CRON_JOBS,
    DAEMON_SETS,
    JOBS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
)
from tests.localkube.controllers.cluster import (
    BROKEN_IMAGE,
    FAILING_IMAGE,
    FINISHING_IMAGE,
    Object,
    cluster,
    node,
    pod_template,
)

SELECTOR = {"matchLabels": {"app": "web"}}


def a(kind: str, api_version: str = "apps/v1", **spec: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}, "spec": spec}


def names(items: list[Object]) -> list[str]:
    return sorted(map(name_of, items))


def all_have_image(image: str, count: int) -> Any:
    def holds(pods: list[Object]) -> bool:
        return [pod["spec"]["containers"][0]["image"] for pod in pods] == [image] * count and all(
            (condition(pod, "Ready") or {}).get("status") == "True" for pod in pods
        )

    return holds


async def test_a_daemon_set_has_a_pod_on_every_node_and_on_one_that_joins() -> None:
    async with cluster(nodes=2) as running:
        await running.create(DAEMON_SETS, a("DaemonSet", selector=SELECTOR, template=pod_template()))
        await running.until(DAEMON_SETS, lambda items: items[0]["status"].get("numberReady") == 2)
        await running.create(NODES, node("node-9"))
        pods = await running.until(
            PODS, lambda pods: len(pods) == 3 and all(p["spec"].get("nodeName") for p in pods)
        )
        assert sorted(pod["spec"]["nodeName"] for pod in pods) == ["node-0", "node-1", "node-9"]


async def test_a_daemon_set_stays_off_nodes_whose_taints_it_does_not_tolerate() -> None:
    async with cluster(nodes=2) as running:
        taints = [{"key": "special", "effect": "NoSchedule"}]
        await running.resources.patch(NODES, "", "node-1", {"spec": {"taints": taints}})
        await running.create(DAEMON_SETS, a("DaemonSet", selector=SELECTOR, template=pod_template()))
        [found] = await running.until(DAEMON_SETS, lambda items: items[0]["status"].get("numberReady") == 1)
        assert found["status"]["desiredNumberScheduled"] == 1


async def test_a_daemon_sets_new_template_reaches_every_node() -> None:
    async with cluster(nodes=2) as running:
        await running.create(DAEMON_SETS, a("DaemonSet", selector=SELECTOR, template=pod_template()))
        await running.until(DAEMON_SETS, lambda items: items[0]["status"].get("numberReady") == 2)
        await running.resources.patch(
            DAEMON_SETS, "default", "web", {"spec": {"template": pod_template("app:2")}}
        )
        await running.until(PODS, all_have_image("app:2", 2))
        assert sorted(item["revision"] for item in await running.list(CONTROLLER_REVISIONS)) == [1, 2]


def stateful_set(replicas: int = 3, image: str = "app:1", **spec: Any) -> Object:
    return a(
        "StatefulSet",
        replicas=replicas,
        serviceName="web",
        selector=SELECTOR,
        template=pod_template(image),
        **spec,
    )


async def test_a_stateful_set_numbers_its_pods_and_gives_each_its_claim() -> None:
    async with cluster() as running:
        claim = {
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        mounting = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
        template = pod_template(container=mounting)
        wanted = stateful_set(volumeClaimTemplates=[claim])
        await running.create(STATEFUL_SETS, wanted | {"spec": wanted["spec"] | {"template": template}})
        await running.until(STATEFUL_SETS, lambda items: items[0]["status"].get("readyReplicas") == 3)
        pods = await running.list(PODS)
        assert names(pods) == ["web-0", "web-1", "web-2"]
        assert names(await running.list(PERSISTENT_VOLUME_CLAIMS)) == [
            "data-web-0",
            "data-web-1",
            "data-web-2",
        ]
        first = next(pod for pod in pods if name_of(pod) == "web-0")
        claimed = {v["name"]: v.get("persistentVolumeClaim") for v in first["spec"]["volumes"]}
        assert claimed["data"] == {"claimName": "data-web-0"}
        assert (first["spec"]["hostname"], first["spec"]["subdomain"]) == ("web-0", "web")
        assert first["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "web-0"


async def test_a_stateful_set_does_not_make_a_pod_before_the_one_before_it_is_ready() -> None:
    async with cluster() as running:
        await running.create(STATEFUL_SETS, stateful_set(image=BROKEN_IMAGE))
        await running.until(PODS, lambda pods: any(pod["status"].get("podIP") for pod in pods))
        await running.until(STATEFUL_SETS, lambda items: items[0]["status"].get("replicas") == 1)
        assert names(await running.list(PODS)) == ["web-0"]


async def test_a_stateful_sets_update_goes_from_the_highest_number_to_its_partition() -> None:
    async with cluster() as running:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
        await running.create(STATEFUL_SETS, stateful_set(updateStrategy=strategy))
        await running.until(STATEFUL_SETS, lambda items: items[0]["status"].get("readyReplicas") == 3)
        await running.resources.patch(
            STATEFUL_SETS, "default", "web", {"spec": {"template": pod_template("app:2")}}
        )
        [found] = await running.until(
            STATEFUL_SETS,
            lambda items: (
                items[0]["status"].get("updatedReplicas") == 2
                and items[0]["status"].get("readyReplicas") == 3
            ),
        )
        images = {name_of(pod): pod["spec"]["containers"][0]["image"] for pod in await running.list(PODS)}
        assert images == {"web-0": "app:1", "web-1": "app:2", "web-2": "app:2"}
        assert found["status"]["currentRevision"] != found["status"]["updateRevision"]


async def test_a_stateful_set_scales_down_from_the_highest_number() -> None:
    async with cluster() as running:
        await running.create(STATEFUL_SETS, stateful_set())
        await running.until(STATEFUL_SETS, lambda items: items[0]["status"].get("readyReplicas") == 3)
        await running.resources.patch(STATEFUL_SETS, "default", "web", {"spec": {"replicas": 1}})
        await running.until(PODS, lambda pods: names(pods) == ["web-0"])


def a_job(image: str, **spec: Any) -> Object:
    template = pod_template(image, restartPolicy="Never")
    return a("Job", "batch/v1", template=template, **spec)


async def test_a_job_is_complete_when_as_many_pods_have_succeeded_as_it_asks_for() -> None:
    async with cluster() as running:
        await running.create(JOBS, a_job(FINISHING_IMAGE, completions=5, parallelism=2))
        [found] = await running.until(JOBS, lambda items: condition(items[0], "Complete") is not None)
        assert found["status"]["succeeded"] == 5
        assert found["status"]["completionTime"]
        assert len(await running.list(PODS)) == 5


async def test_an_indexed_job_runs_each_index_once() -> None:
    async with cluster() as running:
        await running.create(
            JOBS, a_job(FINISHING_IMAGE, completions=3, parallelism=3, completionMode="Indexed")
        )
        [found] = await running.until(JOBS, lambda items: condition(items[0], "Complete") is not None)
        assert found["status"]["completedIndexes"] == "0-2"
        indexes = [
            pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
            for pod in await running.list(PODS)
        ]
        assert sorted(indexes) == ["0", "1", "2"]


async def test_a_job_fails_when_its_backoff_limit_is_exceeded() -> None:
    async with cluster() as running:
        await running.create(JOBS, a_job(FAILING_IMAGE, backoffLimit=0))
        [found] = await running.until(JOBS, lambda items: condition(items[0], "Failed") is not None)
        assert (condition(found, "Failed") or {})["reason"] == "BackoffLimitExceeded"


async def test_a_finished_job_goes_when_its_time_to_live_is_over() -> None:
    async with cluster() as running:
        await running.create(JOBS, a_job(FINISHING_IMAGE, ttlSecondsAfterFinished=0))
        await running.until(PODS, bool)
        await running.until(JOBS, lambda items: not items)
        await running.until(PODS, lambda pods: not pods)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stored_job(pods: int = 0, failed_at: tuple[str, ...] = ()) -> tuple[View, Key]:
    view = View()
    item = a_job(FAILING_IMAGE) | {"metadata": {"name": "web", "namespace": "default", "uid": "j"}}
    view.put(JOBS, item | {"metadata": item["metadata"] | {"resourceVersion": "1"}})
    for number, moment in enumerate(failed_at):
        ended = [{"state": {"terminated": {"finishedAt": moment}}}]
        reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "web", "uid": "j", "controller": True}
        metadata = {
            "name": f"web-{number}",
            "namespace": "default",
            "uid": f"p{number}",
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [reference],
        }
        view.put(PODS, {"metadata": metadata, "status": {"phase": "Failed", "containerStatuses": ended}})
    return view, Key("default", "web")


@pytest.mark.parametrize(("failures", "wait"), [(1, 10), (2, 20), (3, 40), (6, 320)])
def test_a_job_waits_longer_after_each_failed_pod(failures: int, wait: int) -> None:
    view, key = stored_job(failed_at=("2026-01-01T00:10:00Z",) * failures)
    plan = job.reconcile(view, key, at("2026-01-01T00:10:00"))
    assert plan.again_after == wait
    assert not [change for change in plan.changes if isinstance(change, Create)]


@pytest.mark.parametrize(
    ("schedule", "after", "due"),
    [
        ("*/15 * * * *", "2026-03-01T10:07:30", "2026-03-01T10:15:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("@hourly", "2026-12-31T23:00:00", "2027-01-01T00:00:00"),
        ("0 9 * * mon-fri", "2026-11-27T09:00:00", "2026-11-30T09:00:00"),
        ("0 0 13 * 5", "2026-11-24T00:00:00", "2026-11-27T00:00:00"),
        ("30 6 1 */3 *", "2026-11-24T00:00:00", "2027-01-01T06:30:00"),
        ("0 12 * * 7", "2026-11-24T00:00:00", "2026-11-29T12:00:00"),
    ],
)
def test_the_next_time_of_a_schedule(schedule: str, after: str, due: str) -> None:
    assert parse_schedule(schedule).next_after(at(after)) == at(due)


@pytest.mark.parametrize("text", ["", "* * * *", "61 * * * *", "5-1 * * * *", "*/0 * * * *", "x * * * *"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(InvalidSchedule):
        parse_schedule(text)


def cron_plan(now: str, running: bool = False, **spec: Any) -> Plan:
    view = View()
    metadata = {
        "name": "tick",
        "namespace": "default",
        "uid": "c",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:30Z",
    }
    template = {"spec": {"template": pod_template()}}
    given = {"schedule": "* * * * *", "jobTemplate": template, **spec}
    view.put(CRON_JOBS, {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": given})
    if running:
        reference = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": "tick",
            "uid": "c",
            "controller": True,
        }
        own = {
            "name": "tick-1",
            "namespace": "default",
            "uid": "j",
            "resourceVersion": "2",
            "ownerReferences": [reference],
        }
        view.put(JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": own, "spec": {}})
    return cronjob.reconcile(view, Key("default", "tick"), at(now))


def made(plan: Plan) -> list[str]:
    return [name_of(change.item) for change in plan.changes if isinstance(change, Create)]


def test_a_cron_job_makes_a_job_named_by_its_minute_and_waits_for_the_next() -> None:
    plan = cron_plan("2026-01-01T00:01:02")
    assert made(plan) == [f"tick-{int(at('2026-01-01T00:01:00').timestamp()) // 60}"]
    assert plan.again_after == 58


def test_a_cron_job_that_is_not_due_only_waits() -> None:
    plan = cron_plan("2026-01-01T00:00:40")
    assert made(plan) == []
    assert plan.again_after == 20


def test_only_the_last_of_many_missed_times_is_made_up_for() -> None:
    assert len(made(cron_plan("2026-01-05T00:00:00"))) == 1


def test_a_forbidding_cron_job_skips_while_one_runs_and_a_replacing_one_replaces_it() -> None:
    assert made(cron_plan("2026-01-01T00:01:02", True, concurrencyPolicy="Forbid")) == []
    replaced = cron_plan("2026-01-01T00:01:02", True, concurrencyPolicy="Replace")
    assert [change.name for change in replaced.changes if isinstance(change, Remove)] == ["tick-1"]
    assert len(made(replaced)) == 1


def test_a_suspended_cron_job_makes_nothing() -> None:
    assert made(cron_plan("2026-01-01T00:01:02", suspend=True)) == []


def test_a_time_later_than_its_starting_deadline_is_missed() -> None:
    assert made(cron_plan("2026-01-01T00:01:50", startingDeadlineSeconds=10)) == []


async def test_a_job_that_is_active_for_too_long_fails_and_ends_its_pods() -> None:
    async with cluster() as running:
        template = pod_template(restartPolicy="Never")
        wanted = a("Job", "batch/v1", activeDeadlineSeconds=1, template=template)
        await running.create(JOBS, wanted)
        [found] = await running.until(JOBS, lambda items: condition(items[0], "Failed") is not None)
        failed = condition(found, "Failed")
        assert failed is not None
        assert (failed["status"], failed["reason"]) == ("True", "DeadlineExceeded")
        await running.until(PODS, lambda pods: not pods)


async def test_a_suspended_job_runs_nothing_until_it_is_resumed() -> None:
    async with cluster() as running:
        template = pod_template(FINISHING_IMAGE, restartPolicy="Never")
        await running.create(JOBS, a("Job", "batch/v1", suspend=True, template=template))
        [found] = await running.until(JOBS, lambda items: condition(items[0], "Suspended") is not None)
        assert (condition(found, "Suspended") or {})["status"] == "True"
        assert not await running.list(PODS)
        await running.resources.patch(JOBS, "default", "web", {"spec": {"suspend": False}})
        [found] = await running.until(JOBS, lambda items: condition(items[0], "Complete") is not None)
        assert (condition(found, "Suspended") or {})["status"] == "False"


async def test_a_job_runs_no_more_pods_at_once_than_it_may() -> None:
    async with cluster() as running:
        template = pod_template(restartPolicy="Never")
        await running.create(JOBS, a("Job", "batch/v1", completions=5, parallelism=2, template=template))
        [found] = await running.until(JOBS, lambda items: items[0]["status"].get("ready") == 2)
        assert found["status"]["active"] == 2
        assert len(await running.list(PODS)) == 2
