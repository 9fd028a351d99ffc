from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pellucid.localkube.node.decisions import decide, is_initialized, stop_order
from pellucid.localkube.node.observations import (
    ContainerObservation,
    Terminated,
    Waiting,
    after_end,
    after_pull_failure,
    after_start,
    back_off,
)

NOW = datetime(2024, 1, 1, tzinfo=UTC)
Object = dict[str, Any]


def spec(*names: str, policy: str = "Always", inits: tuple[Object, ...] = ()) -> Object:
    return {
        "restartPolicy": policy,
        "containers": [{"name": name} for name in names],
        "initContainers": list(inits),
    }


def waiting(name: str) -> ContainerObservation:
    return ContainerObservation(name, Waiting("ContainerCreating"))


def running(name: str, *, started: bool = True) -> ContainerObservation:
    one = after_start(waiting(name), "runc://1", "sha256:1", NOW)
    return msgspec.structs.replace(one, started=started, ready=started)


def ended(name: str, code: int = 0) -> ContainerObservation:
    return after_end(running(name), Terminated(code, "Completed", NOW, NOW, "runc://1"))


def seen(*observations: ContainerObservation) -> dict[str, ContainerObservation]:
    return {one.name: one for one in observations}


def test_all_containers_start_together() -> None:
    assert decide(spec("a", "b"), seen(waiting("a"), waiting("b")), NOW).start == ("a", "b")


def test_init_containers_start_one_after_another() -> None:
    inits = ({"name": "i"}, {"name": "j"})
    wanted = spec("a", inits=inits)
    assert decide(wanted, seen(waiting("i"), waiting("j"), waiting("a")), NOW).start == ("i",)
    assert decide(wanted, seen(running("i"), waiting("j"), waiting("a")), NOW).start == ()
    assert decide(wanted, seen(ended("i"), waiting("j"), waiting("a")), NOW).start == ("j",)
    assert decide(wanted, seen(ended("i"), ended("j"), waiting("a")), NOW).start == ("a",)


def test_what_follows_a_sidecar_waits_until_it_has_started_not_until_it_ends() -> None:
    wanted = spec("a", inits=({"name": "s", "restartPolicy": "Always"},))
    assert decide(wanted, seen(running("s", started=False), waiting("a")), NOW).start == ()
    assert decide(wanted, seen(running("s"), waiting("a")), NOW).start == ("a",)


def test_a_sidecar_is_restarted_whatever_the_pod_s_policy() -> None:
    wanted = spec("a", policy="Never", inits=({"name": "s", "restartPolicy": "Always"},))
    assert decide(wanted, seen(ended("s", 1), running("a")), NOW).start == ("s",)


def test_a_pod_is_over_when_no_container_runs_or_will() -> None:
    assert decide(spec("a", policy="Never"), seen(ended("a", 1)), NOW).finished
    assert decide(spec("a", policy="OnFailure"), seen(ended("a")), NOW).finished
    assert not decide(spec("a", policy="OnFailure"), seen(ended("a", 1)), NOW).finished
    assert not decide(spec("a"), seen(ended("a")), NOW).finished
    assert not decide(spec("a", "b", policy="Never"), seen(ended("a"), running("b")), NOW).finished


def test_a_failed_init_container_ends_a_pod_that_is_never_restarted() -> None:
    wanted = spec("a", policy="Never", inits=({"name": "i"},))
    assert decide(wanted, seen(ended("i", 1), waiting("a")), NOW).finished


def test_the_first_restart_is_at_once_and_later_ones_back_off() -> None:
    once = ended("a", 1)
    assert decide(spec("a"), seen(once), NOW).start == ("a",)
    again = after_start(once, "runc://2", "sha256:1", NOW)
    twice = after_end(again, Terminated(1, "Error", NOW, NOW, "runc://2"))
    decision = decide(spec("a"), seen(twice), NOW)
    assert (decision.start, decision.backing_off) == ((), ("a",))
    assert decision.look_again_at == NOW + timedelta(seconds=10)
    assert decide(spec("a"), seen(twice), NOW + timedelta(seconds=10)).start == ("a",)


def test_ten_minutes_of_running_forgive_earlier_ends() -> None:
    once = ended("a", 1)
    again = after_start(once, "runc://2", "sha256:1", NOW)
    later = NOW + timedelta(minutes=10)
    assert after_end(again, Terminated(1, "Error", NOW, later, "runc://2")).retry_at == later


def test_an_image_that_cannot_be_had_is_tried_again_later() -> None:
    one = after_pull_failure(waiting("a"), "ErrImagePull", "no", NOW)
    assert decide(spec("a"), seen(one), NOW).backing_off == ("a",)


@given(st.integers(0, 100))
def test_back_off_grows_to_five_minutes_and_no_further(failures: int) -> None:
    assert back_off(failures) <= back_off(failures + 1) <= timedelta(minutes=5)


def test_sidecars_end_after_the_rest_in_reverse_order() -> None:
    inits = ({"name": "s", "restartPolicy": "Always"}, {"name": "t", "restartPolicy": "Always"})
    observed = seen(running("s"), running("t"), running("a"), running("b"))
    assert stop_order(spec("a", "b", inits=inits), observed) == (("a", "b"), ("t",), ("s",))


states = st.sampled_from(["waiting", "running", "done", "failed"])


@given(states, states, states, st.sampled_from(["Always", "OnFailure", "Never"]))
def test_no_container_of_the_pod_proper_starts_before_every_init_container_is_done(
    first: str, second: str, main: str, policy: str
) -> None:
    make: dict[str, Callable[[str], ContainerObservation]] = {
        "waiting": waiting,
        "running": running,
        "done": ended,
        "failed": lambda name: ended(name, 1),
    }
    inits = ({"name": "i"}, {"name": "s", "restartPolicy": "Always"})
    wanted = spec("a", policy=policy, inits=inits)
    observed = seen(make[first]("i"), make[second]("s"), make[main]("a"))
    decision = decide(wanted, observed, NOW)
    if "a" in (*decision.start, *decision.backing_off):
        assert is_initialized(wanted, observed)
