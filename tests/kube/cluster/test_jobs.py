"""A job of the mesh makes its first call through its sidecar and ends, in either layout."""

from __future__ import annotations

import pytest

from tests.kube.cluster.mesh_on_cluster import Mesh

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


@pytest.mark.parametrize("job", ["native-job", "classic-job"])
def test_a_job_calls_at_once_and_completes(mesh: Mesh, job: str) -> None:
    mesh.apply("jobs.yaml")
    mesh.run(f"kubectl wait --for=condition=complete job/{job} --timeout=60s")
    assert mesh.run(f"kubectl logs job/{job} -c app").strip() == "Hello World"
    assert "Envoy serves" in mesh.run(f"kubectl logs job/{job} -c envoy-sidecar")
