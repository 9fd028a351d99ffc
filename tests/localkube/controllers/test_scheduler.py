from typing import Any

import pytest

from pellucid.localkube.controllers.scheduler import objection

Object = dict[str, Any]


def node(**spec: Any) -> Object:
    allocatable = {"cpu": "2", "memory": "4Gi", "pods": "3"}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": allocatable}
    return {"metadata": {"name": "n"}, "spec": spec, "status": status}


def pod(*requests: Object, inits: tuple[Object, ...] = (), **spec: Any) -> Object:
    def asking(amounts: Object) -> Object:
        return {"resources": {"requests": amounts}}

    containers = [asking(amounts) for amounts in requests]
    spec |= {"containers": containers, "initContainers": [asking(amounts) for amounts in inits]}
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}


@pytest.mark.parametrize(
    ("asking", "lacking"),
    [
        (pod({}), None),
        (pod({"cpu": "2", "memory": "4096Mi"}), None),
        (pod({"cpu": "2001m"}), "cpu"),
        (pod({"cpu": "1"}, {"cpu": "1100m"}), "cpu"),
        (pod({"memory": "5Gi"}), "memory"),
        (pod({"cpu": "1"}, inits=({"cpu": "1500m"}, {"cpu": "1500m"})), None),
        (pod({"cpu": "1"}, inits=({"cpu": "3"},)), "cpu"),
        (pod({"example.org/card": "1"}), "example.org/card"),
    ],
)
def test_a_pod_that_asks_for_more_than_a_node_has_does_not_go_there(asking: Object, lacking: str) -> None:
    assert objection(asking, node(), ()) == (f"Insufficient {lacking}" if lacking else None)


def test_a_node_takes_as_many_pods_as_it_says() -> None:
    present = [pod({})] * 2
    assert objection(pod({}), node(), present) is None
    assert objection(pod({}), node(), [*present, pod({})]) == "Too many pods"


def test_a_cordoned_node_says_so_though_it_is_tainted_too() -> None:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    cordoned = node(unschedulable=True, taints=[taint])
    assert objection(pod({}), cordoned, ()) == "node(s) were unschedulable"
    tolerating = pod({}, tolerations=[{"operator": "Exists"}])
    assert objection(tolerating, cordoned, ()) is None


def test_an_untolerated_taint_is_named() -> None:
    tainted = node(taints=[{"key": "only", "value": "theirs", "effect": "NoExecute"}])
    assert objection(pod({}), tainted, ()) == "node(s) had untolerated taint {only: theirs}"
