"""Many checks run by one owner."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from pellucid.health.machine import HealthSettings
from pellucid.health.results import CheckKey, CheckReport, CheckResult
from pellucid.health.runner import MAX_NETWORK_PROBES, MAX_SCRIPT_PROBES, CheckRunner, UnknownTtlCheck
from pellucid.model.checks import CheckDefinition, CheckStatus
from tests.health.definitions import SECOND, check

PASSING, WARNING, CRITICAL = CheckStatus
KEY = CheckKey("n1", "web")


class Immediately(Random):
    """Starts every check at once."""

    def random(self) -> float:
        return 0.0


class Clock:
    """Monotonic time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Subject:
    """A runner with everything it did."""

    def __init__(
        self,
        probe: Callable[[CheckDefinition], asyncio.Future[CheckResult]] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.reports: asyncio.Queue[CheckReport] = asyncio.Queue()
        self.removed: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.probed: list[str] = []
        self._given_probe = probe
        timing = {"clock": clock} if clock else {}
        self.runner = CheckRunner(
            self.reports.put_nowait,
            lambda node, service: self.removed.put_nowait((node, service)),
            rng=Immediately(),
            probe=self._probe,
            **timing,
        )

    async def _probe(self, definition: CheckDefinition) -> CheckResult:
        self.probed.append(definition.check_id)
        if self._given_probe is not None:
            return await self._given_probe(definition)
        return CheckResult(PASSING, "fine")


@asynccontextmanager
async def running(subject: Subject) -> AsyncIterator[CheckRunner]:
    task = asyncio.create_task(subject.runner.run())
    try:
        yield subject.runner
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Let everything else run until the condition holds."""
    while not condition():  # noqa: ASYNC110 - the subject must not know that it is watched
        await asyncio.sleep(0)


async def test_a_check_is_run_and_reported() -> None:
    subject = Subject()
    async with running(subject) as runner:
        runner.start(check(tcp="h:1"))
        assert await subject.reports.get() == CheckReport(KEY, PASSING, "fine")


async def test_checks_started_before_the_runner_runs_are_run() -> None:
    subject = Subject()
    subject.runner.start(check(tcp="h:1"))
    async with running(subject):
        await subject.reports.get()


async def test_a_check_is_run_again_each_interval() -> None:
    subject = Subject()
    async with running(subject) as runner:
        runner.start(check(tcp="h:1", interval_ns=SECOND))
        await until(lambda: len(subject.probed) == 2)


async def test_an_unchanged_status_is_reported_once() -> None:
    subject = Subject()
    subject.runner.start(check(tcp="h:1", status=PASSING), output="fine")
    async with running(subject):
        await until(lambda: bool(subject.probed))
        await asyncio.sleep(0)
        assert subject.reports.empty()


async def test_a_stopped_check_reports_nothing_more() -> None:
    hanging: asyncio.Future[CheckResult] = asyncio.get_running_loop().create_future()
    subject = Subject(lambda definition: hanging)
    async with running(subject) as runner:
        runner.start(check(tcp="h:1"))
        await until(lambda: bool(subject.probed))
        runner.stop(KEY)
        await until(hanging.cancelled)
        assert subject.reports.empty()
        assert runner.latest(KEY) is None


async def test_stopping_the_runner_ends_the_probes_under_way() -> None:
    hanging: asyncio.Future[CheckResult] = asyncio.get_running_loop().create_future()
    subject = Subject(lambda definition: hanging)
    async with running(subject) as runner:
        runner.start(check(tcp="h:1"))
        await until(lambda: bool(subject.probed))
    assert hanging.cancelled()


async def test_starting_the_same_check_again_changes_nothing() -> None:
    subject = Subject()
    async with running(subject) as runner:
        runner.start(check(tcp="h:1"))
        await subject.reports.get()
        runner.start(check(tcp="h:1"))
        assert runner.latest(KEY) is not None
        assert subject.probed == ["web"]


async def test_a_changed_definition_is_run_anew_and_keeps_the_status() -> None:
    subject = Subject()
    async with running(subject) as runner:
        runner.start(check(tcp="h:1"))
        await subject.reports.get()
        runner.start(check(tcp="h:2"))
        latest = runner.latest(KEY)
        assert latest is not None
        assert latest.status is PASSING
        await until(lambda: len(subject.probed) == 2)


async def test_a_prober_that_breaks_makes_its_check_critical_and_no_other() -> None:
    async def break_for_web(definition: CheckDefinition) -> CheckResult:
        if definition.check_id == "web":
            raise RuntimeError("defect")
        return CheckResult(PASSING, "fine")

    subject = Subject(lambda definition: asyncio.ensure_future(break_for_web(definition)))
    subject.runner.start(check(tcp="h:1", status=PASSING))
    subject.runner.start(check("api", tcp="h:1"))
    async with running(subject):
        reports = {(report := await subject.reports.get()).key.check_id: report for _ in range(2)}
    assert reports["api"].status is PASSING
    assert reports["web"] == CheckReport(KEY, CRITICAL, "The check could not be run: defect")


async def test_a_ttl_check_takes_its_status_from_outside_and_expires() -> None:
    subject = Subject()
    async with running(subject) as runner:
        runner.start(check(interval_ns=0, ttl_ns=SECOND // 50))
        runner.update_ttl(KEY, PASSING, "alive")
        assert await subject.reports.get() == CheckReport(KEY, PASSING, "alive")
        assert (await subject.reports.get()).status is CRITICAL


async def test_only_ttl_checks_are_told_their_status() -> None:
    runner = Subject().runner
    runner.start(check(tcp="h:1"))
    for key in (KEY, CheckKey("n1", "none")):
        with pytest.raises(UnknownTtlCheck) as refused:
            runner.update_ttl(key, PASSING, "")
        assert str(refused.value) == f'CheckID "{key.check_id}" does not have associated TTL'


async def test_an_alias_check_is_told_its_result() -> None:
    subject = Subject()
    subject.runner.start(check(interval_ns=0, alias_service="api"))
    subject.runner.update_alias(KEY, CheckResult(WARNING, "so so"))
    subject.runner.update_alias(CheckKey("n1", "none"), CheckResult(WARNING, ""))
    assert subject.reports.get_nowait() == CheckReport(KEY, WARNING, "so so")


async def test_a_service_that_stays_critical_is_removed() -> None:
    clock = Clock()
    subject = Subject(clock=clock)
    subject.runner.start(
        check(interval_ns=0, ttl_ns=10**15, deregister_critical_service_after_ns=60 * SECOND)
    )
    clock.now += 60
    async with running(subject):
        assert await subject.removed.get() == ("n1", "web")


async def test_ten_thousand_idle_checks_take_no_tasks() -> None:
    clock = Clock()
    subject = Subject(clock=clock)
    before = len(asyncio.all_tasks())
    async with running(subject) as runner:
        for number in range(10_000):
            runner.start(check(f"c{number}", tcp="h:1"))
        await until(lambda: subject.reports.qsize() == 10_000)
        assert len(asyncio.all_tasks()) <= before + 1


@pytest.mark.parametrize(
    ("fields", "limit"),
    [({"tcp": "h:1"}, MAX_NETWORK_PROBES), ({"script_args": ("x",)}, MAX_SCRIPT_PROBES)],
)
async def test_only_so_many_probes_are_under_way_at_once(fields: dict[str, object], limit: int) -> None:
    release = asyncio.Event()
    under_way = most = 0

    async def wait(definition: CheckDefinition) -> CheckResult:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await release.wait()
        under_way -= 1
        return CheckResult(PASSING, "")

    subject = Subject(lambda definition: asyncio.ensure_future(wait(definition)))
    async with running(subject) as runner:
        for number in range(2 * limit):
            runner.start(check(f"c{number}", **fields))
        await until(lambda: under_way == limit)
        release.set()
        await until(lambda: len(subject.probed) == 2 * limit and under_way == 0)
    assert most == limit


async def test_updates_of_a_ttl_check_do_not_pile_up() -> None:
    subject = Subject(clock=Clock())
    runner = subject.runner
    runner.start(check(interval_ns=0, ttl_ns=60 * SECOND))
    for _ in range(1000):
        runner.update_ttl(KEY, PASSING, "")
    assert len(runner._wakes) == 1


async def test_new_settings_hold_for_checks_that_run_already() -> None:
    subject = Subject()
    subject.runner.start(check(interval_ns=0, ttl_ns=30 * SECOND))
    subject.runner.reload(HealthSettings(discard_check_output=True))
    subject.runner.update_ttl(KEY, PASSING, "all is well")
    assert subject.reports.get_nowait() == CheckReport(KEY, PASSING, "")
