"""A mesh of real processes: the agent, Envoys beside programs of the test, and `pellucid run` workloads."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pellucid.demo.stage import Program

T = TypeVar("T")

PATIENCE_S = 30.0
PELLUCID = (sys.executable, "-m", "pellucid")
READY = "agent running!"


def eventually(holds: Callable[[], T], what: str, *, within: float = PATIENCE_S) -> T:
    """The first true value; for what nobody announces. How long it takes is no assertion."""
    deadline = time.monotonic() + within
    while not (value := holds()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.02)
    return value


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Loopback ports that nobody has now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    servers = [socket.create_server((host, 0), family=family) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


@contextmanager
def program(
    *command: str, environment: Mapping[str, str] | None = None, stdin: bool = False
) -> Iterator[Program]:
    """A process whose lines are kept, ended with the block."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Program(process)
    try:
        yield running
    finally:
        running.stop()
        if process.stdin:
            process.stdin.close()


@dataclass(frozen=True)
class Answer:
    """An answer of the HTTP API."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Agent:
    """`pellucid agent` on ports of its own; it can be killed and started again on the same ones."""

    def __init__(self, *words: str, host: str = "127.0.0.1", command: Sequence[str] = PELLUCID) -> None:
        self.host = host
        self.http_port, self.grpc_port, self.dns_port, self.mesh_dns_port = free_ports(4, host)
        self._command, self._words = command, words
        self._stack = ExitStack()
        self.program: Program

    @property
    def command(self) -> tuple[str, ...]:
        ports = (f"-http-port={self.http_port}", f"-grpc-port={self.grpc_port}", f"-dns-port={self.dns_port}")
        mesh_dns = f"-hcl=pellucid {{ mesh_dns_port = {self.mesh_dns_port} }}"
        return (*self._command, "agent", f"-client={self.host}", *ports, mesh_dns, *self._words)

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.http_port}" if ":" in self.host else f"{self.host}:{self.http_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What points the command line at this agent."""
        return {"CONSUL_HTTP_ADDR": self.address}

    def start(self) -> None:
        self.program = self._stack.enter_context(program(*self.command))
        self.program.wait_for(lambda line: READY in line, seconds=PATIENCE_S)

    def kill(self) -> None:
        """As a crash would: no goodbye."""
        self.program.process.kill()
        self.program.process.wait()

    def stop(self) -> None:
        self._stack.close()

    def request(
        self, method: str, path: str, body: object = None, *, token: str = "", timeout: float = PATIENCE_S
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=timeout)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"X-Consul-Token": token} if token else {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.text}"
        return answer.json()

    def put(self, path: str, body: object = None) -> Answer:
        answer = self.request("PUT", path, body)
        assert answer.status == 200, f"PUT {path}: {answer.status} {answer.text}"
        return answer

    def cli(self, *words: str, stdin: str = "") -> str:
        """A command's output; its failure fails the test."""
        done = self.try_cli(*words, stdin=stdin)
        assert done.returncode == 0, f"pellucid {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_cli(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PELLUCID, *words],
            env={**os.environ, **self.environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def intend(self, destination: str, **actions: str) -> float:
        """Write all of a destination's intentions; `any` stands for `*`. Returns when the write began."""
        sources = [
            {"Name": "*" if name == "any" else name.replace("_", "-"), "Action": action}
            for name, action in actions.items()
        ]
        began = time.monotonic()
        name = "*" if destination == "any" else destination
        if sources:
            self.put("/v1/config", {"Kind": "service-intentions", "Name": name, "Sources": sources})
        else:
            self.request("DELETE", f"/v1/config/service-intentions/{name}")
        return began

    def defaults(self, service: str, **settings: object) -> None:
        """Write a service's service-defaults, such as its protocol."""
        keys = {name.title().replace("_", ""): value for name, value in settings.items()}
        self.put("/v1/config", {"Kind": "service-defaults", "Name": service, **keys})

    def register(
        self,
        name: str,
        *,
        port: int = 0,
        sidecar_port: int = 0,
        upstreams: Mapping[str, int] | None = None,
        upstream_config: Mapping[str, object] | None = None,
        service_id: str = "",
        checks: Sequence[Mapping[str, object]] = (),
        **sidecar: object,
    ) -> str:
        """Register a service on loopback with a sidecar; returns the workload credential.

        service_id: the name when empty. checks: of the service; its sidecar is as well as it is.
        """
        dialled = [
            {"DestinationName": upstream, "LocalBindPort": local, "Config": dict(upstream_config or {})}
            for upstream, local in (upstreams or {}).items()
        ]
        proxy = {"LocalServicePort": port or 1, "Upstreams": dialled}
        sidecar = {"Port": sidecar_port, "Address": "127.0.0.1", "Proxy": proxy, **sidecar}
        sidecar.setdefault("Checks", [{"Name": "alias", "AliasService": service_id or name}])
        body = {
            "ID": service_id or name,
            "Name": name,
            "Port": port,
            "Address": "127.0.0.1",
            "Checks": list(checks),
            "Connect": {"SidecarService": sidecar},
        }
        answer = self.put("/v1/agent/service/register", body)
        return answer.headers.get("X-Pellucid-Workload-Credential", "")

    def deregister(self, name: str) -> None:
        self.put(f"/v1/agent/service/deregister/{name}")

    def metric(self, name: str) -> int:
        """A counter or gauge of the agent's own."""
        metrics = self.get("/v1/agent/metrics")
        found = {each["Name"]: each.get("Count", each.get("Value")) for each in metrics["Counters"]}
        found |= {each["Name"]: each["Value"] for each in metrics["Gauges"]}
        return int(found[f"consul.{name}"])

    def identity(self, service: str, directory: Path) -> ssl.SSLContext:
        """What a caller needs to pose as a service: its certificate, as any program on this machine can."""
        leaf = self.get(f"/v1/agent/connect/ca/leaf/{service}")
        files = directory / f"{service}.crt", directory / f"{service}.key"
        for path, content in zip(files, (leaf["CertPEM"], leaf["PrivateKeyPEM"]), strict=True):
            path.write_text(content)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(*files)
        return context


@contextmanager
def running_agent(*words: str, host: str = "127.0.0.1", command: Sequence[str] = PELLUCID) -> Iterator[Agent]:
    """An agent, keeping nothing unless told, for as long as the block lasts. command: what `pellucid` is."""
    kept = any(word.startswith("-data-dir") for word in words)
    agent = Agent(*(() if kept else ("-dev",)), "-log-level=warn", *words, host=host, command=command)
    try:
        agent.start()
        yield agent
    finally:
        agent.stop()


class Envoy:
    """A sidecar on loopback, started by `pellucid connect envoy`."""

    def __init__(self, process: Program, admin_port: int) -> None:
        self.program = process
        self._admin_port = admin_port

    def admin(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._admin_port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def counter(self, name: str) -> int:
        """The sum of the counters whose names contain this."""
        lines = self.admin("/stats").splitlines()
        values = [line.rpartition(": ")[2] for line in lines if name in line.rpartition(": ")[0]]
        return sum(int(value) for value in values if value.isdigit())


@contextmanager
def sidecar(agent: Agent, service: str, *, serving: int = 0) -> Iterator[Envoy]:
    """The Envoy of a registered service; returns when it listens at the port `serving`."""
    (admin_port,) = free_ports(1)
    words = ("connect", "envoy", "-sidecar-for", service, "-admin-bind", f"127.0.0.1:{admin_port}")
    quiet = ("--", "-l", "warning", "--concurrency", "1")
    with program(*PELLUCID, *words, *quiet, environment=agent.environment) as process:
        envoy = Envoy(process, admin_port)
        eventually(lambda: listens(admin_port), f"the admin interface of {service}'s sidecar")
        if serving:
            eventually(lambda: listens(serving), f"{service}'s sidecar listens at {serving}")
        yield envoy


def listens(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


class Workload:
    """`pellucid run` around `programs/caller.py`: a program in the mesh that does what the test says."""

    def __init__(self, running: Program) -> None:
        self.program = running
        self._answered = 0

    def ask(self, what: str, *arguments: object, within: float = PATIENCE_S) -> Any:
        """Have the caller do something; its answer. Raises CallFailed with the caller's error."""
        stdin = self.program.process.stdin
        assert stdin is not None
        stdin.write(json.dumps([what, *arguments]) + "\n")
        stdin.flush()
        self._answered += 1
        prefix = f"answer {self._answered} "
        line = self.program.wait_for(lambda text: text.startswith(prefix), seconds=within)
        answer = json.loads(line.text.removeprefix(prefix))
        if "error" in answer:
            raise CallFailed(answer["error"])
        return answer["value"]


class CallFailed(Exception):
    """The caller's own error, as it saw it."""


PROGRAMS = Path(__file__).parent / "programs"


def run_command(agent: Agent, options: Sequence[str], command: Sequence[str]) -> tuple[str, ...]:
    return (*PELLUCID, "run", f"-http-addr={agent.address}", "-uplink=false", *options, "--", *command)


@contextmanager
def serving_workload(
    agent: Agent, name: str, script: str, *options: str, port: int = 8080
) -> Iterator[Program]:
    """A server in the mesh; returns when the agent counts it as healthy."""
    command = (sys.executable, "-u", str(PROGRAMS / script), str(port))
    with program(*run_command(agent, (f"-service={name}", f"-port={port}", *options), command)) as running:
        passing = f"/v1/health/connect/{name}?passing"
        try:
            eventually(lambda: agent.get(passing), f"{name} is healthy")
        except AssertionError as failure:
            raise AssertionError("\n".join(line.text for line in running.lines)) from failure
        yield running


@contextmanager
def calling_workload(agent: Agent, name: str, *options: str) -> Iterator[Workload]:
    """A program in the mesh that calls others when asked."""
    command = (sys.executable, "-u", str(PROGRAMS / "caller.py"))
    with program(*run_command(agent, (f"-service={name}", *options), command), stdin=True) as running:
        workload = Workload(running)
        workload.ask("nothing")
        yield workload


@contextmanager
def outside(*addresses: str) -> Iterator[Program]:
    """An echo at port 8080 of these addresses, which is not in the mesh; it tells what it heard."""
    command = (sys.executable, "-u", str(PROGRAMS / "echo.py"), "8080")
    with program(sys.executable, str(PROGRAMS / "outside.py"), ",".join(addresses), *command) as running:
        running.wait_for(lambda line: line == "listening")
        yield running


def stop_with(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    """Signal a process and wait for its end; its exit code."""
    process.send_signal(number)
    return process.wait(PATIENCE_S)
