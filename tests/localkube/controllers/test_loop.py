import asyncio
from typing import Any

from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from tests.localkube.controllers.cluster import Object, cluster, pod_template


class LateAnswers(Resources):
    """A store whose watches tell of a write before the write is answered."""

    async def patch(self, *arguments: Any, **options: Any) -> Object:
        answer = await super().patch(*arguments, **options)
        for _ in range(20):
            await asyncio.sleep(0)
        return answer


async def test_an_object_that_ended_before_its_last_write_was_answered_holds_up_nobody() -> None:
    selector = {"matchLabels": {"app": "web"}}
    deployment = {
        "metadata": {"name": "web"},
        "spec": {"replicas": 3, "selector": selector, "template": pod_template()},
    }
    async with cluster(kind=LateAnswers) as running:
        await running.create(DEPLOYMENTS, deployment)
        await running.until(PODS, lambda pods: len(pods) == 3)
        await running.resources.delete(DEPLOYMENTS, "default", "web", propagation="Foreground")
        await running.until(DEPLOYMENTS, lambda left: not left)
        assert not await running.list(REPLICA_SETS)
        assert not await running.list(PODS)
