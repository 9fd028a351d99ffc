"""The mesh on one machine: two unmodified programs, and what intentions do to the traffic between them.

Every claim is looked at: the client's own lines, Envoy's own counters and certificates, the exit code of a
real `curl`. A claim that does not hold is said and makes the demo fail.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pellucid.dataplane.run.settings import INBOUND_PORT
from pellucid.demo import outside
from pellucid.demo.evidence import address_in, counters, envoy_below, presented_names
from pellucid.demo.hello_lines import says_error, says_hello, time_to
from pellucid.demo.stage import Program, Stage, examples, free_port
from pellucid.demo.telling import Telling
from pellucid.demo.told import told
from pellucid.demo.toolbox import prepare

URL = "http://hello.virtual.consul:8080/hello"
INTERVAL = "0.05"
"""Seconds between the client's requests: fast, so that what an intention does is seen when it happens."""
PAUSE_SECONDS = 0.25
"""Between the client's lines that are shown; the client prints many more."""
WATCHED_SECONDS = 1.0


def run_one_machine(telling: Telling, *, online: bool = False) -> int:
    """Tell the story; returns 0 if every step did what it says."""
    return told(telling, lambda: _tell(telling, online=online))


def _tell(telling: Telling, *, online: bool) -> None:
    http, grpc, dns = free_port(8500), free_port(8502), free_port(8600)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pellucid-demo-")))
        authority = None if online else stack.enter_context(outside.outside(directory))
        environment = {"PATH": prepare(directory / "bin"), "CONSUL_HTTP_ADDR": f"127.0.0.1:{http}"}
        stage = stack.enter_context(Stage(telling, environment, examples("hello")))

        telling.step("1. The control plane: one process")
        agent = stage.start(
            f"pellucid agent -dev -log-level=warn -http-port={http} -grpc-port={grpc} -dns-port={dns}"
        )
        agent.wait_for(lambda line: "agent running" in line)
        telling.saw("the agent runs")

        telling.step("2. Proxies are transparent by default")
        stage.run("pellucid config write defaults.hcl")

        telling.step("3. Two programs that know nothing of a mesh, each with a sidecar around it")
        server = stage.start("pellucid run -service=hello -port=8080 -- python3 hello_server.py")
        client = stage.start(
            f"pellucid run -service=hello-client -- python3 hello_client.py --interval {INTERVAL}"
        )
        first = client.wait_for(says_hello, seconds=30)
        telling.output(first.text)
        telling.saw("the client reaches the server by name, through both sidecars")
        _show_the_mesh(telling, client, server)

        telling.step("4. Nobody may call anybody")
        blocked = time_to(stage, client, says_error, 'pellucid intention create -deny "*" "*"')
        telling.saw(f"requests fail; the first one {blocked:.0f} ms after the command was started")
        _stays(telling, client, says_error, "and every request after it fails")

        telling.step("5. The client may call the server")
        resumed = time_to(stage, client, says_hello, "pellucid intention create hello-client hello")
        telling.saw(f"requests succeed; the first one {resumed:.0f} ms after the command was started")
        _stays(telling, client, says_hello, "and every request after it succeeds")

        telling.step("6. What is outside the mesh is still reached")
        _call_outside(telling, stage, authority)


def _show_the_mesh(telling: Telling, client: Program, server: Program) -> None:
    envoys = {"client": envoy_below(client.pid), "server": envoy_below(server.pid)}
    out = counters(envoys["client"], "cluster.hello.*.ssl.handshake")
    into = counters(envoys["server"], "listener.*20000.ssl.handshake")
    telling.output("\n".join(f"client's Envoy  {name}: {value}" for name, value in out.items()))
    telling.output("\n".join(f"server's Envoy  {name}: {value}" for name, value in into.items()))
    telling.saw("both Envoys count mutual-TLS handshakes", true=any(out.values()) and any(into.values()))
    names = presented_names(envoys["client"], address_in(envoys["server"]), INBOUND_PORT)
    telling.output("\n".join(f"certificate shown on port {INBOUND_PORT}  {name}" for name in names))
    telling.saw(
        "the server's sidecar proves who it is", true=any(name.endswith("/svc/hello") for name in names)
    )


def _stays(telling: Telling, client: Program, wanted: Callable[[str], bool], fact: str) -> None:
    settled = time.monotonic() + PAUSE_SECONDS
    while time.monotonic() < settled + WATCHED_SECONDS:
        time.sleep(PAUSE_SECONDS)
        telling.output("\n".join(client.since(settled)[-1:]))
    lines = client.since(settled)
    telling.saw(f"{fact} ({len(lines)} in a row)", true=bool(lines) and all(map(wanted, lines)))


def _call_outside(telling: Telling, stage: Stage, authority: Path | None) -> None:
    options = "" if authority is None else f" -host={outside.NAME}={outside.ADDRESS}"
    environment = {} if authority is None else {"CURL_CA_BUNDLE": str(authority)}
    curl_command = f"curl --silent --show-error --max-time 15 https://{outside.NAME}"
    with stage.program(f"pellucid run -service=hello-client{options} -- {curl_command}", environment) as curl:
        code = curl.process.wait(45)
        answer = "\n".join(line.text for line in curl.lines)
        telling.output(answer[:400])
        expected = "Example Domain" if authority is None else outside.GREETING
        telling.saw("curl got its answer through the sidecar", true=code == 0 and expected in answer)
