"""An application is told to end after its callers have heard of it, unless it sees to that itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kube.injector.pods import container, inject, kuma_init, pod

GATE = {"httpGet": {"port": 21000, "path": "/withdrawn"}}


def hooks(changed: dict[str, Any], name: str = "web") -> dict[str, Any]:
    (found,) = (each for each in changed["spec"]["containers"] if each["name"] == name)
    lifecycle: dict[str, Any] = found.get("lifecycle", {})
    return lifecycle


@pytest.mark.parametrize("redirected", ["true", "false"])
def test_an_application_waits_until_it_is_withdrawn(redirected: str) -> None:
    changed = inject(pod({"connect-inject": "true", "transparent-proxy": redirected}))
    assert hooks(changed) == {"preStop": GATE}


def test_a_hook_of_its_own_stays() -> None:
    own = {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    author = pod({"connect-inject": "true"}, containers=[container(lifecycle=own), container("other")])
    changed = inject(author)
    assert hooks(changed) == own
    assert hooks(changed, "other") == {"preStop": GATE}


def test_another_hook_does_not_keep_it_from_getting_one() -> None:
    own = {"postStart": {"exec": {"command": ["true"]}}}
    changed = inject(pod({"connect-inject": "true"}, containers=[container(lifecycle=own)]))
    assert hooks(changed) == {**own, "preStop": GATE}


@pytest.mark.parametrize("switch", ["enable-sidecar-proxy-lifecycle"])
def test_a_pod_that_wants_no_draining_does_not_wait(switch: str) -> None:
    assert hooks(inject(pod({"connect-inject": "true", switch: "false"}))) == {}


def test_behind_rules_of_the_authors_where_the_kubelet_could_not_ask_it_sleeps() -> None:
    author = pod({"connect-inject": "true"}, initContainers=[kuma_init()])
    assert hooks(inject(author)) == {"preStop": {"sleep": {"seconds": 2}}}
    assert hooks(inject(author, hooks_may_sleep=False)) == {}
