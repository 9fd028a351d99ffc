"""The machine as scripts: events in (`>>`), commands out, and the phase after each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dataplane.envoy_lifecycle import (
    KILL_AFTER_S,
    Command,
    Drain,
    Drained,
    EnvoyLife,
    Event,
    Exited,
    Phase,
    Ready,
    Stop,
    Tick,
    started,
    step,
)

Script = list[tuple[float, Event, tuple[Command, ...], Phase]]

SCRIPTS: dict[str, Script] = {
    "a whole life": [
        (1, Ready(), (Command.ANNOUNCE,), Phase.SERVING),
        (2, Drain(10), (Command.DRAIN,), Phase.DRAINING),
        (3, Drained(), (Command.ANNOUNCE_DRAINED,), Phase.DRAINED),
        (4, Stop(), (Command.TERMINATE,), Phase.STOPPING),
        (5, Exited(0), (Command.REPORT,), Phase.GONE),
    ],
    "connections that do not end are not waited for": [
        (1, Ready(), (Command.ANNOUNCE,), Phase.SERVING),
        (2, Drain(10), (Command.DRAIN,), Phase.DRAINING),
        (11.9, Tick(), (), Phase.DRAINING),
        (12, Tick(), (Command.ANNOUNCE_DRAINED,), Phase.DRAINED),
    ],
    "an Envoy that does not end is killed": [
        (1, Ready(), (Command.ANNOUNCE,), Phase.SERVING),
        (2, Stop(), (Command.TERMINATE,), Phase.STOPPING),
        (2 + KILL_AFTER_S, Tick(), (Command.KILL,), Phase.STOPPING),
        (99, Tick(), (), Phase.STOPPING),
        (100, Exited(-9), (Command.REPORT,), Phase.GONE),
    ],
    "an Envoy that never gets ready is ended": [
        (29.9, Tick(), (), Phase.STARTING),
        (30, Tick(), (Command.TERMINATE,), Phase.STOPPING),
        (31, Exited(0), (Command.REPORT,), Phase.GONE),
    ],
    "what is out of place does nothing": [
        (1, Drain(1), (), Phase.STARTING),
        (1, Drained(), (), Phase.STARTING),
        (2, Ready(), (Command.ANNOUNCE,), Phase.SERVING),
        (3, Ready(), (), Phase.SERVING),
        (4, Exited(1), (Command.REPORT,), Phase.GONE),
        (5, Exited(1), (), Phase.GONE),
        (6, Stop(), (), Phase.GONE),
    ],
}


def played(script: Script) -> EnvoyLife:
    life = started(0, ready_within_s=30)
    for now, event, commands, phase in script:
        life, given_commands = step(life, event, now)
        assert (given_commands, life.phase) == (commands, phase), (now, event)
    return life


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(name: str) -> None:
    played(SCRIPTS[name])


def test_an_asked_for_end_is_no_failure() -> None:
    assert played(SCRIPTS["a whole life"]).failure is None


@pytest.mark.parametrize(
    ("status", "said"),
    [(-9, "Envoy was killed by signal 9 while starting"), (1, "Envoy ended with exit code 1 while starting")],
)
def test_an_unasked_end_says_how(status: int, said: str) -> None:
    life, _ = step(started(0), Exited(status), 1)
    assert life.failure == said


def test_an_envoy_without_configuration_says_so_after_its_end() -> None:
    assert played(SCRIPTS["an Envoy that never gets ready is ended"]).failure == (
        "Envoy got no configuration in time"
    )


events = st.one_of(
    st.builds(Ready),
    st.builds(Drain, st.floats(0, 60)),
    st.builds(Drained),
    st.builds(Stop),
    st.builds(Tick),
    st.builds(Exited, st.integers(-15, 255)),
)


@given(st.lists(st.tuples(st.floats(0, 10), events), max_size=20))
def test_phases_only_go_forward_and_the_end_is_reported_once(script: list[tuple[float, Event]]) -> None:
    life, now, reports = started(0), 0.0, 0
    for delay, event in script:
        now += delay
        after, commands = step(life, event, now)
        assert after.phase.value >= life.phase.value
        reports += commands.count(Command.REPORT)
        life = after
    assert reports == (life.phase is Phase.GONE)


@given(st.lists(st.tuples(st.floats(0, 10), events), max_size=20))
def test_once_asked_to_stop_every_envoy_is_killed_in_the_end(script: list[tuple[float, Event]]) -> None:
    life, now = started(0), 0.0
    for delay, event in [*script, (0.0, Stop())]:
        now += delay
        life, _ = step(life, event, now)
    if life.phase is Phase.STOPPING and life.deadline is not None:
        life, commands = step(life, Tick(), now + KILL_AFTER_S)
        assert commands == (Command.KILL,)
    assert life.phase in (Phase.STOPPING, Phase.GONE)
