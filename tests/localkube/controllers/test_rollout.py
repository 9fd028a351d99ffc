"""Laws of a rolling update's step: never too many pods, never too few that serve, always some way on."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pellucid.localkube.controllers.rollout import grown, proportional, shrunk, surge_and_unavailable

Object = dict[str, Any]

counts = st.integers(0, 12)
shares = st.one_of(st.integers(0, 5), st.integers(0, 100).map(lambda number: f"{number}%"))


def deployment(desired: int, surge: int | str, unavailable: int | str) -> Object:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "metadata": {"name": "web"},
        "spec": {"replicas": desired, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}},
    }


deployments = st.builds(deployment, counts, shares, shares)


@st.composite
def replica_sets(draw: st.DrawFn, name: str) -> Object:
    replicas = draw(counts)
    available = draw(st.integers(0, replicas))
    metadata = {"name": name, "creationTimestamp": f"2026-01-01T00:00:0{draw(st.integers(0, 9))}Z"}
    spec, status = {"replicas": replicas}, {"availableReplicas": available}
    return {"metadata": metadata, "spec": spec, "status": status}


@given(deployments, counts, counts)
def test_growing_stays_within_the_surge(wanted: Object, new: int, old: int) -> None:
    surge, _ = surge_and_unavailable(wanted)
    desired = wanted["spec"]["replicas"]
    after = grown(wanted, new, new + old)
    assert after <= max(new, desired)
    if after > new:
        assert after + old <= desired + surge


@given(deployments, replica_sets("new"), replica_sets("old-1"), replica_sets("old-2"))
def test_shrinking_leaves_as_many_available_pods_as_it_must(
    wanted: Object, newest: Object, first: Object, second: Object
) -> None:
    _, unavailable = surge_and_unavailable(wanted)
    minimum = wanted["spec"]["replicas"] - unavailable
    sets = {item["metadata"]["name"]: item for item in (first, second)}
    changed = shrunk(wanted, newest, list(sets.values()))

    def available(item: Object) -> int:
        left = changed.get(item["metadata"]["name"], item["spec"]["replicas"])
        return min(int(item["status"]["availableReplicas"]), int(left))

    before = sum(int(item["status"]["availableReplicas"]) for item in (newest, first, second))
    after = available(newest) + available(first) + available(second)
    assert after >= min(before, minimum)
    assert all(0 <= count < sets[name]["spec"]["replicas"] for name, count in changed.items())


@given(deployments, replica_sets("a"), replica_sets("b"), replica_sets("c"))
def test_scaling_in_proportion_adds_up_to_what_is_allowed(
    wanted: Object, a: Object, b: Object, c: Object
) -> None:
    surge, _ = surge_and_unavailable(wanted)
    desired = wanted["spec"]["replicas"]
    active = [item for item in (a, b, c) if item["spec"]["replicas"]]
    result = proportional(wanted, [a, b, c])
    if len(active) > 1:
        assert sum(result.values()) == (desired + surge if desired else 0)
    assert all(count >= 0 for count in result.values())


@given(deployments)
def test_a_step_is_always_possible(wanted: Object) -> None:
    surge, unavailable = surge_and_unavailable(wanted)
    assert wanted["spec"]["replicas"] == 0 or surge + unavailable > 0
