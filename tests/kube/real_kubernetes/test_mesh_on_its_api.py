"""Server, injector and controllers work with Kubernetes itself, with the rights that the chart gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pellucid.kube.annotations import CONNECT_INJECT_STATUS, INJECTED
from tests.kube.real_kubernetes.conftest import COMPONENTS, Mesh
from tests.kube.real_kubernetes.objects import POD_ADDRESS, PREFIX, deployment, service
from tests.mesh.mesh import eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

LATER_ADDRESS = "10.244.0.6"


@pytest.fixture(scope="module")
def hello(mesh: Mesh) -> Iterator[dict[str, Any]]:
    """The pod of a Deployment that wants to be in the mesh, as Kubernetes made it; it does not run yet."""
    wishes = {"connect-inject": "true", "transparent-proxy": "true"}
    mesh.plane.apply(service("hello"), deployment("hello", wishes))
    yield mesh.plane.only_pod("app=hello")
    mesh.plane.kubectl("delete deployment,service hello")


def instances(mesh: Mesh, service: str) -> dict[str, Any]:
    """By pod."""
    found = mesh.ask(f"/v1/health/service/{service}")
    return {each["Service"]["Meta"]["pod-name"]: each for each in found}


def registered(mesh: Mesh, pod: str) -> dict[str, Any]:
    """As soon as it is."""
    found: dict[str, Any] = eventually(lambda: instances(mesh, "hello").get(pod, {}), f"{pod} is registered")
    return found


def is_passing(instance: dict[str, Any]) -> bool:
    return all(check["Status"] == "passing" for check in instance["Checks"])


def token(mesh: Mesh, pod: str, *flags: str) -> str:
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}")
    return mesh.plane.run("kubectl", "create", "token", "default", *bound, *flags).strip()


def test_a_pod_is_injected_in_the_layout_that_its_kubelet_knows(hello: dict[str, Any]) -> None:
    assert hello["metadata"]["annotations"][CONNECT_INJECT_STATUS] == INJECTED
    names = [container["name"] for container in hello["spec"]["containers"]]
    assert names == ["envoy-sidecar", "hello"]
    assert [each["name"] for each in hello["spec"]["initContainers"]] == ["consul-connect-inject-init"]


def test_a_pod_is_registered_with_its_address_and_readiness(mesh: Mesh, hello: dict[str, Any]) -> None:
    pod, cluster_ip = hello["metadata"]["name"], mesh.plane.get("service hello")["spec"]["clusterIP"]
    mesh.plane.runs(pod, POD_ADDRESS)
    found = registered(mesh, pod)
    assert found["Service"]["Address"] == POD_ADDRESS
    assert found["Service"]["Port"] == 8080
    assert found["Service"]["TaggedAddresses"]["virtual"] == {"Address": cluster_ip, "Port": 8080}
    assert is_passing(found)
    assert pod in instances(mesh, "hello-sidecar-proxy")
    mesh.plane.has_conditions(pod, Ready="False")
    eventually(lambda: not is_passing(instances(mesh, "hello")[pod]), "it is said not to be ready")
    mesh.plane.has_conditions(pod, Ready="True")
    eventually(lambda: is_passing(instances(mesh, "hello")[pod]), "it is ready again")


def test_a_pod_proves_itself_by_a_token_that_is_its_own(mesh: Mesh, hello: dict[str, Any]) -> None:
    pod = hello["metadata"]["name"]
    own = token(mesh, pod, "--audience=consul-consul")
    status, text = mesh.login(own)
    assert status == 200, text
    services = json.loads(text)["Services"]
    assert {each["Name"] for each in services} == {"hello", "hello-sidecar-proxy"}
    assert all(each["Credential"] for each in services if each["Kind"] == "connect-proxy")
    for strange, reason in (
        (token(mesh, pod), "audience"),
        (mesh.plane.kubectl("create token default --audience=consul-consul").strip(), "pod"),
        (own[:-8] + "AAAAAAAA", "token"),
    ):
        status, text = mesh.login(strange)
        assert (status, reason in text) == (403, True), text


def test_a_pod_that_is_deleted_is_gone_and_its_token_with_it(mesh: Mesh, hello: dict[str, Any]) -> None:
    pod = hello["metadata"]["name"]
    own = token(mesh, pod, "--audience=consul-consul")
    mesh.plane.kubectl(f"delete pod {pod} --grace-period=0 --force")
    eventually(lambda: pod not in instances(mesh, "hello"), "it is forgotten")
    status, text = mesh.login(own)
    assert status == 403, text
    later = mesh.plane.only_pod("app=hello")["metadata"]["name"]
    mesh.plane.runs(later, LATER_ADDRESS)
    found = registered(mesh, later)
    assert found["Service"]["Address"] == LATER_ADDRESS


def test_a_pod_that_cannot_work_is_refused_where_its_author_looks(mesh: Mesh) -> None:
    wishes = {"connect-inject": "true", "connect-service-upstreams": "hello"}
    mesh.plane.apply(deployment("mistaken", wishes))
    of_set = "events --field-selector=reason=FailedCreate"
    said = eventually(lambda: mesh.plane.get(of_set)["items"], "the replica set says why it has no pod")
    assert any("connect-service-upstreams" in event["message"] for event in said)
    mesh.plane.kubectl("delete deployment mistaken")


def test_custom_resources_become_config_entries(mesh: Mesh) -> None:
    metadata, version = {"name": "hello"}, f"{PREFIX}v1alpha1"
    defaults = {
        "apiVersion": version,
        "kind": "ServiceDefaults",
        "metadata": metadata,
        "spec": {"protocol": "http"},
    }
    sources = [{"name": "hello-client", "action": "deny"}]
    intentions = {
        "apiVersion": version,
        "kind": "ServiceIntentions",
        "metadata": metadata,
        "spec": {"destination": {"name": "hello"}, "sources": sources},
    }
    mesh.plane.apply(defaults, intentions)
    for kind in ("servicedefaults", "serviceintentions"):
        mesh.plane.kubectl(f"wait --for=condition=Synced {kind}/hello --timeout=30s")
    assert mesh.ask("/v1/config/service-defaults/hello")["Protocol"] == "http"
    (source,) = mesh.ask("/v1/config/service-intentions/hello")["Sources"]
    assert (source["Name"], source["Action"]) == ("hello-client", "deny")
    wrong = {**defaults, "spec": {"protocol": "htp"}}
    refused = mesh.plane.ask("kubectl", "apply", "-f", "-", stdin=json.dumps(wrong))
    assert refused.returncode == 1
    assert 'spec.protocol: Invalid value: "htp"' in refused.stderr
    mesh.plane.kubectl("delete servicedefaults,serviceintentions hello")
    assert mesh.ask("/v1/config/service-defaults") == []
    assert mesh.ask("/v1/config/service-intentions") == []


def test_nobody_was_refused_anything(mesh: Mesh) -> None:
    for component in COMPONENTS:
        said = [line.text for line in mesh.containers[component].lines if "forbidden" in line.text.lower()]
        assert said == [], component
