"""The sidecar process in a pod's network namespace: the real agent over TLS, the real Envoy."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pellucid.dataplane.namespace.listening import is_listening
from pellucid.demo.stage import Program
from tests.agent.kubernetes.cluster_api_server import ClusterApiServer
from tests.agent.kubernetes.test_agent_as_pod import POD, REGISTRAR, PodAgent
from tests.kube.pod.pod_process import Pod, new_pod
from tests.mesh.mesh import PATIENCE_S, eventually, stop_with

pytestmark = pytest.mark.root

SCRAPE_PORT, MERGED_PORT, APPLICATION_PORT = 20200, 20100, 9102
METRICS = (
    f"-prometheus-bind-addr=0.0.0.0:{SCRAPE_PORT}",
    f"-merged-metrics-port={MERGED_PORT}",
    f"-service-metrics-port={APPLICATION_PORT}",
)
COUNTING = f"""
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"greetings_total 7\\n")
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", {APPLICATION_PORT}), Handler)
print("there")
server.serve_forever()
"""
MOST_MEMORY = 32 << 20


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ClusterApiServer]:
    directory = tmp_path / "account"
    directory.mkdir()
    with ClusterApiServer(directory) as api:
        api.knows(POD, "shop:default", pod=("hello-1", "uid-1"))
        api.knows(REGISTRAR, "mesh:injector", pod=None)
        yield api


@pytest.fixture
def agent(api: ClusterApiServer, tmp_path: Path) -> PodAgent:
    """A server that does not run yet."""
    data = tmp_path / "agent"
    data.mkdir()
    return PodAgent(api, data)


@pytest.fixture
def pod(agent: PodAgent) -> Iterator[Pod]:
    """Its server runs once, so that there is an authority to trust."""
    with agent.running():
        assert agent.authority
    with new_pod(agent, POD) as pod:
        yield pod


def envoy_of(sidecar: Program) -> psutil.Process:
    (envoy,) = psutil.Process(sidecar.pid).children()
    return envoy


def is_ready(pod: Pod) -> bool:
    return pod.get("/ready")[0] == 200


def test_a_pod_waits_for_its_registration_and_then_serves(agent: PodAgent, pod: Pod) -> None:
    with agent.running(), pod.sidecar(*METRICS) as sidecar, pod.application(COUNTING):
        eventually(lambda: pod.get("/ready") == (503, "waiting for the login\n"), "it says what it waits for")
        assert pod.get("/healthz")[0] == 200
        agent.register("uid-1")
        sidecar.wait_for(lambda line: "logged in as hello-1-hello-sidecar-proxy" in line, seconds=PATIENCE_S)
        eventually(lambda: is_ready(pod), "it is ready")
        for path, port in (
            ("/metrics", 21000),
            ("/stats/prometheus", MERGED_PORT),
            ("/metrics", SCRAPE_PORT),
        ):
            status, text = pod.get(path, port)
            assert status == 200
            assert "greetings_total 7" in text
            assert "envoy_server_live" in text
        credential = _credential(envoy_of(sidecar))
        for process in (psutil.Process(sidecar.pid), envoy_of(sidecar)):
            assert credential not in " ".join(process.cmdline())
            assert credential not in process.environ().values()
        assert credential not in "\n".join(line.text for line in sidecar.lines)
        memory = psutil.Process(sidecar.pid).memory_info()
        assert memory.rss < MOST_MEMORY


def test_saying_that_it_is_ready_costs_one_question_to_envoy(agent: PodAgent, pod: Pod) -> None:
    def questions() -> int:
        text = pod.get("/stats?filter=^http.admin.downstream_rq_total$", 19000)[1]
        return int(text.rpartition(" ")[2])

    with agent.running(), pod.sidecar():
        agent.register("uid-1")
        eventually(lambda: is_ready(pod), "it is ready")
        before = questions()
        assert all(is_ready(pod) for _ in range(20))
        assert questions() - before < 30


def test_a_servers_absence_is_survived_and_told_to_newcomers(agent: PodAgent, pod: Pod) -> None:
    with pod.sidecar() as sidecar:
        with agent.running():
            agent.register("uid-1")
            eventually(lambda: is_ready(pod), "it is ready")
        assert is_ready(pod)
        envoy_of(sidecar).kill()
        assert sidecar.process.wait(PATIENCE_S) == 1
    with pod.sidecar() as sidecar:
        sidecar.wait_for(lambda line: "shop/hello-1 waits: the server mesh-server.mesh.svc" in line)
        status, text = pod.get("/ready")
        assert (status, "connection refused" in text) == (503, True)
        with agent.running():
            eventually(lambda: is_ready(pod), "it is ready")


def test_a_credential_outlives_the_servers_restart(agent: PodAgent, pod: Pod) -> None:
    with pod.sidecar() as sidecar:
        with agent.running():
            agent.register("uid-1")
            eventually(lambda: is_ready(pod), "it is ready")
        envoy = envoy_of(sidecar)
        connected = "/stats?filter=control_plane.connected_state"
        eventually(lambda: pod.get(connected, 19000)[1].endswith(": 0\n"), "Envoy has lost its server")
        with agent.running():
            eventually(lambda: pod.get(connected, 19000)[1].endswith(": 1\n"), "Envoy has it again")
        assert envoy_of(sidecar) == envoy


def test_a_credential_that_is_of_no_use_any_more_is_replaced(agent: PodAgent, pod: Pod) -> None:
    with agent.running(), pod.sidecar() as sidecar:
        agent.register("uid-1")
        eventually(lambda: is_ready(pod), "it is ready")
        first = envoy_of(sidecar)
        for service in ("hello-1-hello-sidecar-proxy", "hello-1-hello"):
            agent.put("/v1/catalog/deregister", {"Node": "worker-virtual", "ServiceID": service}, REGISTRAR)
        agent.register("uid-1")
        sidecar.wait_for(lambda line: "another one is asked for" in line, seconds=PATIENCE_S)
        eventually(lambda: is_ready(pod) and envoy_of(sidecar) != first, "another Envoy serves")


def test_a_refusal_is_told_in_the_servers_words(agent: PodAgent, pod: Pod) -> None:
    pod.token_file.write_text("e30.e30.strange")
    with agent.running(), pod.sidecar() as sidecar:
        sidecar.wait_for(lambda line: "waits: the server refuses: Permission denied" in line)
        assert pod.get("/ready")[0] == 503
        assert stop_with(sidecar.process) == 0


def test_an_ending_pod_carries_its_applications_calls_to_the_last(agent: PodAgent, pod: Pod) -> None:
    with agent.running(), pod.sidecar("-drain-seconds=1") as sidecar:
        agent.register("uid-1")
        eventually(lambda: is_ready(pod), "it is ready")
        with pod.application(COUNTING):
            envoy = envoy_of(sidecar)
            os.kill(sidecar.pid, signal.SIGTERM)
            eventually(lambda: pod.get("/ready") == (503, "the pod ends\n"), "it says so")
            eventually(lambda: not is_listening(pod.namespace.pid, 20000), "nobody comes in any more")
            assert envoy.is_running()
        assert sidecar.process.wait(PATIENCE_S) == 0
        assert not envoy.is_running()


def test_a_sidecar_that_still_waits_ends_at_once(pod: Pod) -> None:
    with pod.sidecar() as sidecar:
        sidecar.wait_for(lambda line: "waits: the server" in line)
        assert stop_with(sidecar.process) == 0


def _credential(envoy: psutil.Process) -> str:
    """From where Envoy has it: the file in memory that only its descriptor leads to."""
    config = envoy.cmdline()[2].rpartition("/")[2]
    text = Path(f"/proc/{envoy.pid}/fd/{config}").read_text()
    return text.partition('"x-consul-token"')[2].partition('"value": "')[2].partition('"')[0]
