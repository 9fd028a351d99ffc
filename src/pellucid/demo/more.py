"""What the walkthrough leaves out: other names, other ways to dial, other protocols, other families.

One mesh in which every pod of it is redirected, and one scene for each thing that meshes are blamed for not
doing. Each scene applies its own file, calls as an application would, and looks at what came back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pellucid.demo.cluster_stage import ROLLOUT, Wishes, on_a_cluster
from pellucid.demo.pod_evidence import counters
from pellucid.demo.stage import DidNotHappen, Stage, examples
from pellucid.demo.telling import Telling
from pellucid.demo.told import told
from pellucid.demo.traces import CLUSTER

GREETING = "Hello World"
_CURL = "curl --silent --show-error --max-time 5"
_TRIES_SECONDS = 10.0


def run_more(telling: Telling, wishes: Wishes) -> int:
    """Tell it; returns 0 if every scene did what it says."""

    def tell() -> None:
        with on_a_cluster(telling, wishes, examples("more")) as (stage, port):
            _More(telling, stage, port).tell()

    return told(telling, tell, keep=wishes.keep)


class _More:
    """The scenes, in order; they stand on one another only in what is named `caller` and `greeting`."""

    def __init__(self, telling: Telling, stage: Stage, port: int) -> None:
        self._telling, self._stage, self._port = telling, stage, port

    def tell(self) -> None:
        """Raises DidNotHappen when a scene cannot go on."""
        self._set_the_scene()
        for scene in (
            self._names_that_differ,
            self._pod_addresses,
            self._stateful_set,
            self._job,
            self._explicit_upstream,
            self._two_namespaces,
            self._databases,
            self._grpc,
            self._ipv6,
            self._deny_from_the_start,
        ):
            scene()

    def _set_the_scene(self) -> None:
        telling, stage = self._telling, self._stage
        telling.step("A mesh in which every pod is redirected, and a pod to call from")
        stage.run(f"kind create cluster --name {CLUSTER}")
        stage.run("helm install -f values.yaml --wait consul hashicorp/consul")
        forward = f"kubectl port-forward consul-consul-server-0 {self._port}:8500"
        telling.output(stage.start(forward).wait_for(lambda line: line.startswith("Forwarding")).text)
        stage.run("consul config write dialed-directly.hcl")
        stage.run("kubectl apply -f caller.yaml")
        self._ready("caller")

    def _names_that_differ(self) -> None:
        self._telling.step("The Service is `greeting` on port 80, the mesh service `hello` on port 8080")
        self._stage.run("kubectl apply -f other-name.yaml")
        self._stage.run(ROLLOUT.format("greeter"))
        self._hears_greeting("caller", "http://greeting/hello", "by a name that is not the mesh's")
        counted = counters(self._stage, "caller", r"cluster\.hello\..*ssl\.handshake")
        self._telling.saw("the caller's sidecar counts mutual-TLS handshakes", true=any(counted.values()))

    def _pod_addresses(self) -> None:
        self._telling.step("A pod dialled by its own address")
        look = "kubectl get pods -l app=greeter -o jsonpath='{.items[0].status.podIP}'"
        address = self._stage.ask(look).stdout
        self._hears_greeting("caller", f"http://{address}:8080/hello", "at the pod's address, by mutual TLS")

    def _stateful_set(self) -> None:
        self._telling.step("A StatefulSet behind a headless Service")
        self._stage.run("kubectl apply -f stateful.yaml")
        self._stage.run("kubectl rollout status statefulset/ledger --timeout=90s")
        for name in ("ledger-0.ledger", "ledger-1.ledger"):
            self._hears_greeting("caller", f"http://{name}:8080/hello", f"from {name}")

    def _job(self) -> None:
        self._telling.step("A Job ends, although it has a sidecar")
        self._stage.run("kubectl apply -f job.yaml")
        self._stage.run("kubectl wait --for=condition=Complete job/once --timeout=60s")
        said = self._stage.run("kubectl logs job/once -c once")
        self._telling.saw("it got its answer through the mesh, and is complete", true=GREETING in said)

    def _explicit_upstream(self) -> None:
        self._telling.step("An explicit upstream beside inferred ones")
        self._stage.run("kubectl apply -f explicit.yaml")
        self._ready("explicit")
        self._hears_greeting("explicit", "http://localhost:1234/hello", "at the port the pod's author chose")
        self._hears_greeting("explicit", "http://greeting/hello", "and by the Service's name")

    def _two_namespaces(self) -> None:
        self._telling.step("From another namespace")
        self._stage.run("kubectl apply -f other-namespace.yaml")
        self._ready("basket", "-n shop")
        self._hears_greeting("basket", "http://greeting.default/hello", "from namespace shop", "-n shop")

    def _databases(self) -> None:
        self._telling.step("Redis and PostgreSQL")
        self._stage.run("kubectl apply -f databases.yaml")
        for pod in ("redis", "postgres", "clerk"):
            self._ready(pod)
        self._says("clerk", "redis-cli -h redis PING", "PONG", "redis answers through the mesh")
        query = 'psql -h postgres -U postgres -tAc "select 6 * 7"'
        self._says("clerk", query, "42", "PostgreSQL answers through the mesh")

    def _grpc(self) -> None:
        self._telling.step("A gRPC service that streams")
        self._stage.run("kubectl create configmap greetings --from-file=greetings.py")
        self._stage.run("consul config write grpc-protocol.hcl")
        self._stage.run("kubectl apply -f grpc.yaml")
        for pod in ("greetings", "greeted"):
            self._ready(pod)
        call = "python3 /programs/greetings.py call greetings:9000 1000"
        self._says("greeted", call, "1000 messages", "a thousand messages of one call came through")

    def _ipv6(self) -> None:
        self._telling.step("By an IPv6 address")
        self._stage.run("kubectl apply -f ipv6.yaml")
        self._stage.run("kubectl get service greeting-six -o jsonpath='{.spec.clusterIPs}'")
        self._hears_greeting("caller", "http://greeting-six/hello", "at the Service's IPv6 address")

    def _deny_from_the_start(self) -> None:
        telling, stage = self._telling, self._stage
        telling.step("A pod that starts while nobody may call anybody is reached at no moment")
        stage.run('consul intention create -deny "*" "*"')
        stage.run("kubectl apply -f guarded.yaml")
        address = _until(lambda: _address_of(stage, "guarded"), "the pod has an address")
        dialled, reached = 0, 0
        ready_at = float("inf")
        while time.monotonic() < ready_at + 3:
            done = stage.ask(
                f"kubectl exec caller -c caller -- {_CURL} --max-time 1 http://{address}:8080/hello"
            )
            dialled, reached = dialled + 1, reached + (GREETING in done.stdout)
            if ready_at == float("inf") and _is_ready(stage, "guarded"):
                ready_at = time.monotonic()
        fact = f"dialled {dialled} times from its first address on until after it was ready: never reached"
        telling.saw(fact, true=reached == 0)

    def _ready(self, pod: str, where: str = "") -> None:
        self._stage.run(
            f"kubectl wait {where} --for=condition=Ready pod/{pod} --timeout=90s".replace("  ", " ")
        )

    def _hears_greeting(self, pod: str, url: str, fact: str, where: str = "") -> None:
        self._says(pod, f"{_CURL} {url}", GREETING, f"the greeting comes {fact}", where)

    def _says(self, pod: str, command: str, expected: str, fact: str, where: str = "") -> None:
        """Run a command in a pod and look for what it should print, again for a while if it does not."""
        typed = f"kubectl exec {where} {pod} -c {pod} -- {command}".replace("  ", " ")
        self._telling.command(typed)
        done = self._stage.ask(typed)
        deadline = time.monotonic() + _TRIES_SECONDS
        while expected not in done.stdout and time.monotonic() < deadline:
            time.sleep(0.3)
            done = self._stage.ask(typed)
        self._telling.output((done.stdout + done.stderr)[:400])
        self._telling.saw(fact, true=expected in done.stdout)


def _address_of(stage: Stage, pod: str) -> str:
    return stage.ask(f"kubectl get pod {pod} -o jsonpath='{{.status.podIP}}'").stdout


def _is_ready(stage: Stage, pod: str) -> bool:
    return stage.ask(f"kubectl wait --for=condition=Ready pod/{pod} --timeout=0s").returncode == 0


def _until(look: Callable[[], str], what: str, seconds: float = 30.0) -> str:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise DidNotHappen(f"not within {seconds:.0f} seconds: {what}")
        time.sleep(0.05)
    return found
