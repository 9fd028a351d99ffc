"""The API server is away for half a minute: the mesh goes on without it, and catches up afterwards."""

from __future__ import annotations

import time

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

AWAY_S = 30.0
INJECTOR = "deployment/consul-consul-connect-injector-webhook-deployment"


def greeting(mesh: Mesh, pod: str) -> str:
    """What a call from a pod is answered; nothing for one that fails."""
    return mesh.ask(
        f"kubectl exec {pod} -c {pod} -- curl --silent --max-time 3 http://greeting:8080/hello"
    ).stdout


def test_the_mesh_goes_on_without_the_api_server_and_catches_up(mesh: Mesh) -> None:
    mesh.apply("latecomer.yaml")
    mesh.ready("latecomer")
    assert greeting(mesh, "latecomer") == "Hello World\n"
    before = mesh.restarts()
    with mesh.api(), mesh.calls() as calls:
        with mesh.without_api_server():
            began = time.monotonic()
            mesh.apply("newcomer.yaml")
            mesh.run("consul intention create -deny latecomer greeting")
            eventually(lambda: not greeting(mesh, "latecomer"), "an intention takes effect")
            mesh.run("consul intention delete latecomer greeting")
            eventually(lambda: greeting(mesh, "latecomer"), "it is taken back")
            mesh.run("kubectl delete pod latecomer --now")
            waiting = "waits: the server refuses: the token cannot be reviewed"
            eventually(
                lambda: waiting in mesh.ask("kubectl logs newcomer -c envoy-sidecar").stdout,
                "a new pod has its sidecar, which says what it waits for",
            )
            assert "latecomer" in mesh.run("consul catalog services").split()
            while time.monotonic() - began < AWAY_S:
                calls.go_on()
            assert "not leading any more" in mesh.run(f"kubectl logs {INJECTOR}")
        mesh.ready("newcomer")
        assert greeting(mesh, "newcomer") == "Hello World\n"
        eventually(
            lambda: "latecomer" not in mesh.run("consul catalog services").split(),
            "what went meanwhile is deregistered",
        )
        calls.go_on()
    assert calls.failures == []
    assert mesh.restarted_since(before) == []
    assert mesh.restarts()["newcomer"] == 0
    mesh.run("kubectl delete pod newcomer --now")
