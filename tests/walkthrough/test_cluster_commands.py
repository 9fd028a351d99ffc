"""The walkthrough's kubectl commands, as written, on the original files, with the oldest and newest kubectl.

There is no mesh here: these are the commands that any Kubernetes cluster must take.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from pellucid.demo.hello_lines import says_hello
from pellucid.demo.stage import Stage, free_port
from pellucid.demo.telling import Telling
from pellucid.demo.toolbox import prepare
from tests.kubectls import NEWEST, OLDEST, kubectl
from tests.walkthrough.walkthrough_files import originals

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture(scope="module", params=[NEWEST, OLDEST])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A shell in the walkthrough's folder, with a cluster on which its deployments run."""
    files, tool = originals(), kubectl(request.param)
    directory = tmp_path_factory.mktemp("commands")
    path = prepare(directory / "bin")
    (directory / "bin" / "kubectl").unlink()
    (directory / "bin" / "kubectl").symlink_to(tool)
    environment = {
        "PATH": path,
        "KUBECONFIG": str(directory / "kubeconfig"),
        "PELLUCID_CLUSTERS_DIRECTORY": str(directory / "clusters"),
    }
    with Stage(Telling(), environment, files) as stage:
        try:
            stage.run("kind create cluster --name tproxy")
            stage.run("kubectl apply -f deployments/")
            for deployment in ("hello", "hello-client"):
                stage.run(f"kubectl rollout status deployment/{deployment} --timeout=60s")
            yield stage
        finally:
            stage.run("kind delete cluster --name tproxy")


def test_the_context_is_set_and_what_was_applied_is_there(stage: Stage) -> None:
    assert stage.run("kubectl config current-context") == "kind-tproxy\n"
    shown = stage.run("kubectl get pods")
    assert re.match(r"NAME +READY +STATUS +RESTARTS +AGE\n", shown)
    assert re.search(r"^hello-[0-9a-z]+-\w+ +1/1 +Running +0 ", shown, re.MULTILINE)
    assert re.search(r"^hello-client-[0-9a-z]+-\w+ +1/1 +Running +0 ", shown, re.MULTILINE)
    assert "unchanged" in stage.run("kubectl apply -f deployments/")


def test_the_clients_lines_are_followed(stage: Stage) -> None:
    with stage.program('kubectl logs -f -l "app=hello-client" -c hello-client') as client:
        first = client.wait_for(says_hello)
        second = client.wait_for(says_hello, after=first.at + 0.5)
    assert "http://hello.default.svc.cluster.local:8080/hello says: Hello World" in second.text


def test_a_command_runs_in_a_deployments_pod(stage: Stage) -> None:
    said = stage.run("kubectl exec deployment/hello-client -- curl -s http://hello:8080/hello")
    assert said == "Hello World\n"


def test_a_pods_port_is_forwarded(stage: Stage) -> None:
    name = stage.run("kubectl get pods -l app=hello -o jsonpath='{.items[0].metadata.name}'")
    port = free_port(0)
    with stage.program(f"kubectl port-forward {name} {port}:8080") as tunnel:
        tunnel.wait_for(lambda line: line.startswith("Forwarding from 127.0.0.1"))
        curl = ["curl", "-s", f"http://127.0.0.1:{port}/hello"]
        assert subprocess.run(curl, capture_output=True, text=True, check=True).stdout == "Hello World\n"


@pytest.mark.parametrize(
    ("deployment", "patch"), [("hello", "server-1"), ("hello-client", "client"), ("hello", "server-2")]
)
def test_a_deployment_is_patched(stage: Stage, deployment: str, patch: str) -> None:
    said = stage.run(f'kubectl patch deployment {deployment} -p "$(cat ./patches/{patch}.yaml)"')
    assert said == f"deployment.apps/{deployment} patched\n"
    stage.run(f"kubectl rollout status deployment/{deployment} --timeout=60s")
    containers = "{.spec.template.spec.initContainers[*].name}"
    shown = stage.run(f"kubectl get deployment {deployment} -o jsonpath='{containers}'")
    assert shown == ("" if patch == "server-1" else "kuma-init")


def test_the_patches_are_the_files_bytes(stage: Stage) -> None:
    """What the shell hands over is what the file says, empty arguments included."""
    arguments = "{.spec.template.spec.initContainers[0].args}"
    shown = stage.run(f"kubectl get deployment hello -o jsonpath='{arguments}'")
    assert '"-d","","-o",""' in shown.replace(", ", ",")
