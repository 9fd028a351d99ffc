from datetime import UTC, datetime
from typing import Any

from pellucid.localkube.controllers.endpoints import reconcile
from pellucid.localkube.controllers.plan import Create, Key
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(number: int, *, ready: bool = True, ending: bool = False, phase: str = "Running") -> Object:
    metadata: Object = {"name": f"p{number}", "namespace": "default", "uid": f"u{number}"}
    metadata |= {"labels": {"app": "web"}, "resourceVersion": str(number)}
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:30Z"
    addresses = [{"ip": f"10.244.0.{number}"}, {"ip": f"fd00::{number}"}]
    status = {
        "phase": phase,
        "podIP": addresses[0]["ip"],
        "podIPs": addresses,
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
    }
    return {"metadata": metadata, "spec": {"nodeName": "n", "containers": []}, "status": status}


def made(*pods: Object, **spec: Any) -> list[Create]:
    """What is created for a service with these pods when there is nothing yet."""
    view = View()
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "uid": "s", "resourceVersion": "1"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec},
    }
    view.put(SERVICES, service)
    for one in pods:
        view.put(PODS, one)
    changes = reconcile(view, Key("default", "web"), NOW).changes
    return [change for change in changes if isinstance(change, Create)]


def slices(*pods: Object, **spec: Any) -> dict[str, list[Object]]:
    """The endpoints of each family."""
    created = (change.item for change in made(*pods, **spec) if change.resource == ENDPOINT_SLICES)
    return {item["addressType"]: item["endpoints"] for item in created}


def test_a_dual_stack_service_has_the_pods_addresses_of_each_family() -> None:
    found = slices(pod(2), ipFamilies=["IPv6", "IPv4"])
    assert [one["addresses"] for one in found["IPv6"]] == [["fd00::2"]]
    assert [one["addresses"] for one in found["IPv4"]] == [["10.244.0.2"]]


def test_endpoints_are_of_the_services_first_family() -> None:
    [created] = [one for one in made(pod(2), ipFamilies=["IPv6", "IPv4"]) if one.resource == ENDPOINTS]
    [subset] = created.item["subsets"]
    assert [one["ip"] for one in subset["addresses"]] == ["fd00::2"]


def test_a_pod_that_is_being_deleted_serves_no_new_clients_but_is_known_to_serve() -> None:
    [endpoint] = slices(pod(2, ending=True))["IPv4"]
    assert endpoint["conditions"] == {"ready": False, "serving": True, "terminating": True}
    [created] = [one for one in made(pod(2, ending=True)) if one.resource == ENDPOINTS]
    assert created.item["subsets"] == []


def test_a_pod_that_is_not_ready_is_listed_as_such() -> None:
    [endpoint] = slices(pod(2, ready=False))["IPv4"]
    assert endpoint["conditions"] == {"ready": False, "serving": False, "terminating": False}


def test_a_service_may_publish_pods_that_are_not_ready() -> None:
    [endpoint] = slices(pod(2, ready=False), publishNotReadyAddresses=True)["IPv4"]
    assert endpoint["conditions"]["ready"]


def test_a_pod_that_is_over_is_not_listed() -> None:
    assert slices(pod(2, phase="Succeeded"), pod(3, phase="Failed"))["IPv4"] == []
