"""The checks of this agent's services, at work: definitions in, results back to the log.

Follows the log for definitions of its node, runs them, and commits what they say. Results that come
while a commit is under way go out together in the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import msgspec

from pellucid.api.registrations import deregistered
from pellucid.derive.engine import Db, Engine, Subscription, query
from pellucid.derive.naming import node_of
from pellucid.derive.proxies import registration
from pellucid.health.alias import alias_result
from pellucid.health.machine import HealthSettings
from pellucid.health.results import CheckKey, CheckReport, CheckResult
from pellucid.health.runner import CheckRunner, UnknownTtlCheck
from pellucid.model.checks import CheckDefinition, CheckStatus
from pellucid.state.log import Log, StorageError
from pellucid.state.mesh_tables import CHECK_DEFINITIONS, CHECKS
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch, Change, Put

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""How long results wait after a commit failed."""


@query
def aliased_result(db: Db, definition: CheckDefinition) -> CheckResult:
    """What an alias check's checks come to."""
    node = definition.alias_node or definition.node
    own = db.rows(CHECKS, "instance", (node, definition.alias_service)) if definition.alias_service else ()
    checks = [stored.value for stored in (*db.rows(CHECKS, "node-level", node), *own)]
    if definition.alias_service:
        exists = registration(db, node, definition.alias_service) is not None
    else:
        exists = node_of(db, node) is not None
    return alias_result(definition, checks, service_exists=exists)


class HealthChecks:
    """Runs the checks of one node."""

    def __init__(self, log: Log, engine: Engine, node: str, settings: HealthSettings) -> None:
        self._log, self._engine, self._node = log, engine, node
        self._runner = CheckRunner(self._report, self._deregister, settings=settings)
        self._aliases: dict[CheckKey, Subscription[CheckResult]] = {}
        self._reports: dict[CheckKey, CheckReport] = {}
        self._deregistrations: dict[tuple[str, str], None] = {}
        self._work = asyncio.Event()

    async def run(self) -> None:
        """Run every check of the node until cancelled."""
        stop_listening = self._log.listen(self._follow)
        snapshot = self._log.snapshot()
        for stored in snapshot.rows(CHECK_DEFINITIONS, "node", self._node):
            self._start(stored.value, snapshot)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._runner.run())
                tasks.create_task(self._commit_results())
        finally:
            stop_listening()
            for subscription in self._aliases.values():
                subscription.close()

    def reload(self, settings: HealthSettings) -> None:
        """Treat results by other settings from now on."""
        self._runner.reload(settings)

    def reported(self, check_id: str, status: CheckStatus, output: str) -> None:
        """A client said how a TTL check stands; its time to live begins anew."""
        try:
            self._runner.update_ttl(CheckKey(self._node, check_id), status, output)
        except UnknownTtlCheck:
            logger.debug("no running TTL check %r", check_id)

    # Definitions in

    def _follow(self, snapshot: Snapshot, batch: Batch) -> None:
        for touched in batch.touched:
            if touched.table is CHECK_DEFINITIONS and touched.key[0] == self._node:
                if touched.after is None:
                    self._stop(CheckKey(*touched.key))
                else:
                    self._start(touched.after.value, snapshot)

    def _start(self, definition: CheckDefinition, snapshot: Snapshot) -> None:
        key = CheckKey(definition.node, definition.check_id)
        known = snapshot.get(CHECKS, tuple(key))
        if known is None:
            self._runner.start(definition)
        else:
            self._runner.start(definition, known.value.status, known.value.output)
        self._close_alias(key)
        if definition.type == "alias":
            self._aliases[key] = self._engine.subscribe(
                aliased_result, lambda: self._update_alias(key), definition
            )
            self._update_alias(key)

    def _stop(self, key: CheckKey) -> None:
        self._close_alias(key)
        self._runner.stop(key)
        self._reports.pop(key, None)

    def _close_alias(self, key: CheckKey) -> None:
        subscription = self._aliases.pop(key, None)
        if subscription is not None:
            subscription.close()

    def _update_alias(self, key: CheckKey) -> None:
        self._runner.update_alias(key, self._aliases[key].value)

    # Results back

    def _report(self, report: CheckReport) -> None:
        self._reports[report.key] = report
        self._work.set()

    def _deregister(self, node: str, service_id: str) -> None:
        logger.warning("deregistering service %r: critical for too long", service_id)
        self._deregistrations[node, service_id] = None
        self._work.set()

    async def _commit_results(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            reports, self._reports = self._reports, {}
            gone, self._deregistrations = self._deregistrations, {}
            try:
                await self._log.commit(_as_changes(self._log.head, reports.values(), gone))
            except StorageError as error:
                logger.error("check results could not be stored: %s", error)
                self._reports = reports | self._reports
                self._deregistrations = gone | self._deregistrations
                await asyncio.sleep(RETRY_SECONDS)
                self._work.set()


def _as_changes(
    head: Snapshot, reports: Iterable[CheckReport], gone: Iterable[tuple[str, str]]
) -> list[Change]:
    """What results come to, for the checks and services that are still there."""
    changes: list[Change] = []
    for report in reports:
        known = head.get(CHECKS, tuple(report.key))
        if known is not None:
            check = msgspec.structs.replace(known.value, status=report.status, output=report.output)
            changes.append(Put(CHECKS, check))
    for node, service_id in gone:
        changes += deregistered(head, node, service_id)
    return changes
