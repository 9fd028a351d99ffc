"""One cluster with the mesh for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, mesh_on_cluster


@pytest.fixture(scope="package")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The mesh, with two greeting pods and one that calls them."""
    with mesh_on_cluster(tmp_path_factory.mktemp("mesh")) as mesh:
        mesh.run("kubectl create configmap programs --from-file=calls.py --from-file=probed.py")
        mesh.apply("greeting.yaml")
        mesh.rolled_out("deployment/greeting")
        mesh.ready("loader")
        yield mesh
