"""Custom resources as a user has them: by the chart, with kubectl, until the chart is uninstalled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, eventually, mesh_on_cluster

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]

MANIFEST = Path(__file__).with_name("greeting.yaml")
KINDS = "proxydefaults,servicedefaults,serviceintentions"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with mesh_on_cluster(tmp_path_factory.mktemp("mesh"), "--set controller.enabled=true") as made:
        yield made


def synced(mesh: Mesh) -> list[str]:
    """Whether each resource is synced."""
    return [
        condition["status"]
        for item in mesh.get(KINDS).get("items", ())
        for condition in (item.get("status") or {}).get("conditions", ())
    ]


def test_from_applying_to_uninstalling(mesh: Mesh) -> None:
    mesh.run(f"kubectl apply -f {MANIFEST}")
    eventually(lambda: synced(mesh) == ["True"] * 3, "all three are synced")
    with mesh.api():
        listed = mesh.run("consul intention list")
    assert ["loader", "allow", "greeting", "9"] in [line.split() for line in listed.splitlines()]

    wrong = mesh.ask('kubectl patch servicedefaults greeting --type=merge -p \'{"spec":{"protocol":"udp"}}\'')
    assert wrong.returncode != 0
    assert (
        'servicedefaults.consul.hashicorp.com "greeting" is invalid: spec.protocol: Invalid value: "udp": '
        'must be one of "tcp", "http", "http2", "grpc"'
    ) in wrong.stderr + wrong.stdout

    mesh.run("helm uninstall consul")
    eventually(lambda: mesh.get("crd")["items"] == [], "the definitions are gone")
