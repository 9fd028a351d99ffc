"""Definitions in the log are run, and what checks say comes back to the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pellucid.agent.health_checks import HealthChecks
from pellucid.api.registrations import check_added, registered
from pellucid.derive.engine import Engine
from pellucid.health.machine import HealthSettings
from pellucid.model.checks import CheckDefinition, CheckStatus
from pellucid.model.definitions import ServiceDefinition
from pellucid.model.durations import SECOND
from pellucid.rules.registration import register
from pellucid.state.log import Log
from pellucid.state.mesh_tables import CHECK_DEFINITIONS, CHECKS
from pellucid.state.tables import Delete

NODE = "n1"


class Clinic:
    """An agent's log, engine and checks."""

    def __init__(self) -> None:
        self.log = Log()
        self.engine = Engine(self.log.snapshot())
        self.log.listen(self.engine.apply)
        self.health = HealthChecks(self.log, self.engine, NODE, HealthSettings(check_update_interval_s=0))

    async def define(self, definition: CheckDefinition) -> None:
        await self.log.commit(check_added(self.log.head, definition, None))

    def status(self, check_id: str) -> CheckStatus | None:
        stored = self.log.snapshot().get(CHECKS, (NODE, check_id))
        return stored.value.status if stored else None

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.engine.settle()
                await asyncio.sleep(0.005)


@asynccontextmanager
async def clinic() -> AsyncIterator[Clinic]:
    clinic = Clinic()
    task = asyncio.create_task(clinic.health.run())
    await asyncio.sleep(0)
    try:
        yield clinic
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_check_is_run_and_its_result_committed() -> None:
    async with clinic() as it, await _listener() as server:
        port = server.sockets[0].getsockname()[1]
        await it.define(CheckDefinition(NODE, "port", tcp=f"127.0.0.1:{port}", interval_ns=SECOND))
        await it.until(lambda: it.status("port") is CheckStatus.PASSING)


async def test_a_report_of_a_client_starts_its_time_to_live_anew() -> None:
    async with clinic() as it:
        await it.define(CheckDefinition(NODE, "ttl", ttl_ns=60 * SECOND))
        it.health.reported("ttl", CheckStatus.WARNING, "hot")
        await it.until(lambda: it.status("ttl") is CheckStatus.WARNING)


async def test_an_alias_follows_the_service_it_stands_for() -> None:
    async with clinic() as it:
        registration = register(ServiceDefinition(name="web", port=80), node=NODE, ports_in_use={})
        await it.log.commit(registered(it.log.head, registration))
        await it.define(CheckDefinition(NODE, "alias", alias_service="web"))
        await it.until(lambda: it.status("alias") is CheckStatus.PASSING)
        service = registration.service
        sick = CheckDefinition(NODE, "sick", service_id="web", ttl_ns=60 * SECOND)
        await it.log.commit(check_added(it.log.head, sick, service))
        await it.until(lambda: it.status("alias") is CheckStatus.CRITICAL)


async def test_an_alias_of_a_service_that_does_not_exist_is_critical() -> None:
    async with clinic() as it:
        await it.define(CheckDefinition(NODE, "alias", alias_service="nobody", status=CheckStatus.PASSING))
        await it.until(lambda: it.status("alias") is CheckStatus.CRITICAL)


async def test_a_check_that_is_removed_says_nothing_more() -> None:
    async with clinic() as it:
        await it.define(CheckDefinition(NODE, "ttl", ttl_ns=60 * SECOND))
        await it.log.commit([Delete(CHECKS, (NODE, "ttl")), Delete(CHECK_DEFINITIONS, (NODE, "ttl"))])
        it.health.reported("ttl", CheckStatus.PASSING, "")
        await asyncio.sleep(0)
        assert it.status("ttl") is None


async def test_checks_of_other_nodes_are_left_alone() -> None:
    async with clinic() as it:
        definition = CheckDefinition("elsewhere", "ttl", ttl_ns=60 * SECOND)
        await it.log.commit(check_added(it.log.head, definition, None))
        it.health.reported("ttl", CheckStatus.PASSING, "")
        await asyncio.sleep(0)
        stored = it.log.snapshot().get(CHECKS, ("elsewhere", "ttl"))
        assert stored is not None
        assert stored.value.status is CheckStatus.CRITICAL


async def _listener() -> asyncio.Server:
    return await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
