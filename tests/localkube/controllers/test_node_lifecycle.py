from datetime import UTC, datetime, timedelta
from typing import Any

from pellucid.localkube.controllers.node_lifecycle import reconcile
from pellucid.localkube.controllers.plan import Key, Patch, Plan, Remove
from pellucid.localkube.controllers.reading import format_time
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import LEASES, NODES, PODS

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def ago(seconds: float) -> str:
    return format_time(NOW - timedelta(seconds=seconds))


def node(ready: str = "True", **spec: Any) -> Object:
    """A node that was made long ago and reports nothing but its lease."""
    metadata = {"name": "n", "uid": "n", "resourceVersion": "1", "creationTimestamp": ago(3600)}
    status = {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": ago(3600)}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status}


def lease(renewed: str) -> Object:
    metadata = {"name": "n", "namespace": "kube-node-lease", "uid": "l", "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {"renewTime": renewed}}


def pod(name: str = "p", **spec: Any) -> Object:
    metadata = {"name": name, "namespace": "default", "uid": name, "resourceVersion": "1"}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": "n", **spec},
        "status": status,
    }


def taint(key: str, effect: str = "NoExecute", since: str = ago(0)) -> Object:
    return {"key": key, "effect": effect, "timeAdded": since}


def plan(*objects: tuple[Any, Object], started_at: datetime = LONG_AGO) -> Plan:
    view = View()
    for resource, item in objects:
        view.put(resource, item)
    return reconcile(view, Key("", "n"), NOW, started_at)


def removed(done: Plan) -> list[tuple[str, int | None]]:
    return [(one.name, one.grace_seconds) for one in done.changes if isinstance(one, Remove)]


def patches(done: Plan) -> list[Object]:
    return [one.patch for one in done.changes if isinstance(one, Patch)]


def test_a_node_whose_lease_is_renewed_is_left_alone_until_it_would_be_late() -> None:
    done = plan((NODES, node()), (LEASES, lease(ago(15))), (PODS, pod()))
    assert (done.changes, done.again_after) == ((), 25)


def test_a_node_that_is_silent_for_forty_seconds_is_unknown() -> None:
    done = plan((NODES, node()), (LEASES, lease(ago(40))))
    [patch] = patches(done)
    ready = next(one for one in patch["status"]["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert ready["message"] == "Kubelet stopped posting node status."


def test_silence_counts_only_from_when_somebody_listened() -> None:
    started = NOW - timedelta(seconds=10)
    done = plan((NODES, node()), (LEASES, lease(ago(600))), started_at=started)
    assert (done.changes, done.again_after) == ((), 30)


def test_an_unknown_node_is_tainted_as_unreachable() -> None:
    [patch] = patches(plan((NODES, node("Unknown")), (LEASES, lease(ago(60)))))
    wanted = [taint(UNREACHABLE, "NoSchedule"), taint(UNREACHABLE, "NoExecute")]
    assert patch == {"spec": {"taints": wanted}}


def test_a_node_that_is_not_ready_is_tainted_as_such() -> None:
    [patch] = patches(plan((NODES, node("False")), (LEASES, lease(ago(1)))))
    assert {one["key"] for one in patch["spec"]["taints"]} == {NOT_READY}


def test_a_node_that_is_back_loses_the_taints_of_its_state_and_keeps_the_others() -> None:
    own = taint("example.org/own", "NoSchedule")
    back = node(taints=[taint(UNREACHABLE, "NoSchedule"), own, taint(UNREACHABLE)])
    assert patches(plan((NODES, back), (LEASES, lease(ago(1))))) == [{"spec": {"taints": [own]}}]


def test_a_cordoned_node_shows_it_as_a_taint() -> None:
    [patch] = patches(plan((NODES, node(unschedulable=True)), (LEASES, lease(ago(1)))))
    assert patch == {"spec": {"taints": [taint("node.kubernetes.io/unschedulable", "NoSchedule")]}}


def test_pods_of_a_lost_node_are_ready_no_longer() -> None:
    lost = node("Unknown", taints=[taint(UNREACHABLE, "NoSchedule")])
    tolerating = pod(tolerations=[{"operator": "Exists"}])
    lost["spec"]["taints"].append(taint(UNREACHABLE, "NoExecute"))
    [patch] = patches(plan((NODES, lost), (PODS, tolerating)))
    [ready] = patch["status"]["conditions"]
    assert (ready["type"], ready["status"]) == ("Ready", "False")


def test_a_pod_stays_on_a_lost_node_for_as_long_as_it_tolerates_that() -> None:
    key = {"key": "example.org/gone", "operator": "Exists", "effect": "NoExecute"}
    tainted = node(taints=[taint("example.org/gone", since=ago(100))])
    objects = ((NODES, tainted), (LEASES, lease(ago(0))))
    brief = pod("brief", tolerations=[key | {"tolerationSeconds": 100}])
    longer = pod("longer", tolerations=[key | {"tolerationSeconds": 130}])
    ever = pod("ever", tolerations=[key])
    not_at_all = pod("not-at-all")
    done = plan(*objects, *((PODS, one) for one in (brief, longer, ever, not_at_all)))
    assert sorted(removed(done)) == [("brief", None), ("not-at-all", None)]
    assert done.again_after == 30


def test_a_pod_that_is_over_is_left_where_it_is() -> None:
    over = pod()
    over["status"]["phase"] = "Succeeded"
    tainted = node(taints=[taint("example.org/gone")])
    assert not removed(plan((NODES, tainted), (LEASES, lease(ago(0))), (PODS, over)))


def test_pods_of_a_node_that_is_no_more_go_at_once() -> None:
    assert removed(plan((PODS, pod()), (PODS, pod("other", nodeName="m")))) == [("p", 0)]
