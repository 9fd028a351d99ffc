import asyncio
from pathlib import Path

from pellucid.localkube.api.admission import WriteOptions
from pellucid.localkube.api.eviction import evict
from pellucid.localkube.api.objects import OBJECTS
from pellucid.localkube.types.kinds import POD_DISRUPTION_BUDGETS, PODS
from pellucid.state.log import Log
from pellucid.state.sqlite import SqliteEngine
from tests.localkube.api.cluster import pod, resources_with_default_namespace

NOW = "2026-01-01T00:00:00Z"
ROOM = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1}


async def test_an_eviction_waits_for_what_is_being_written_of_its_budget(tmp_path: Path) -> None:
    log = Log(SqliteEngine(tmp_path / "state", (OBJECTS,)))
    resources = await resources_with_default_namespace(log)
    try:
        budget = {"metadata": {"name": "web"}, "spec": {"selector": {}, "minAvailable": 1}}
        await resources.create(POD_DISRUPTION_BUDGETS, "default", budget)
        await resources.create(PODS, "default", pod("a"))
        running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await resources.patch(PODS, "default", "a", {"status": running}, subresource="status")

        async def write(status: dict[str, object]) -> None:
            patch = {"status": status}
            await resources.patch(POD_DISRUPTION_BUDGETS, "default", "web", patch, subresource="status")

        await write({**ROOM})
        writing = asyncio.ensure_future(write({"expectedPods": 2}))
        await asyncio.sleep(0)
        await evict(resources, "default", "a", {}, WriteOptions(), NOW)
        await writing
        assert resources.peek(PODS, "default", "a") is None
    finally:
        resources.close()
        await log.close()
