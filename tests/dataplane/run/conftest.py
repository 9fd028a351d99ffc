"""Runs as a user starts them: `pellucid run` in a process of its own, against a real agent."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

import pellucid

HERE = Path(__file__).parent
PATIENCE_S = 20


def _python_for_all() -> str:
    """A Python that any user can run; ours may be in somebody's home."""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        found = Path(python).resolve()
        if found.exists() and all(parent.stat().st_mode & 0o001 for parent in found.parents):
            return python
    return sys.executable


PYTHON_FOR_ALL = _python_for_all()
LIBRARIES = [
    str(Path(pellucid.__file__).parents[1]),
    *(path for path in sys.path if path.endswith("site-packages")),
]
AS_ANOTHER_USER = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that nobody announces; how long it takes is no assertion."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"never came true: {what}"
        select.select([], [], [], 0.02)


class Agent:
    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"

    @property
    def services(self) -> dict[str, Any]:
        return self._get("/v1/agent/services")

    @property
    def checks(self) -> dict[str, str]:
        """Status by check."""
        return {name: check["Status"] for name, check in self._get("/v1/agent/checks").items()}

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.address}{path}") as answer:
            found: dict[str, Any] = json.load(answer)
            return found


class Run:
    """A run in progress: its processes by the parts they play."""

    def __init__(self, supervisor: subprocess.Popen[str]) -> None:
        self.supervisor = supervisor

    def line(self) -> str:
        """The program's next line of output."""
        assert self.supervisor.stdout is not None
        assert self.supervisor.stderr is not None
        line = self.supervisor.stdout.readline()
        assert line, self.supervisor.stderr.read()
        return line.rstrip("\n")

    def parts(self) -> dict[str, psutil.Process]:
        """supervisor, guardian, launcher, first, envoy, program."""
        supervisor = psutil.Process(self.supervisor.pid)
        parts = {"supervisor": supervisor}
        for process in supervisor.children(recursive=True):
            words = process.cmdline()
            if "pellucid.dataplane.run.guardian" in words:
                parts["guardian"] = process
            elif words[:1] == ["unshare"]:
                parts["launcher"] = process
            elif "pellucid.dataplane.namespace.init" in words:
                parts["first"] = process
            elif "--config-path" in words:
                parts["envoy"] = process
            elif "first" in parts and process.ppid() == parts["first"].pid:
                parts["program"] = process
        return parts

    def end(self, number: int = signal.SIGTERM) -> int:
        self.supervisor.send_signal(number)
        return self.supervisor.wait(PATIENCE_S)


class Runner:
    """Starts runs at one agent, on a fabric of their own, without an uplink unless told.

    options: further flags of `pellucid run`; wrap: what it is started with.
    """

    def __init__(self, agent: Agent, directory: Path, stack: ExitStack) -> None:
        self.agent = agent
        self.directory = directory
        self._stack = stack

    def command(
        self,
        *command: str,
        name: str = "web",
        port: int = 0,
        wrap: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> list[str]:
        python = [*wrap, PYTHON_FOR_ALL if wrap else sys.executable]
        flags = [f"-http-addr={self.agent.address}", f"-service={name}", "-uplink=false", *options]
        if port:
            flags.append(f"-port={port}")
        return [*python, "-m", "pellucid", "run", *flags, "--", *command]

    @property
    def environment(self) -> dict[str, str]:
        libraries = os.pathsep.join(LIBRARIES)
        return {**os.environ, "PYTHONPATH": libraries, "PELLUCID_RUNTIME_DIRECTORY": str(self.directory)}

    def start(self, *command: str, **how: Any) -> Run:
        supervisor = subprocess.Popen(
            self.command(*command, **how),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        self._stack.enter_context(_ended(supervisor))
        return Run(supervisor)

    def finish(self, *command: str, **how: Any) -> tuple[int, str, str]:
        """Exit code, output and errors of a run that ends by itself."""
        run = self.start(*command, **how)
        output, errors = run.supervisor.communicate(timeout=2 * PATIENCE_S)
        return run.supervisor.returncode, output, errors


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    with process:
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def _free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


@pytest.fixture(scope="module")
def shared_agent() -> Iterator[Agent]:
    http, grpc, dns, mesh_dns = _free_ports(4)
    ports = [f"-http-port={http}", f"-grpc-port={grpc}", f"-dns-port={dns}"]
    command = [sys.executable, "-m", "pellucid", "agent", "-dev", *ports]
    with subprocess.Popen(
        [*command, f"-hcl=pellucid {{ mesh_dns_port = {mesh_dns} }}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any("agent running!" in line for line in process.stdout)
        yield Agent(http)
        process.terminate()


@pytest.fixture
def agent(shared_agent: Agent) -> Iterator[Agent]:
    yield shared_agent
    eventually(lambda: shared_agent.services == {}, "no test leaves a registration")


@pytest.fixture
def runner(agent: Agent, tmp_path: Path) -> Iterator[Runner]:
    with ExitStack() as stack:
        yield Runner(agent, tmp_path / "runtime", stack)


@pytest.fixture
def rootless_runner(agent: Agent) -> Iterator[Runner]:
    """Runs as a user without rights, in a directory that this user can reach."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        os.chmod(directory, 0o755)
        runtime = Path(directory, "runtime")
        runtime.mkdir()
        os.chown(runtime, 1000, 1000)
        yield Runner(agent, runtime, stack)
