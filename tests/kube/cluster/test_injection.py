"""Injected pods at work: probes of every kind, the classic layout, refusals as a user meets them."""

from __future__ import annotations

import json

import pytest

from tests.kube.cluster.mesh_on_cluster import Calls, Mesh, eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def test_probes_of_every_kind_reach_an_application_behind_a_redirection(mesh: Mesh) -> None:
    mesh.apply("probed.yaml")
    mesh.ready("probed")
    conditions = mesh.get("pod down")["status"]["conditions"]
    assert {each["type"]: each["status"] for each in conditions}["Ready"] == "False"
    described = eventually(
        lambda: (text := mesh.ask("kubectl describe pod down").stdout) and "statuscode: 503" in text and text,
        "kubectl describe says that the probe fails",
    )
    assert "Readiness probe failed" in described
    mesh.run("kubectl delete pod probed down --now")


def test_the_classic_layout_reaches_its_upstreams_without_redirection(mesh: Mesh) -> None:
    mesh.apply("classic.yaml")
    mesh.ready("classic")
    asked = (
        "kubectl exec classic -c app -- sh -c "
        "'curl -s http://$GREETING_CONNECT_SERVICE_HOST:$GREETING_CONNECT_SERVICE_PORT/hello'"
    )
    assert eventually(lambda: mesh.ask(asked).stdout, "an answer of the upstream").strip() == "Hello World"
    with mesh.api() as address:
        proxy = mesh.run(f"curl -s {address}/v1/catalog/service/classic-sidecar-proxy")
    (registered,) = json.loads(proxy)
    assert registered["ServiceProxy"].get("Mode", "") == ""
    mesh.run("kubectl delete pod classic --now")


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ("connect-service-upstreams=pay", 'upstream "pay" is invalid: write name:port'),
        ("connect-service-upstreams=a:1234\\,b:1234", 'upstreams "a" and "b" are both given port 1234'),
        ("transparent-proxy-exclude-inbound-ports=http", "value of http is not a valid integer"),
        ("connect-inject=maybe", 'error checking if should inject: strconv.ParseBool: parsing "maybe"'),
    ],
)
def test_what_cannot_work_is_told_to_whoever_creates_the_pod(
    mesh: Mesh, annotation: str, problem: str
) -> None:
    prefix = "consul.hashicorp.com/"
    wanted = [f"{prefix}connect-inject=true", f"{prefix}{annotation}"]
    flags = " ".join(f"--annotations={each}" for each in wanted)
    refused = mesh.ask(f"kubectl run refused --image=python:3 {flags}")
    assert refused.returncode == 1
    assert 'admission webhook "consul-consul-connect-injector.consul.hashicorp.com" denied' in refused.stderr
    assert problem in refused.stderr


def test_a_rolling_restart_of_the_injector_fails_no_creation(mesh: Mesh) -> None:
    annotation = "--annotations=consul.hashicorp.com/connect-inject=true"
    create = f"kubectl run tried --image=python:3 {annotation} --dry-run=server -o name"
    injector = "deployment/consul-consul-connect-injector-webhook-deployment"
    with mesh.stage.program(f"sh -c 'while :; do {create} >/dev/null && echo ok; done'") as program:
        tries = Calls(program)
        tries.go_on()
        mesh.run(f"kubectl rollout restart {injector}")
        mesh.rolled_out(injector)
        # The one that was replaced serves on for a while after it is said to be gone.
        for _ in range(30):
            tries.go_on()
    assert tries.failures == []
