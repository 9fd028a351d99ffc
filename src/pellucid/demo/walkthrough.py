"""The walkthrough on Kubernetes: two unmodified workloads become a mesh, command by command.

Every command is what a reader would type, in the folder of the files it names: `kind`, `kubectl`, `helm` and
`consul`. After each one the story looks at what the text promises: the client's own lines, both Envoys'
counters, who can dial whom. A promise that does not hold is said and makes the demo fail.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

from pellucid.demo.cluster_stage import OUTSIDE, ROLLOUT, Wishes, on_a_cluster
from pellucid.demo.hello_lines import says_error, says_hello, time_to
from pellucid.demo.pod_evidence import as_text, counters, endpoints, listeners_changed, until
from pellucid.demo.stage import DidNotHappen, Program, Stage, examples
from pellucid.demo.telling import Telling
from pellucid.demo.told import told
from pellucid.demo.traces import CLUSTER

CALL_SECONDS = 2.0
"""The client calls every two seconds."""
BRIEF = 2
"""Calls that may fail while a pod is replaced: what the walkthrough calls a brief interruption."""
LOGS = 'kubectl logs -f -l "app=hello-client" -c hello-client'


def run_walkthrough(telling: Telling, wishes: Wishes) -> int:
    """Tell the story; returns 0 if every step did what it says."""

    def tell() -> None:
        with on_a_cluster(telling, wishes, wishes.files or examples("hello")) as (stage, port):
            walk_through(telling, stage, port)

    return told(telling, tell, keep=wishes.keep)


def walk_through(telling: Telling, stage: Stage, port: int) -> None:
    """The commands alone, on a stage whose `kind` may be any cluster's.

    port: of this machine, for the way to the mesh's API. Raises DidNotHappen when a step cannot go on.
    """
    _Walkthrough(telling, stage, port).tell()


class _Walkthrough:
    """The steps, in order."""

    def __init__(self, telling: Telling, stage: Stage, port: int) -> None:
        self._telling, self._stage, self._port = telling, stage, port

    def tell(self) -> None:
        """Raises DidNotHappen when a step cannot go on."""
        self._without_a_mesh()
        with self._install():
            self._server_gets_a_sidecar()
            self._client_is_redirected()
            self._server_is_redirected()
            with self._stage.program(LOGS) as client:
                self._greetings_come(client)
                self._deny(client)
                self._allow(client)
            self._call_outside()

    def _without_a_mesh(self) -> None:
        telling, stage = self._telling, self._stage
        telling.step("1. A cluster")
        stage.run(f"kind create cluster --name {CLUSTER}")
        telling.step("2. Two programs that know nothing of a mesh")
        stage.run("kubectl apply -f deployments/")
        stage.run(ROLLOUT.format("hello"))
        stage.run(ROLLOUT.format("hello-client"))
        telling.step("3. They talk, by the name that cluster DNS gives the server")
        with stage.program(LOGS) as client:
            self._greetings_come(client)

    def _install(self) -> ExitStack:
        """Install the mesh and open the way to its API; the way is closed when the result is."""
        telling, stage = self._telling, self._stage
        telling.step("4. Install the mesh")
        stage.run('helm install -f helm-consul-values.yaml consul hashicorp/consul --version "0.31.0"')
        stage.run("kubectl wait --for=condition=Ready pods --all --timeout=90s")
        stage.run("kubectl get pods")
        telling.saw("every pod is ready")
        telling.step("5. The way to its API")
        with ExitStack() as stack:
            forward = f"kubectl port-forward consul-consul-server-0 {self._port}:8500"
            tunnel = stack.enter_context(stage.program(forward))
            telling.output(tunnel.wait_for(lambda line: line.startswith("Forwarding from")).text)
            telling.step("6. Proxies are transparent by default")
            stage.run("consul config write defaults.hcl")
            return stack.pop_all()
        raise AssertionError

    def _server_gets_a_sidecar(self) -> None:
        telling = self._telling
        telling.step("7. A sidecar beside the server; nothing is redirected yet")
        self._patch_under_way("hello", "server-1")
        telling.saw("the server is still reached directly", true=self._dials_directly("hello-client"))

    def _client_is_redirected(self) -> None:
        telling, stage = self._telling, self._stage
        telling.step("8. A sidecar at the client, and the kernel hands the client's traffic to it")
        self._patch("hello-client", "client")
        with stage.program(LOGS) as client:
            self._greetings_come(client)
        self._both_envoys_count()

    def _server_is_redirected(self) -> None:
        telling, stage = self._telling, self._stage
        telling.step("9. The kernel hands the server's traffic to its sidecar, too")
        self._patch_under_way("hello", "server-2")
        stage.run("kubectl get pods")
        telling.step("10. They still talk, and nobody gets around the server's proxy")
        address = self._server_address()
        dial = (
            "kubectl run outsider --image=curlimages/curl --restart=Never --rm --attach --quiet --command -- "
            f"curl --silent --show-error --max-time 5 http://{address}:8080/hello"
        )
        telling.command(dial)
        done = stage.ask(dial)
        telling.output(done.stdout + done.stderr)
        refused = done.returncode != 0 and "Hello World" not in done.stdout
        telling.saw("a pod outside the mesh that dials the server's address is refused", true=refused)

    def _deny(self, client: Program) -> None:
        telling, stage = self._telling, self._stage
        telling.step("11. Nobody may call anybody")
        started = time.time()
        blocked = time_to(stage, client, says_error, 'consul intention create -deny "*" "*"')
        self._took_effect(started)
        telling.saw(f"requests fail; the first one {blocked / 1000:.1f} s after the command was started")
        until(lambda: not endpoints(stage, "deployment/hello-client", "hello"))
        telling.saw("the client's proxy knows no endpoint of the server any more")

    def _allow(self, client: Program) -> None:
        telling, stage = self._telling, self._stage
        telling.step("12. The client may call the server")
        started = time.time()
        resumed = time_to(stage, client, says_hello, "consul intention create hello-client hello")
        self._took_effect(started)
        telling.saw(f"requests resume; the first one {resumed / 1000:.1f} s after the command was started")
        known = endpoints(stage, "deployment/hello-client", "hello")
        telling.output("\n".join(f"client's Envoy  hello: {address}" for address in known))
        telling.saw("the client's proxy has gained the server's endpoints", true=bool(known))

    def _took_effect(self, started: float) -> None:
        """The client calls too seldom to show how soon; the server's Envoy knows."""
        after_ms = (listeners_changed(self._stage, "deployment/hello") - started) * 1000
        said = f"the server's proxy had the new rule {after_ms:.0f} ms after the command was started"
        self._telling.saw(said, true=after_ms > 0)

    def _call_outside(self) -> None:
        telling, stage = self._telling, self._stage
        telling.step("13. What is outside the mesh is still reached")
        command = f"kubectl exec deployment/hello-client -- curl https://{OUTSIDE}"
        telling.command(command)
        done = stage.ask(command)
        telling.output(done.stdout[:400])
        telling.saw(
            "curl got its answer through the sidecar", true=done.returncode == 0 and bool(done.stdout)
        )

    def _patch(self, deployment: str, patch: str) -> None:
        """Patch, wait for the new pod, and say how long the client was without an answer, if it was."""
        started = time.monotonic()
        self._stage.run(f'kubectl patch deployment {deployment} -p "$(cat ./patches/{patch}.yaml)"')
        self._stage.run(ROLLOUT.format(deployment))
        self._telling.saw(f"the new pod has taken over, {time.monotonic() - started:.1f} s after the patch")

    def _patch_under_way(self, deployment: str, patch: str) -> None:
        """Patch while the client goes on calling, and say how many of its calls failed."""
        with self._stage.program(LOGS) as client:
            client.wait_for(says_hello, seconds=20)
            patched = time.monotonic()
            self._patch(deployment, patch)
            client.wait_for(says_hello, after=time.monotonic() + CALL_SECONDS, seconds=30)
            lines = client.since(patched)
        failed = sum(map(says_error, lines))
        fact = f"{failed} of the client's {len(lines)} calls since the patch failed, and the last one did not"
        self._telling.saw(fact, true=failed <= BRIEF)

    def _greetings_come(self, client: Program) -> None:
        """Two greetings in a row, with errors before them only where a pod has just been replaced."""
        first = client.wait_for(says_hello, seconds=20)
        second = client.wait_for(lambda line: says_hello(line) or says_error(line), after=first.at + 0.5)
        self._telling.output(f"{first.text}\n{second.text}")
        self._telling.saw('the client gets "Hello World"', true=says_hello(second.text))

    def _both_envoys_count(self) -> None:
        out = counters(self._stage, "deployment/hello-client", r"cluster\.hello\..*ssl\.handshake")
        into = counters(self._stage, "deployment/hello", r"listener\..*20000\.ssl\.handshake")
        self._telling.output(as_text("client's Envoy", out) + "\n" + as_text("server's Envoy", into))
        both = any(out.values()) and any(into.values())
        self._telling.saw("both Envoys count mutual-TLS handshakes", true=both)

    def _dials_directly(self, deployment: str) -> bool:
        command = (
            f"kubectl exec deployment/{deployment} -- "
            f"curl --silent --show-error --max-time 5 http://{self._server_address()}:8080/hello"
        )
        self._telling.command(command)
        done = self._stage.ask(command)
        self._telling.output(done.stdout + done.stderr)
        return done.returncode == 0 and done.stdout.strip() == "Hello World"

    def _server_address(self) -> str:
        """The address of the server's one running pod."""
        look = "kubectl get endpoints hello -o jsonpath='{.subsets[*].addresses[*].ip}'"
        until(lambda: len(self._stage.ask(look).stdout.split()) == 1)
        addresses = self._stage.ask(look).stdout.split()
        if len(addresses) != 1:
            raise DidNotHappen(f"the Service hello has the addresses {addresses}")
        return addresses[0]
