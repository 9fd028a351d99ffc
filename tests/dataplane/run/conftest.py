"""Runs as a user starts them: processes of their own, against a stand-in agent."""

from __future__ import annotations

import json
import os
import select
import signal
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
PATIENCE_S = 20


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that nobody announces; how long it takes is no assertion."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"never came true: {what}"
        select.select([], [], [], 0.02)


class Agent:
    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.address}{path}") as answer:
            return json.load(answer)

    @property
    def services(self) -> dict[str, Any]:
        services: dict[str, Any] = self.get("/v1/agent/services")
        return services

    @property
    def checks(self) -> dict[str, str]:
        checks: dict[str, str] = self.get("/v1/agent/checks")
        return checks


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
    def __init__(self, agent: Agent, directory: Path, stack: ExitStack) -> None:
        self.agent = agent
        self.directory = directory
        self._stack = stack

    def start(
        self, *command: str, name: str = "web", port: int = 0, wrap: Sequence[str] = (), **settings: str
    ) -> Run:
        """Start a run; `wrap` is what it is started with, `settings` its environment."""
        python = [*wrap, PYTHON_FOR_ALL if wrap else sys.executable]
        arguments = [self.agent.address, str(self.directory), name, str(port), *command]
        supervisor = subprocess.Popen(
            [*python, str(HERE / "run_one.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(LIBRARIES), **settings},
        )
        self._stack.enter_context(_ended(supervisor))
        return Run(supervisor)

    def finish(self, *command: str, **settings: Any) -> tuple[int, str, str]:
        """Exit code, output and errors of a run that ends by itself."""
        run = self.start(*command, **settings)
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


@pytest.fixture
def agent() -> Iterator[Agent]:
    command = [sys.executable, str(HERE / "standin_agent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, _ended(process):
        assert process.stdout is not None
        yield Agent(int(process.stdout.readline()))


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
