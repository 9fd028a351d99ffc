"""One check's life, told the time. Times are seconds."""

from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.health.machine import CheckMachine, HealthSettings
from pellucid.health.results import Action, CheckResult, Deregister, Probe, Report
from pellucid.model.checks import CheckDefinition, CheckStatus
from tests.health.definitions import SECOND, check

PASSING, WARNING, CRITICAL = CheckStatus
INITIAL = Report(CRITICAL, "")
EACH_OUTPUT = HealthSettings(check_update_interval_s=0)


class Fixed(Random):
    """Always draws the same number."""

    def __init__(self, drawn: float) -> None:
        super().__init__()
        self._drawn = drawn

    def random(self) -> float:
        return self._drawn


def machine(
    definition: CheckDefinition,
    settings: HealthSettings = EACH_OUTPUT,
    drawn: float = 0.0,
    published: Report = INITIAL,
) -> CheckMachine:
    return CheckMachine(definition, settings, Fixed(drawn), now=0.0, published=published)


def run(subject: CheckMachine, *statuses: CheckStatus, output: str = "said") -> list[list[Action]]:
    """The actions after each of a row of probes."""
    actions = []
    for status in statuses:
        now = subject.wake_at()
        assert Probe() in subject.wake(now)
        actions.append(subject.finish(CheckResult(status, output), now))
    return actions


class TestSchedule:
    """When a check is looked at."""

    @pytest.mark.parametrize(("drawn", "first"), [(0.0, 0.0), (0.25, 2.5), (0.99, 9.9)])
    def test_the_first_look_comes_somewhere_within_the_first_interval(
        self, drawn: float, first: float
    ) -> None:
        assert machine(check(tcp="h:1"), drawn=drawn).wake_at() == pytest.approx(first)

    def test_the_next_look_comes_an_interval_after_the_result(self) -> None:
        subject = machine(check(tcp="h:1"))
        assert subject.wake(0.0) == [Probe()]
        assert subject.wake_at() == inf
        subject.finish(CheckResult(PASSING, ""), 3.0)
        assert subject.wake_at() == 13.0

    def test_a_check_that_is_still_looking_is_not_started_twice(self) -> None:
        subject = machine(check(tcp="h:1"))
        subject.wake(0.0)
        assert subject.wake(100.0) == []

    def test_no_check_runs_more_often_than_each_second(self) -> None:
        subject = machine(check(tcp="h:1", interval_ns=SECOND // 1000))
        run(subject, PASSING)
        assert subject.wake_at() == 1.0


class TestThresholds:
    """How many results of a kind it takes."""

    def test_the_first_result_counts_by_default(self) -> None:
        assert run(machine(check(tcp="h:1")), PASSING) == [[Report(PASSING, "said")]]

    def test_passing_takes_as_many_successes_in_a_row_as_asked(self) -> None:
        subject = machine(check(tcp="h:1", success_before_passing=3))
        assert run(subject, PASSING, PASSING, CRITICAL, PASSING, WARNING) == [
            [],
            [],
            [Report(CRITICAL, "said")],
            [],
            [],
        ]
        assert run(subject, PASSING) == [[Report(PASSING, "said")]]

    def test_critical_takes_as_many_failures_in_a_row_as_asked(self) -> None:
        subject = machine(check(tcp="h:1", failures_before_critical=2), published=Report(PASSING, "said"))
        assert run(subject, CRITICAL, PASSING, CRITICAL, CRITICAL) == [[], [], [], [Report(CRITICAL, "said")]]

    def test_a_result_that_stands_at_once_ignores_them(self) -> None:
        subject = machine(
            check(script_args=("x",), failures_before_critical=5), published=Report(PASSING, "")
        )
        subject.wake(0.0)
        assert subject.finish(CheckResult(CRITICAL, "killed", counts=False), 0.0) == [
            Report(CRITICAL, "killed")
        ]

    @given(st.lists(st.sampled_from(list(CheckStatus))), st.integers(0, 4), st.integers(0, 4))
    def test_a_published_status_always_has_its_row_of_results_behind_it(
        self, statuses: list[CheckStatus], successes: int, failures: int
    ) -> None:
        subject = machine(
            check(tcp="h:1", success_before_passing=successes, failures_before_critical=failures)
        )
        seen: list[CheckStatus] = []
        for status in statuses:
            seen.append(status)
            if any(isinstance(action, Report) for action in run(subject, status)[0]):
                failed = status is CRITICAL
                row = seen[-max(1, failures if failed else successes) :]
                assert all((each is CRITICAL) is failed for each in row)
                assert len(row) == max(1, failures if failed else successes)


class TestOutput:
    """Output that changes while the status doesn't."""

    HELD_BACK = HealthSettings(check_update_interval_s=300)

    def test_it_is_held_back_for_half_to_one_and_a_half_intervals(self) -> None:
        for drawn, due in [(0.0, 150.0), (1.0, 450.0)]:
            subject = machine(check(ttl_ns=10**15), self.HELD_BACK, drawn)
            assert subject.update_ttl(CRITICAL, "new", 0.0) == []
            assert subject.wake_at() == due
            assert subject.wake(due) == [Report(CRITICAL, "new")]

    def test_the_newest_is_reported_and_the_wait_is_not_prolonged(self) -> None:
        subject = machine(check(ttl_ns=10**15), self.HELD_BACK)
        subject.update_ttl(CRITICAL, "first", 0.0)
        subject.update_ttl(CRITICAL, "second", 100.0)
        assert subject.wake(150.0) == [Report(CRITICAL, "second")]

    def test_the_newest_can_be_seen_at_once(self) -> None:
        subject = machine(check(ttl_ns=10**15), self.HELD_BACK)
        subject.update_ttl(CRITICAL, "new", 0.0)
        assert subject.latest == Report(CRITICAL, "new")

    def test_a_change_of_status_takes_it_along(self) -> None:
        subject = machine(check(ttl_ns=10**15), self.HELD_BACK)
        subject.update_ttl(CRITICAL, "held", 0.0)
        assert subject.update_ttl(PASSING, "now", 1.0) == [Report(PASSING, "now")]
        assert subject.wake(150.0) == []

    def test_output_that_came_back_is_nothing_to_report(self) -> None:
        subject = machine(check(ttl_ns=10**15), self.HELD_BACK)
        subject.update_ttl(CRITICAL, "other", 0.0)
        subject.update_ttl(CRITICAL, "", 1.0)
        assert subject.wake(150.0) == []

    def test_it_can_be_discarded(self) -> None:
        subject = machine(check(tcp="h:1"), HealthSettings(discard_check_output=True))
        assert run(subject, PASSING) == [[Report(PASSING, "")]]


class TestTtl:
    """A check that is told its status."""

    def test_it_is_critical_when_nobody_says_anything(self) -> None:
        subject = machine(check(ttl_ns=30 * SECOND), published=Report(PASSING, ""))
        assert subject.wake_at() == 30.0
        assert subject.wake(30.0) == [Report(CRITICAL, "TTL expired")]
        assert subject.wake_at() == inf

    def test_each_word_gives_it_another_ttl(self) -> None:
        subject = machine(check(ttl_ns=30 * SECOND))
        assert subject.update_ttl(PASSING, "fine", 20.0) == [Report(PASSING, "fine")]
        assert subject.wake(30.0) == []
        expired = "TTL expired (last output before timeout follows): fine"
        assert subject.wake(50.0) == [Report(CRITICAL, expired)]

    def test_a_word_after_the_end_revives_it(self) -> None:
        subject = machine(check(ttl_ns=30 * SECOND))
        subject.wake(30.0)
        assert subject.update_ttl(PASSING, "back", 40.0) == [Report(PASSING, "back")]
        assert subject.wake_at() == 70.0

    def test_thresholds_do_not_apply(self) -> None:
        subject = machine(check(ttl_ns=30 * SECOND, success_before_passing=5))
        assert subject.update_ttl(PASSING, "", 1.0) == [Report(PASSING, "")]

    def test_long_output_is_cut(self) -> None:
        subject = machine(check(ttl_ns=30 * SECOND, output_max_size=4))
        assert subject.update_ttl(PASSING, "abcdef", 1.0) == [
            Report(PASSING, "abcd ... (captured 4 of 6 bytes)")
        ]


class TestDeregistration:
    """A service that stays critical."""

    REMOVED = Deregister("web")

    @pytest.mark.parametrize(("after_s", "expected"), [(1, 60.0), (90, 90.0)])
    def test_it_is_removed_after_its_time_and_never_before_a_minute(
        self, after_s: int, expected: float
    ) -> None:
        subject = machine(check(alias_service="x", deregister_critical_service_after_ns=after_s * SECOND))
        assert subject.wake_at() == expected
        assert subject.wake(expected) == [self.REMOVED]

    def test_recovery_starts_the_time_anew(self) -> None:
        subject = machine(check(ttl_ns=10**15, deregister_critical_service_after_ns=60 * SECOND))
        subject.update_ttl(WARNING, "", 50.0)
        assert subject.wake(60.0) == []
        subject.update_ttl(CRITICAL, "", 100.0)
        subject.update_ttl(CRITICAL, "still", 120.0)
        assert subject.wake(159.0) == []
        assert subject.wake(160.0) == [self.REMOVED]

    def test_it_is_asked_for_again_while_the_check_goes_on(self) -> None:
        subject = machine(check(alias_service="x", deregister_critical_service_after_ns=60 * SECOND))
        subject.wake(60.0)
        assert subject.wake(89.0) == []
        assert subject.wake(90.0) == [self.REMOVED]

    def test_a_check_of_a_node_removes_nothing(self) -> None:
        subject = machine(
            check(alias_service="x", service_id="", deregister_critical_service_after_ns=60 * SECOND)
        )
        assert subject.wake_at() == inf


def test_a_machine_shows_its_state() -> None:
    assert "web critical successes=0 failures=0 wake_at=0.000" in repr(machine(check(tcp="h:1")))
