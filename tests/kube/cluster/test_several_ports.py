"""A Service with several ports: each leads to the pod's own one, through both sidecars."""

from __future__ import annotations

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]


def answer(mesh: Mesh, address: str) -> str:
    """What the pod `loader` gets from there; empty if it gets nothing."""
    ask = (
        f"import urllib.request; print(urllib.request.urlopen('http://{address}', timeout=5).read().decode())"
    )
    return mesh.ask(f'kubectl exec loader -c loader -- python3 -c "{ask}"').stdout.strip()


def test_every_port_of_a_service_leads_to_its_own_port_of_the_pod(mesh: Mesh) -> None:
    mesh.apply("pair.yaml")
    mesh.ready("pair")
    eventually(lambda: answer(mesh, "pair:80") == "8080", "the service's own port is reached")
    assert answer(mesh, "pair:90") == "9090"
    with mesh.api():
        mesh.run("consul intention create -deny loader pair")
        eventually(lambda: answer(mesh, "pair:90") == "", "the deny holds for the further port")
        assert answer(mesh, "pair:80") == ""
        mesh.run("consul intention delete loader pair")
    eventually(lambda: answer(mesh, "pair:90") == "9090", "the further port is reached again")
    mesh.run("kubectl delete -f pair.yaml --now")
