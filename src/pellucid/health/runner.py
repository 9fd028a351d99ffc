"""The running checks of one process.

A heap holds the moment each check wants to be woken; one task sleeps until the earliest. A task exists only
for a probe under way, and only so many probes are under way at once, so ten thousand idle checks cost memory
and nothing else. Time is monotonic: a clock set forwards or back changes nothing.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from itertools import count
from math import inf
from random import Random, SystemRandom

import structlog

from pellucid.health.machine import CheckMachine, HealthSettings
from pellucid.health.probers import probe as probe_by_type
from pellucid.health.results import (
    Action,
    CheckKey,
    CheckReport,
    CheckResult,
    Deregister,
    Probe,
    Report,
)
from pellucid.model.checks import CheckDefinition, CheckStatus

MAX_NETWORK_PROBES = 512
MAX_SCRIPT_PROBES = 32

_log = structlog.get_logger("pellucid.health")


class UnknownTtlCheck(KeyError):
    """There is no such check, or it isn't a TTL check; `str()` is Consul's text."""

    def __init__(self, key: CheckKey) -> None:
        super().__init__(key)

    def __str__(self) -> str:
        return f'CheckID "{self.args[0].check_id}" does not have associated TTL'


class CheckRunner:
    """Runs checks and calls back: `report` with what to publish, `deregister` with the node and service to
    remove.

    Both callbacks must return at once. Checks may be started and stopped before and while `run` runs.
    """

    def __init__(
        self,
        report: Callable[[CheckReport], None],
        deregister: Callable[[str, str], None],
        *,
        settings: HealthSettings | None = None,
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        probe: Callable[[CheckDefinition], Awaitable[CheckResult]] = probe_by_type,
    ) -> None:
        """clock: monotonic seconds."""
        self._report = report
        self._deregister = deregister
        self._settings = settings or HealthSettings()
        self._rng = rng or SystemRandom()
        self._clock = clock
        self._probe = probe
        self._running: dict[CheckKey, _RunningCheck] = {}
        self._wakes: list[tuple[float, int, _RunningCheck]] = []
        self._order = count()
        self._earlier_wake = asyncio.Event()
        self._network_slots = asyncio.Semaphore(MAX_NETWORK_PROBES)
        self._script_slots = asyncio.Semaphore(MAX_SCRIPT_PROBES)
        self._probes: asyncio.TaskGroup | None = None

    def start(self, definition: CheckDefinition, status: CheckStatus | None = None, output: str = "") -> None:
        """Run a check, in place of the one with its key if that differs.

        status, output: what readers see of the check now; by default the definition's initial status. A check
        that only changes its definition keeps the status it has.
        """
        key = CheckKey(definition.node, definition.check_id)
        known = self._running.get(key)
        published = Report(status or definition.status, output)
        if known is not None:
            if known.machine.definition == definition:
                return
            published = known.machine.published
            self.stop(key)
        machine = CheckMachine(definition, self._settings, self._rng, self._clock(), published)
        running = self._running[key] = _RunningCheck(key, machine)
        self._schedule(running)

    def reload(self, settings: HealthSettings) -> None:
        """Treat results by other settings from now on, also of checks that run already."""
        self._settings = settings
        for running in self._running.values():
            running.machine.settings = settings

    def stop(self, key: CheckKey) -> None:
        """Stop a check, and a probe of it that is under way; nothing is reported of it any more."""
        running = self._running.pop(key, None)
        if running is not None and running.probe is not None:
            running.probe.cancel()

    def update_ttl(self, key: CheckKey, status: CheckStatus, output: str) -> None:
        """Set a TTL check's status and restart its TTL. Raises UnknownTtlCheck."""
        running = self._running.get(key)
        if running is None or running.machine.definition.type != "ttl":
            raise UnknownTtlCheck(key)
        self._carry_out(running, running.machine.update_ttl(status, output, self._clock()))

    def update_alias(self, key: CheckKey, result: CheckResult) -> None:
        """Take what an alias check's checks amount to (`alias.alias_result`); unknown keys are ignored."""
        running = self._running.get(key)
        if running is not None and running.machine.definition.type == "alias":
            self._carry_out(running, running.machine.settle(result, self._clock()))

    def latest(self, key: CheckKey) -> Report | None:
        """The newest status and output, including output that is held back from publication."""
        running = self._running.get(key)
        return None if running is None else running.machine.latest

    async def run(self) -> None:
        """Wake checks when they are due, until cancelled; then stop the probes under way."""
        async with asyncio.TaskGroup() as self._probes:
            while True:
                self._earlier_wake.clear()
                delay_s = self._wake_due()
                try:
                    async with asyncio.timeout(None if delay_s == inf else delay_s):
                        await self._earlier_wake.wait()
                except TimeoutError:
                    continue

    def _wake_due(self) -> float:
        """Wake every check that is due; the seconds until the next one is."""
        now = self._clock()
        while self._wakes and self._wakes[0][0] <= now:
            _, _, running = heapq.heappop(self._wakes)
            running.scheduled_at = inf
            if self._is_current(running):
                self._carry_out(running, running.machine.wake(now))
        return self._wakes[0][0] - now if self._wakes else inf

    def _schedule(self, running: _RunningCheck) -> None:
        """Have a check woken; if its wake moved later, it is put back when its old turn comes."""
        wake_at = running.machine.wake_at()
        if wake_at < running.scheduled_at:
            running.scheduled_at = wake_at
            if not self._wakes or wake_at < self._wakes[0][0]:
                self._earlier_wake.set()
            heapq.heappush(self._wakes, (wake_at, next(self._order), running))

    def _carry_out(self, running: _RunningCheck, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Probe():
                    assert self._probes is not None
                    running.probe = self._probes.create_task(self._probe_once(running))
                case Report(status, output):
                    self._report(CheckReport(running.key, status, output))
                case Deregister(service_id):
                    self._deregister(running.key.node, service_id)
        if self._is_current(running):
            self._schedule(running)

    async def _probe_once(self, running: _RunningCheck) -> None:
        definition = running.machine.definition
        slots = self._script_slots if definition.type == "script" else self._network_slots
        async with slots:
            try:
                result = await self._probe(definition)
            except Exception as error:
                # A defect in one prober must not end the other checks.
                _log.exception("check_probe_failed", check=definition.check_id)
                result = CheckResult(CheckStatus.CRITICAL, f"The check could not be run: {error}")
        running.probe = None
        if self._is_current(running):
            self._carry_out(running, running.machine.finish(result, self._clock()))

    def _is_current(self, running: _RunningCheck) -> bool:
        return self._running.get(running.key) is running


class _RunningCheck:
    __slots__ = ("key", "machine", "probe", "scheduled_at")

    def __init__(self, key: CheckKey, machine: CheckMachine) -> None:
        self.key = key
        self.machine = machine
        self.probe: asyncio.Task[None] | None = None
        self.scheduled_at = inf
        """When the heap will wake it at the latest."""
