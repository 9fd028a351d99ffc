"""The demo's story: two unmodified programs, a mesh, and what intentions do to the traffic between them.

Every claim is looked at: the client's own lines, Envoy's own counters and certificates, the exit code of a
real `curl`. A claim that does not hold is said and makes the demo fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pellucid.dataplane.run.settings import INBOUND_PORT
from pellucid.demo import outside
from pellucid.demo.evidence import NoEnvoy, address_in, counters, envoy_below, presented_names
from pellucid.demo.stage import DidNotHappen, Program, Stage, examples, free_port
from pellucid.demo.telling import Telling

URL = "http://hello.virtual.consul:8080/hello"
INTERVAL = "0.05"
"""Seconds between the client's requests: fast, so that what an intention does is seen when it happens."""
PAUSE_SECONDS = 0.25
"""Between the client's lines that are shown; the client prints many more."""
WATCHED_SECONDS = 1.0


def says_hello(line: str) -> bool:
    """A line of the client that brings a greeting."""
    return line.endswith("says: Hello World")


def says_error(line: str) -> bool:
    """A line of the client that brings an error."""
    return "[ERR]" in line


def run_demo(*, online: bool = False) -> int:
    """Tell the story; returns 0 if every step did what it says."""
    problem = _missing()
    if problem:
        print(f"pellucid demo: {problem}", file=sys.stderr)
        return 1
    telling = Telling()
    before = _traces()
    try:
        _tell(telling, online=online)
    except (DidNotHappen, NoEnvoy, subprocess.CalledProcessError) as failure:
        telling.saw(f"this did not happen: {failure}", true=False)
    except KeyboardInterrupt:
        print("\ninterrupted; everything the demo made has been removed")
        return 130
    left = _traces() - before
    telling.step("Afterwards")
    telling.saw("no process, namespace, interface or firewall rule is left", true=not left)
    for trace in sorted(left):
        telling.output(trace)
    print(f"\n{'Every step did what it says.' if not telling.failed else 'Some steps failed.'}")
    return 1 if telling.failed else 0


def _tell(telling: Telling, *, online: bool) -> None:
    http, grpc, dns = free_port(8500), free_port(8502), free_port(8600)
    environment = {"CONSUL_HTTP_ADDR": f"127.0.0.1:{http}"}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pellucid-demo-")))
        authority = None if online else stack.enter_context(outside.outside(directory))
        stage = stack.enter_context(Stage(telling, environment))
        ports = (f"-http-port={http}", f"-grpc-port={grpc}", f"-dns-port={dns}")

        telling.step("1. The control plane: one process")
        agent = stage.start("agent", "-dev", "-log-level=warn", *ports)
        agent.wait_for(lambda line: "agent running" in line)
        telling.saw("the agent runs")

        telling.step("2. Proxies are transparent by default")
        stage.run("config", "write", str(examples() / "defaults.hcl"))

        telling.step("3. Two programs that know nothing of a mesh, each with a sidecar around it")
        server = stage.start("run", "-service=hello", "-port=8080", "--", *_hello("hello_server.py"))
        client = stage.start(
            "run", "-service=hello-client", "--", *_hello("hello_client.py", "--interval", INTERVAL)
        )
        first = client.wait_for(says_hello, seconds=30)
        telling.output(first.text)
        telling.saw("the client reaches the server by name, through both sidecars")
        _show_the_mesh(telling, client, server)

        telling.step("4. Nobody may call anybody")
        blocked = _time_to(telling, client, says_error, stage, "intention", "create", "-deny", "*", "*")
        telling.saw(f"requests fail; the first one {blocked:.0f} ms after the command was started")
        _stays(telling, client, says_error, "and every request after it fails")

        telling.step("5. The client may call the server")
        resumed = _time_to(telling, client, says_hello, stage, "intention", "create", "hello-client", "hello")
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


def _time_to(
    telling: Telling, client: Program, wanted: Callable[[str], bool], stage: Stage, *arguments: str
) -> float:
    """Milliseconds from starting a command to the client's first wanted line."""
    started = time.monotonic()
    stage.run(*arguments)
    line = client.wait_for(wanted, after=started)
    telling.output(line.text)
    return (line.at - started) * 1000


def _stays(telling: Telling, client: Program, wanted: Callable[[str], bool], fact: str) -> None:
    settled = time.monotonic() + PAUSE_SECONDS
    while time.monotonic() < settled + WATCHED_SECONDS:
        time.sleep(PAUSE_SECONDS)
        telling.output("\n".join(client.since(settled)[-1:]))
    lines = client.since(settled)
    telling.saw(f"{fact} ({len(lines)} in a row)", true=bool(lines) and all(map(wanted, lines)))


def _call_outside(telling: Telling, stage: Stage, authority: Path | None) -> None:
    options = () if authority is None else (f"-host={outside.NAME}={outside.ADDRESS}",)
    environment = {} if authority is None else {"CURL_CA_BUNDLE": str(authority)}
    command = ("curl", "--silent", "--show-error", "--max-time", "15", f"https://{outside.NAME}")
    with stage.program(
        "run", "-service=hello-client", *options, "--", *command, environment=environment
    ) as curl:
        code = curl.process.wait(45)
        answer = "\n".join(line.text for line in curl.lines)
        telling.output(answer[:400])
        expected = "Example Domain" if authority is None else outside.GREETING
        telling.saw("curl got its answer through the sidecar", true=code == 0 and expected in answer)


def _hello(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(examples() / name), *arguments)


def _missing() -> str:
    if os.geteuid() != 0:
        return "needs root, to make network namespaces for the programs; run it again with sudo"
    for binary, package in (("iptables", "iptables"), ("ip", "iproute2"), ("curl", "curl")):
        if shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"needs {binary}; on Debian: apt-get install -y {package}"
    return ""


def _traces() -> frozenset[str]:
    """What of the demo could stay behind: namespaces, interfaces, rules, and Envoys."""
    found: set[str] = set()
    for command in ("ip netns list", "ip -brief link", "iptables-save", "ip6tables-save", "pgrep -a envoy"):
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        found |= {
            f"{command}: {line.split('[')[0].strip()}"
            for line in done.stdout.splitlines()
            if line and not line.startswith("#")
        }
    return frozenset(found)
