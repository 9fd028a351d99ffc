"""Nothing that is replaced or away costs a request: servers, injector, workloads, roots."""

from __future__ import annotations

import json
import urllib.request

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

INJECTOR = "deployment/consul-consul-connect-injector-webhook-deployment"
SERVER = "statefulset/consul-consul-server"


@pytest.mark.parametrize("what", [SERVER, INJECTOR, "deployment/greeting"])
def test_a_rolling_restart_costs_no_request(mesh: Mesh, what: str) -> None:
    with mesh.calls() as calls:
        mesh.run(f"kubectl rollout restart {what}")
        mesh.rolled_out(what)
        calls.go_on()
    assert calls.failures == []


def test_a_rotated_root_costs_no_request(mesh: Mesh) -> None:
    with mesh.api() as address, mesh.calls() as calls:
        roots = f"{address}/v1/connect/ca/roots"
        before = json.load(urllib.request.urlopen(roots))["ActiveRootID"]
        configuration = {"Provider": "consul", "Config": {"PrivateKeyType": "ec", "PrivateKeyBits": 384}}
        request = urllib.request.Request(
            f"{address}/v1/connect/ca/configuration", json.dumps(configuration).encode(), method="PUT"
        )
        urllib.request.urlopen(request)
        assert json.load(urllib.request.urlopen(roots))["ActiveRootID"] != before
        for _ in range(20):
            calls.go_on()
    assert calls.failures == []


def test_without_servers_pods_go_on_talking_and_new_ones_wait_and_say_why(mesh: Mesh) -> None:
    with mesh.calls() as calls:
        mesh.run(f"kubectl scale {SERVER} --replicas=0")
        mesh.run("kubectl wait --for=delete pod/consul-consul-server-0 --timeout=60s")
        mesh.apply("latecomer.yaml")
        described = eventually(
            lambda: (
                (text := mesh.ask("kubectl describe pod latecomer").stdout) and "waiting for" in text and text
            ),
            "kubectl describe says what the pod waits for",
        )
        assert "consul-consul-server" in described
        assert mesh.get("pod latecomer")["status"]["phase"] == "Pending"
        calls.go_on()
        mesh.run(f"kubectl scale {SERVER} --replicas=1")
        mesh.ready("consul-consul-server-0", "latecomer")
        calls.go_on()
    assert calls.failures == []
    mesh.run("kubectl delete pod latecomer --now")
