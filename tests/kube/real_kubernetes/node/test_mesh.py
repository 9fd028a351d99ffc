"""What the mesh promises on a cluster, on a node of Kubernetes itself: much of it as on a local cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pellucid.demo.telling import Telling
from tests.kube.cluster import test_injection as injection
from tests.kube.cluster import test_interruptions as interruptions
from tests.kube.cluster import test_jobs as jobs
from tests.kube.cluster import test_several_ports as several_ports
from tests.kube.cluster.mesh_on_cluster import FILES, Mesh, eventually
from tests.kube.real_kubernetes.node.commands import API_PORT, stage_on
from tests.kube.real_kubernetes.node.node import missing, node

pytestmark = [pytest.mark.nightly, pytest.mark.root, pytest.mark.timeout(600)]

MORE = Path(__file__).parents[4] / "examples" / "more"
CHART = "consul hashicorp/consul"
UPGRADED = "--set controller.enabled=true --set connectInject.replicas=2"
RESOURCES = """
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceDefaults
metadata: {name: greeting}
spec: {protocol: http}
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceIntentions
metadata: {name: greeting}
spec:
  destination: {name: greeting}
  sources: [{name: loader, action: deny}]
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The mesh, with two greeting pods and one that calls them; there is no controller yet."""
    if reason := missing():
        pytest.skip(reason)
    with node(tmp_path_factory.mktemp("node")) as plane, stage_on(plane, FILES, Telling()) as stage:
        mesh = Mesh(stage, API_PORT, plane.directory)
        mesh.run(f"helm install -f values.yaml --set controller.enabled=false --wait {CHART}")
        mesh.greetings()
        yield mesh


test_a_job = jobs.test_a_job_calls_at_once_and_completes
test_a_refusal = injection.test_what_cannot_work_is_told_to_whoever_creates_the_pod
test_a_rolling_restart = interruptions.test_a_rolling_restart_costs_no_request
test_creating_pods_meanwhile = injection.test_a_rolling_restart_of_the_injector_fails_no_creation
test_several_ports_of_a_service = several_ports.test_every_port_of_a_service_leads_to_its_own_port_of_the_pod
test_the_classic_layout = injection.test_the_classic_layout_reaches_its_upstreams_without_redirection


def hello(mesh: Mesh, host: str) -> str:
    """What the pod `loader` hears from a host; empty if nothing."""
    ask = f"import urllib.request as http; print(http.urlopen('http://{host}:8080/hello').read().decode())"
    return mesh.ask(f'kubectl exec loader -c loader -- python3 -c "{ask}"').stdout.strip()


def test_each_pod_of_a_stateful_set_is_dialled_by_its_own_name(mesh: Mesh) -> None:
    with mesh.api():
        mesh.run(f"consul config write {MORE / 'dialed-directly.hcl'}")
    mesh.apply(str(MORE / "stateful.yaml"))
    mesh.rolled_out("statefulset/ledger")
    for pod in ("ledger-0", "ledger-1"):
        eventually(lambda: hello(mesh, f"{pod}.ledger") == "Hello World", f"{pod} answers")  # noqa: B023
    mesh.run(f"kubectl delete -f {MORE / 'stateful.yaml'} --now")


def test_an_upgrade_costs_no_request_and_brings_custom_resources(mesh: Mesh, tmp_path: Path) -> None:
    with mesh.calls() as calls:
        mesh.run(f"helm upgrade -f values.yaml {UPGRADED} --wait {CHART}")
        calls.go_on()
    assert calls.failures == []
    resources = tmp_path / "resources.yaml"
    resources.write_text(RESOURCES)
    mesh.apply(str(resources))
    for kind in ("servicedefaults", "serviceintentions"):
        mesh.run(f"kubectl wait --for=condition=Synced {kind}/greeting --timeout=60s")
    eventually(lambda: hello(mesh, "greeting") == "", "the deny holds")
    mesh.run(f"kubectl delete -f {resources}")
    eventually(lambda: hello(mesh, "greeting") == "Hello World", "the deny is gone")
    mesh.apply(str(resources))


def test_the_charts_own_test_passes(mesh: Mesh) -> None:
    assert "Succeeded" in mesh.run("helm test consul")


def test_uninstalling_leaves_no_custom_resource_and_no_webhook(mesh: Mesh) -> None:
    mesh.run("helm uninstall consul")
    kinds = "mutatingwebhookconfigurations,deployments,statefulsets,services"
    left = mesh.run(f"kubectl get {kinds} -l app=consul -o name")
    assert left == ""
    assert mesh.ask("kubectl get serviceintentions").returncode != 0
