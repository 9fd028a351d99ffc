"""What people get wrong, on a cluster: the mesh goes on, or says why not."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pellucid.kube.webhook.authority import AUTHORITY_LIFE, new_authority
from tests.kube.cluster.mesh_on_cluster import Mesh, eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

CURL = "kubectl exec loader -c loader -- curl --silent --max-time 3"
LOGIN = "https://consul-consul-server-api.default.svc:8501/v1/pellucid/login"


def test_two_services_that_claim_one_pod_both_lead_to_it(mesh: Mesh) -> None:
    mesh.apply("two-services.yaml")
    mesh.ready("claimed")
    for address in ("front:80", "back:8080"):
        eventually(
            lambda address=address: "Hello World" in mesh.ask(f"{CURL} http://{address}/hello").stdout,  # type: ignore[misc]
            f"{address} leads to the pod",
        )
    mesh.run("kubectl delete --wait=false -f two-services.yaml")


def test_a_pod_without_a_service_is_in_the_mesh_by_its_containers_name(mesh: Mesh) -> None:
    mesh.apply("latecomer.yaml")
    mesh.ready("latecomer")
    with mesh.api():
        assert "latecomer" in mesh.run("consul catalog services").split()
    mesh.run("kubectl delete pod latecomer --now")


def test_a_pod_whose_service_does_not_exist_says_so_and_waits_for_it(mesh: Mesh) -> None:
    mesh.apply("lost.yaml")
    missing = 'names "nowhere", but no Service of that name has this pod behind it'
    eventually(lambda: missing in mesh.ask("kubectl describe pod lost").stdout, "it says what is missing")
    mesh.run("kubectl create service clusterip nowhere --tcp=80")
    mesh.run("kubectl label pod lost app=nowhere")
    mesh.ready("lost")
    mesh.run("kubectl delete --now --wait=false pod/lost service/nowhere")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)", "Permission denied"),
        ("stolen", "Permission denied"),
    ],
)
def test_a_token_that_is_not_for_the_mesh_opens_nothing(mesh: Mesh, token: str, reason: str) -> None:
    body = json.dumps({"BearerToken": "TOKEN"}).replace('"', '\\"').replace("TOKEN", token)
    put = f'curl --silent --insecure --max-time 5 -X PUT -d "{body}" {LOGIN}'
    said = mesh.run(f"kubectl exec loader -c loader -- sh -c '{put}'")
    assert reason in said
    assert "Credential" not in said


def test_a_pod_may_read_but_not_write_past_the_server(mesh: Mesh) -> None:
    server = "http://consul-consul-server:8500"
    assert "greeting" in mesh.run(f"{CURL} {server}/v1/catalog/services")
    written = mesh.run(f'{CURL} -X PUT -d \'{{"Kind":"mesh"}}\' {server}/v1/config')
    assert "needs the token of a registrar" in written


@pytest.mark.parametrize(
    ("secret", "configuration", "asks", "answer"),
    [
        (
            "consul-consul-connect-inject-webhook-cert",
            "consul-consul-connect-injector-cfg",
            "kubectl create --dry-run=server -o yaml -f latecomer.yaml",
            "name: envoy-sidecar",
        ),
        (
            "consul-consul-controller-webhook-cert",
            "consul-consul-controller-mutating-webhook-configuration",
            "kubectl create --dry-run=server -o yaml -f unwanted.yaml",
            "name: unwanted",
        ),
    ],
    ids=["injector", "controller"],
)
def test_a_webhook_whose_authority_expired_makes_another(
    mesh: Mesh, secret: str, configuration: str, asks: str, answer: str
) -> None:
    before = mesh.restarts()
    expired = new_authority(datetime.now(UTC) - AUTHORITY_LIFE - timedelta(days=1))
    data = {"ca.crt": base64_of(expired.certificate), "ca.key": base64_of(expired.key)}
    webhooks = f"mutatingwebhookconfiguration {configuration}"
    trust = [
        {"op": "replace", "path": f"/webhooks/{number}/clientConfig/caBundle", "value": data["ca.crt"]}
        for number in range(len(mesh.get(webhooks)["webhooks"]))
    ]
    mesh.run(f"kubectl patch secret {secret} --patch '{json.dumps({'data': data})}'")
    mesh.run(f"kubectl patch {webhooks} --type=json --patch '{json.dumps(trust)}'")

    def trusted() -> set[str]:
        return {each["clientConfig"]["caBundle"] for each in mesh.get(webhooks)["webhooks"]}

    eventually(
        lambda: trusted() == {mesh.get(f"secret {secret}")["data"]["ca.crt"]} != {data["ca.crt"]},
        "another authority is in the Secret and in the webhook configuration",
    )
    assert answer in eventually(lambda: mesh.ask(asks).stdout, "the API server gets an answer")
    assert mesh.restarted_since(before) == []


def test_a_second_injector_is_noted_when_it_is_installed(mesh: Mesh) -> None:
    said = mesh.run("helm install second hashicorp/consul --dry-run=server --set connectInject.enabled=true")
    assert "There is another injector in this cluster, consul-consul-connect-injector" in said


def test_an_envoy_that_is_killed_is_started_again_and_the_pod_says_so(mesh: Mesh) -> None:
    mesh.apply("latecomer.yaml")
    mesh.ready("latecomer")
    kill = 'for each in /proc/[0-9]*; do [ "$(cat $each/comm)" = envoy ] && kill -9 ${each#/proc/}; done'
    mesh.run(f"kubectl exec latecomer -c envoy-sidecar -- sh -c '{kill}; true'")

    def sidecar() -> Any:
        containers = mesh.get("pod latecomer")["status"]["initContainerStatuses"]
        (found,) = (each for each in containers if each["name"] == "envoy-sidecar")
        return found

    ended = eventually(lambda: sidecar()["lastState"].get("terminated"), "the container has ended")
    assert ended["message"].strip().endswith("Envoy was killed by signal 9 while serving")
    call = "kubectl exec latecomer -c latecomer -- curl --silent --max-time 3 http://greeting:8080/hello"
    eventually(lambda: mesh.ask(call).stdout == "Hello World\n", "the pod is in the mesh again")
    assert sidecar()["restartCount"] == 1
    mesh.run("kubectl delete pod latecomer --now")


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
