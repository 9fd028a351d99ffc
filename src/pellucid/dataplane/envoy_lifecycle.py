"""The life of one supervised Envoy, as a machine: events in, commands out, time passed in.

    STARTING --Ready--> SERVING --Drain--> DRAINING --Drained or too late--> DRAINED --Stop--> STOPPING
                                                                                   --Exited--> GONE

A drained Envoy takes no more connections from outside, and still carries its program's own. Stop may come
at any time. An Envoy that never gets ready, or ends without being asked to, is gone with a reason. Nothing
in here starts, signals or waits; `envoy_process` does what the commands say.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

READY_WITHIN_S = 30.0
KILL_AFTER_S = 5.0


class Phase(Enum):
    STARTING = auto()
    SERVING = auto()
    DRAINING = auto()
    DRAINED = auto()
    STOPPING = auto()
    GONE = auto()


class Ready(msgspec.Struct, frozen=True):
    """Envoy has its configuration and takes connections."""


class Drain(msgspec.Struct, frozen=True):
    """Connections from outside shall end by themselves within so many seconds."""

    within_s: float


class Stop(msgspec.Struct, frozen=True):
    """Envoy shall end now."""


class Drained(msgspec.Struct, frozen=True):
    """The last connection from outside has ended."""


class Tick(msgspec.Struct, frozen=True):
    """Time has passed."""


class Exited(msgspec.Struct, frozen=True):
    """The process has ended; status is negative for the signal that ended it."""

    status: int


Event = Ready | Drain | Stop | Drained | Tick | Exited


class Command(Enum):
    ANNOUNCE = auto()
    """Tell those who wait that Envoy serves."""
    DRAIN = auto()
    """Have Envoy take no new connections from outside, and watch the open ones end."""
    ANNOUNCE_DRAINED = auto()
    TERMINATE = auto()
    KILL = auto()
    REPORT = auto()
    """Tell those who wait that Envoy is gone."""


class EnvoyLife(msgspec.Struct, frozen=True):
    """Where one Envoy is in its life.

    deadline: when the next Tick matters, on the caller's clock in seconds;
    failure: why it is going, or gone, without having been asked to.
    """

    phase: Phase
    deadline: float | None = None
    failure: str | None = None


def started(now: float, ready_within_s: float = READY_WITHIN_S) -> EnvoyLife:
    """A process that has just been spawned."""
    return EnvoyLife(Phase.STARTING, now + ready_within_s)


def step(life: EnvoyLife, event: Event, now: float) -> tuple[EnvoyLife, tuple[Command, ...]]:
    """What the event makes of the life, and what is to be done about it. Events out of place do nothing."""
    match life.phase, event:
        case Phase.GONE, _:
            return life, ()
        case _, Exited(status):
            return EnvoyLife(Phase.GONE, failure=life.failure or _unasked(life.phase, status)), (
                Command.REPORT,
            )
        case Phase.STARTING, Ready():
            return EnvoyLife(Phase.SERVING), (Command.ANNOUNCE,)
        case Phase.STARTING, Tick() if _is_due(life, now):
            return _stopping(now, "Envoy got no configuration in time"), (Command.TERMINATE,)
        case Phase.SERVING, Drain(within_s):
            return EnvoyLife(Phase.DRAINING, now + within_s), (Command.DRAIN,)
        case Phase.DRAINING, Drained():
            return EnvoyLife(Phase.DRAINED), (Command.ANNOUNCE_DRAINED,)
        case Phase.DRAINING, Tick() if _is_due(life, now):
            return EnvoyLife(Phase.DRAINED), (Command.ANNOUNCE_DRAINED,)
        case ((Phase.STARTING | Phase.SERVING | Phase.DRAINING | Phase.DRAINED), Stop()):
            return _stopping(now), (Command.TERMINATE,)
        case Phase.STOPPING, Tick() if _is_due(life, now):
            return EnvoyLife(Phase.STOPPING, failure=life.failure), (Command.KILL,)
    return life, ()


def _stopping(now: float, failure: str | None = None) -> EnvoyLife:
    return EnvoyLife(Phase.STOPPING, now + KILL_AFTER_S, failure)


def _is_due(life: EnvoyLife, now: float) -> bool:
    return life.deadline is not None and now >= life.deadline


def _unasked(phase: Phase, status: int) -> str | None:
    if phase is Phase.STOPPING:
        return None
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit code {status}"
    return f"Envoy {how} while {phase.name.lower()}"
