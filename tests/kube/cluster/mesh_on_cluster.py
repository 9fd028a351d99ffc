"""A mesh on a local cluster, as a user has it: installed with Helm, driven by kubectl and our commands."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pellucid.demo.stage import Program, Stage, free_port
from pellucid.demo.telling import Telling
from pellucid.demo.toolbox import prepare
from pellucid.localkube.cluster.definition import API_PORT
from pellucid.localkube.cluster.server_process import running_server

T = TypeVar("T")

PATIENCE_S = 60.0
FILES = Path(__file__).with_name("manifests")
NAME = "mesh-tests"


def eventually(look: Callable[[], T], what: str, within: float = PATIENCE_S) -> T:
    """The first true value; how long it takes is no assertion."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.1)
    return found


class Mesh:
    """What tests do with it. clusters: the directory of the local clusters, its own among them."""

    def __init__(self, stage: Stage, port: int, clusters: Path) -> None:
        self.stage, self.port, self._clusters = stage, port, clusters

    def run(self, command: str) -> str:
        """A shell command that has to succeed; what it prints."""
        return self.stage.run(command)

    def ask(self, command: str) -> subprocess.CompletedProcess[str]:
        """A shell command that may fail."""
        return self.stage.ask(command)

    def apply(self, manifest: str) -> None:
        """Have the cluster hold a manifest of the folder."""
        self.run(f"kubectl apply -f {manifest}")

    def get(self, what: str) -> Any:
        """Objects, as JSON."""
        return json.loads(self.ask(f"kubectl get {what} -o json").stdout or "{}")

    def greetings(self) -> None:
        """Two pods that greet, and one, `loader`, that calls them; the programs of all pods of the tests."""
        self.run("kubectl create configmap programs --from-file=calls.py --from-file=probed.py")
        self.apply("greeting.yaml")
        self.rolled_out("deployment/greeting")
        self.ready("loader")

    def ready(self, *pods: str) -> None:
        """Wait until pods are ready."""
        for pod in pods:
            self.run(f"kubectl wait --for=condition=Ready pod/{pod} --timeout=90s")

    def rolled_out(self, what: str) -> None:
        """Wait until a deployment or stateful set is as it should be."""
        self.run(f"kubectl rollout status {what} --timeout=120s")

    @contextmanager
    def api(self) -> Iterator[str]:
        """The way to the server's HTTP API, as long as the block lasts: its address."""
        forward = f"kubectl port-forward consul-consul-server-0 {self.port}:8500"
        with self.stage.program(forward) as tunnel:
            tunnel.wait_for(lambda line: line.startswith("Forwarding"))
            yield f"http://127.0.0.1:{self.port}"

    def restarts(self) -> dict[str, int]:
        """How often containers were started anew, for each pod."""
        return {
            pod["metadata"]["name"]: sum(
                each["restartCount"]
                for kind in ("initContainerStatuses", "containerStatuses")
                for each in pod["status"].get(kind, ())
            )
            for pod in self.get("pods")["items"]
        }

    def restarted_since(self, before: Mapping[str, int]) -> list[str]:
        """The pods that were there before and still are, a container of which was started anew meanwhile."""
        now = self.restarts()
        return [pod for pod, count in before.items() if now.get(pod, count) != count]

    @contextmanager
    def without_api_server(self) -> Iterator[None]:
        """As long as the block lasts, no pod reaches the API server, nor hears of it: packets are lost.

        The kubelet, cluster DNS and whoever runs kubectl on this machine have other ways to it.
        """
        server = running_server(self._clusters / NAME)
        assert server is not None
        address = self.get("service kubernetes")["spec"]["clusterIP"]
        rules = (
            f"PREROUTING --protocol tcp --destination {address} --jump DROP",
            f"OUTPUT --protocol tcp --source-port {API_PORT} --jump DROP",
        )
        with ExitStack() as undo:
            for rule in rules:
                change = f"nsenter --target {server.pid} --net iptables --wait --table raw"
                self.run(f"{change} --append {rule}")
                undo.callback(self.run, f"{change} --delete {rule}")
            yield

    @contextmanager
    def calls(self) -> Iterator[Calls]:
        """Twenty requests a second from the pod `loader`, as long as the block lasts."""
        with self.stage.program("kubectl exec loader -c loader -- python3 /programs/calls.py") as program:
            program.wait_for(lambda line: line.startswith("ok"), seconds=30)
            calls = Calls(program)
            yield calls
        if calls.failures:
            self.run("kubectl logs --timestamps --since=2m loader -c envoy-sidecar")
            self.run("kubectl logs --timestamps --since=2m -l app=greeting -c envoy-sidecar")


def rotate_root(address: str, bits: int) -> None:
    """By another length of key; a root that has it already stays. address: of the server's HTTP API."""
    configuration = {"Provider": "consul", "Config": {"PrivateKeyType": "ec", "PrivateKeyBits": bits}}
    request = urllib.request.Request(
        f"{address}/v1/connect/ca/configuration", json.dumps(configuration).encode(), method="PUT"
    )
    urllib.request.urlopen(request)


class Calls:
    """The lines of `calls.py`: `ok`, or what went wrong."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def go_on(self) -> None:
        """Wait for one more that succeeds."""
        self._program.wait_for(lambda line: line.startswith("ok"), after=time.monotonic(), seconds=30)

    @property
    def failures(self) -> list[str]:
        """What was not `ok`."""
        return [line.text for line in self._program.lines if not line.text.startswith("ok")]


@contextmanager
def mesh_on_cluster(directory: Path, values: str = "") -> Iterator[Mesh]:
    """Create a cluster, install the mesh, and remove all of it with the block. values: further Helm flags."""
    port = free_port(0)
    environment = {
        "PATH": prepare(directory / "bin"),
        "KUBECONFIG": str(directory / "kubeconfig"),
        "CONSUL_HTTP_ADDR": f"127.0.0.1:{port}",
        "PELLUCID_CLUSTERS_DIRECTORY": str(directory / "clusters"),
    }
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(Telling(), environment, FILES))
        stack.callback(stage.run, f"kind delete cluster --name {NAME}")
        stage.run(f"kind create cluster --name {NAME}")
        stage.run(f"helm install -f values.yaml {values} --wait consul hashicorp/consul")
        yield Mesh(stage, port, directory / "clusters")
