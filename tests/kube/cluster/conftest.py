"""One cluster with the mesh for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh, mesh_on_cluster


@pytest.fixture(scope="package")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The mesh, with two greeting pods and one that calls them."""
    with mesh_on_cluster(tmp_path_factory.mktemp("mesh")) as mesh:
        mesh.greetings()
        yield mesh
