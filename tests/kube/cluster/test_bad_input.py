"""What people get wrong, on a cluster: the mesh goes on, or says why not."""

from __future__ import annotations

import json

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

CURL = "kubectl exec loader -c loader -- curl --silent --max-time 3"
LOGIN = "https://consul-consul-server.default.svc:8501/v1/pellucid/login"


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
