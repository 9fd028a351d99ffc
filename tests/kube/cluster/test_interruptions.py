"""Nothing that is replaced or away costs a request: servers, injector, workloads, roots."""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPException
from threading import Thread
from typing import Any

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, eventually, rotate_root

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

INJECTOR = "deployment/consul-consul-connect-injector-webhook-deployment"
SERVER = "statefulset/consul-consul-server"
SERVER_POD = "pod/consul-consul-server-0"


@pytest.mark.parametrize("what", [SERVER, INJECTOR, "deployment/greeting"])
def test_a_rolling_restart_costs_no_request(mesh: Mesh, what: str) -> None:
    with mesh.calls() as calls:
        mesh.run(f"kubectl rollout restart {what}")
        mesh.rolled_out(what)
        calls.go_on()
    assert calls.failures == []


def test_nor_does_one_of_workloads_that_bring_rules_of_their_own(mesh: Mesh) -> None:
    with mesh.calls() as calls:
        for change in (
            "patch deployment greeting --patch-file own-rules.yaml",
            "rollout undo deployment/greeting",
        ):
            mesh.run(f"kubectl {change}")
            mesh.rolled_out("deployment/greeting")
        calls.go_on()
    assert calls.failures == []


def test_nor_does_one_right_after_the_servers(mesh: Mesh) -> None:
    """A sidecar that heard of the server late would still call pods that have gone."""
    with mesh.calls() as calls:
        for what in (SERVER, "deployment/greeting") * 2:
            mesh.run(f"kubectl rollout restart {what}")
            mesh.rolled_out(what)
        calls.go_on()
    assert calls.failures == []


def test_a_rotated_root_costs_no_request(mesh: Mesh) -> None:
    with mesh.api() as address, mesh.calls() as calls:
        roots = f"{address}/v1/connect/ca/roots"
        before = json.load(urllib.request.urlopen(roots))["ActiveRootID"]
        rotate_root(address, bits=384)
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


def test_a_server_that_is_killed_while_it_is_written_to_keeps_what_it_acknowledged(mesh: Mesh) -> None:
    before = mesh.get(SERVER_POD)["metadata"]["uid"]
    acknowledged: list[str] = []

    def write(address: str) -> None:
        """Until the server is gone."""
        for number in range(10_000):
            name, source = f"victim-{number}", {"Name": "anyone", "Action": "deny"}
            entry = {"Kind": "service-intentions", "Name": name, "Sources": [source]}
            put = urllib.request.Request(f"{address}/v1/config", json.dumps(entry).encode(), method="PUT")
            try:
                urllib.request.urlopen(put, timeout=10)
            except (OSError, HTTPException):
                return
            acknowledged.append(name)

    with mesh.api() as address:
        writing = Thread(target=write, args=(address,))
        writing.start()
        eventually(lambda: len(acknowledged) > 20, "intentions are written")
        mesh.run(f"kubectl delete {SERVER_POD} --grace-period=0 --force")
        writing.join()
    eventually(lambda: is_another(mesh.get(SERVER_POD), before), "another server is ready")
    with mesh.api() as address:
        listed = json.load(urllib.request.urlopen(f"{address}/v1/config/service-intentions"))
        assert {each["Name"] for each in listed} >= set(acknowledged)
        for name in (each["Name"] for each in listed if each["Name"].startswith("victim-")):
            gone = urllib.request.Request(f"{address}/v1/config/service-intentions/{name}", method="DELETE")
            urllib.request.urlopen(gone)


def is_another(pod: Any, before: str) -> bool:
    """Whether the pod is not the one with that uid, and ready."""
    conditions = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", ())}
    return bool(conditions) and pod["metadata"]["uid"] != before and conditions.get("Ready") == "True"


def test_a_mesh_that_is_uninstalled_and_installed_again_finds_its_pods(mesh: Mesh) -> None:
    mesh.apply("newcomer.yaml")
    mesh.ready("newcomer")
    with mesh.calls() as calls:
        mesh.run("helm uninstall consul --wait")
        assert mesh.get("statefulsets")["items"] == []
        calls.go_on()
        mesh.apply("latecomer.yaml")
        mesh.run("helm install -f values.yaml --wait consul hashicorp/consul")
        eventually(
            lambda: "no injector was there" in mesh.ask("kubectl describe pod latecomer").stdout,
            "a pod that was made meanwhile is told that it has no sidecar",
        )
        with mesh.api():
            mesh.run("consul intention create -deny newcomer greeting")
            eventually(lambda: mesh.ask(CALL_OF_NEWCOMER).returncode, "an intention takes effect")
            mesh.run("consul intention delete newcomer greeting")
            eventually(lambda: not mesh.ask(CALL_OF_NEWCOMER).returncode, "it is taken back")
        calls.go_on()
    assert calls.failures == []
    mesh.run("kubectl delete pod newcomer latecomer --now")


CALL_OF_NEWCOMER = (
    "kubectl exec newcomer -c newcomer -- curl --silent --max-time 3 http://greeting:8080/hello"
)
