"""What the kubelet knows of one container of a pod. Values only."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

_FIRST_BACK_OFF_S, _LONGEST_BACK_OFF_S = 10, 300
_FORGIVEN_AFTER = timedelta(minutes=10)


class Waiting(msgspec.Struct, frozen=True):
    """It does not run yet, or not now; reasons as users know them, such as `ContainerCreating`."""

    reason: str
    message: str = ""


class Running(msgspec.Struct, frozen=True):
    """It runs."""

    started_at: datetime


class Terminated(msgspec.Struct, frozen=True):
    """It ended."""

    exit_code: int
    reason: str
    started_at: datetime
    finished_at: datetime
    container_id: str
    message: str = ""
    signal: int = 0


State = Waiting | Running | Terminated


class ContainerObservation(msgspec.Struct, frozen=True):
    """One container. `failures` counts ends in a row; `ends` and `pull_failures` decide the back-off."""

    name: str
    state: State
    last: Terminated | None = None
    ended: Terminated | None = None
    """The latest end, whatever the state is now; None while it runs or before it ever ran."""
    restart_count: int = 0
    runs: int = 0
    ends: int = 0
    pull_failures: int = 0
    retry_at: datetime | None = None
    """Not to be started before."""
    container_id: str = ""
    image_id: str = ""
    started: bool = False
    ready: bool = False

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return isinstance(self.state, Running)


def back_off(failures: int) -> timedelta:
    """The wait after so many failures in a row: none after the first, then 10 s doubling to 300 s."""
    if failures <= 1:
        return timedelta(0)
    return timedelta(seconds=min(_LONGEST_BACK_OFF_S, _FIRST_BACK_OFF_S * 2 ** min(failures - 2, 10)))


def after_start(
    old: ContainerObservation, container_id: str, image_id: str, now: datetime
) -> ContainerObservation:
    """It was started."""
    return msgspec.structs.replace(
        old,
        state=Running(now),
        last=old.ended or old.last,
        ended=None,
        restart_count=old.restart_count + 1 if old.runs else old.restart_count,
        runs=old.runs + 1,
        pull_failures=0,
        retry_at=None,
        container_id=container_id,
        image_id=image_id,
        started=False,
        ready=False,
    )


def after_end(old: ContainerObservation, end: Terminated) -> ContainerObservation:
    """It ended, or could not be started at all. Ten minutes of running forgive earlier ends."""
    ends = 1 if end.finished_at - end.started_at >= _FORGIVEN_AFTER else old.ends + 1
    never_ran = not old.running
    return msgspec.structs.replace(
        old,
        state=end,
        last=old.ended or old.last,
        ended=end,
        restart_count=old.restart_count + 1 if never_ran and old.runs else old.restart_count,
        runs=old.runs + 1 if never_ran else old.runs,
        ends=ends,
        retry_at=end.finished_at + back_off(ends),
        container_id=end.container_id,
        started=False,
        ready=False,
    )


def after_pull_failure(
    old: ContainerObservation, reason: str, message: str, now: datetime
) -> ContainerObservation:
    """Its image could not be had; the next attempt is 10 s to 300 s away."""
    failures = old.pull_failures + 1
    return msgspec.structs.replace(
        old, state=Waiting(reason, message), pull_failures=failures, retry_at=now + back_off(failures + 1)
    )
