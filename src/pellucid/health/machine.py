"""One check's life, without clock, socket or randomness of its own.

The machine is told the time (monotonic seconds) with everything that happens and says what is to be done:
probe, report, deregister. `wake_at` says when it wants to be woken. A result counts only after enough of its
kind in a row; a status change is reported at once, a change of output alone is held back, because many checks
print something new every time and each report is a write that wakes readers; a service that stays critical is
to be removed.

Source: Consul 1.10 docs, "Checks" and "Configuration", `check_update_interval`, `discard_check_output`;
agent/checks/check.go, agent/local/state.go.
"""

from __future__ import annotations

from math import inf
from random import Random

import msgspec

from pellucid.health.output import head_of
from pellucid.health.results import Action, CheckResult, Deregister, Probe, Report
from pellucid.model.checks import CheckDefinition, CheckStatus

NANOSECONDS_PER_SECOND = 1_000_000_000
MIN_INTERVAL_S = 1.0
MIN_DEREGISTER_AFTER_S = 60.0
DEREGISTER_RETRY_S = 30.0
"""A service that is still there after it was to be removed is asked for again."""

TTL_EXPIRED = "TTL expired"


class HealthSettings(msgspec.Struct, frozen=True):
    """What an operator may set about all checks."""

    check_update_interval_s: float = 300.0
    """How long a change of output alone may be held back; 0 reports each one."""
    discard_check_output: bool = False


class CheckMachine:
    """The state of one check; every method that returns actions expects them to be carried out."""

    def __init__(
        self,
        definition: CheckDefinition,
        settings: HealthSettings,
        rng: Random,
        now: float,
        published: Report,
    ) -> None:
        """rng: spreads first runs and held-back reports. published: what readers see of this check now."""
        self.definition = definition
        self.settings = settings
        """May be replaced by others at any time."""
        self._rng = rng
        self.published = published
        """What was last handed out to be published."""
        self.latest = published
        """The last accepted result, which may be fresher than what was reported."""
        self._successes = 0
        self._failures = 0
        self._is_probing = False
        self._interval_s = max(MIN_INTERVAL_S, _seconds(definition.interval_ns))
        self._probe_at = inf
        self._expires_at = inf
        self._output_due_at = inf
        self._deregister_at = inf
        if definition.type == "ttl":
            self._expires_at = now + _seconds(definition.ttl_ns)
        elif definition.type != "alias":
            self._probe_at = now + rng.random() * self._interval_s
        self._watch_for_removal(published.status, now)

    def __repr__(self) -> str:
        return (
            f"<CheckMachine {self.definition.check_id} {self.latest.status}"
            f" successes={self._successes} failures={self._failures} wake_at={self.wake_at():.3f}>"
        )

    def wake_at(self) -> float:
        """When `wake` wants to be called next; infinity when nothing will happen by itself."""
        probe_at = inf if self._is_probing else self._probe_at
        return min(probe_at, self._expires_at, self._output_due_at, self._deregister_at)

    def wake(self, now: float) -> list[Action]:
        """Do what is due."""
        actions: list[Action] = []
        if now >= self._probe_at and not self._is_probing:
            self._is_probing = True
            actions.append(Probe())
        if now >= self._expires_at:
            self._expires_at = inf
            actions += self.settle(CheckResult(CheckStatus.CRITICAL, self._expired_output()), now)
        if now >= self._output_due_at:
            actions += self._publish()
        if now >= self._deregister_at:
            self._deregister_at = now + DEREGISTER_RETRY_S
            actions.append(Deregister(self.definition.service_id))
        return actions

    def finish(self, result: CheckResult, now: float) -> list[Action]:
        """Take the result of a probe."""
        self._is_probing = False
        self._probe_at = now + self._interval_s
        if result.counts and not self._reaches_threshold(result.status):
            return []
        return self.settle(result, now)

    def update_ttl(self, status: CheckStatus, output: str, now: float) -> list[Action]:
        """Take what the application says of itself, and give it another TTL."""
        self._expires_at = now + _seconds(self.definition.ttl_ns)
        return self.settle(CheckResult(status, head_of(output, self.definition.output_max_size)), now)

    def settle(self, result: CheckResult, now: float) -> list[Action]:
        """Take a result that stands at once."""
        output = "" if self.settings.discard_check_output else result.output
        self.latest = Report(result.status, output)
        self._watch_for_removal(result.status, now)
        if result.status != self.published.status:
            return self._publish()
        if output == self.published.output:
            self._output_due_at = inf
            return []
        if self.settings.check_update_interval_s == 0:
            return self._publish()
        if self._output_due_at == inf:
            self._output_due_at = now + self.settings.check_update_interval_s * (0.5 + self._rng.random())
        return []

    def _publish(self) -> list[Action]:
        self._output_due_at = inf
        self.published = self.latest
        return [self.latest]

    def _reaches_threshold(self, status: CheckStatus) -> bool:
        """Count a result; warnings are successes here."""
        if status is CheckStatus.CRITICAL:
            self._successes = 0
            self._failures += 1
            return self._failures >= self.definition.failures_before_critical
        self._failures = 0
        self._successes += 1
        return self._successes >= self.definition.success_before_passing

    def _watch_for_removal(self, status: CheckStatus, now: float) -> None:
        after_s = _seconds(self.definition.deregister_critical_service_after_ns)
        if status is not CheckStatus.CRITICAL or not after_s or not self.definition.service_id:
            self._deregister_at = inf
        elif self._deregister_at == inf:
            self._deregister_at = now + max(MIN_DEREGISTER_AFTER_S, after_s)

    def _expired_output(self) -> str:
        if not self.latest.output:
            return TTL_EXPIRED
        return f"{TTL_EXPIRED} (last output before timeout follows): {self.latest.output}"


def _seconds(nanoseconds: int) -> float:
    return nanoseconds / NANOSECONDS_PER_SECOND
