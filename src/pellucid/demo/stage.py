"""The programs of the demo: started as a user would, watched line by line, always put away again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.demo.telling import Telling

STOP_SECONDS = 8.0


class DidNotHappen(Exception):
    """Something the demo waited for did not come."""


@dataclass(frozen=True)
class Line:
    """A line that a program printed, and when (monotonic seconds)."""

    at: float
    text: str


@dataclass
class Program:
    """A running program whose lines are kept."""

    process: subprocess.Popen[str]
    lines: list[Line] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def wait_for(self, wanted: Callable[[str], bool], *, after: float = 0.0, seconds: float = 15.0) -> Line:
        """The first line after a moment that is wanted. Raises DidNotHappen, with the last lines."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._news:
            while True:
                for line in self.lines[seen:]:
                    if line.at >= after and wanted(line.text):
                        return line
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._news.wait(0.2)):
                    last = "\n".join(line.text for line in self.lines[-8:]) or "(it printed nothing)"
                    raise DidNotHappen(f"{' '.join(map(str, self.process.args))!r} printed:\n{last}")  # type: ignore[arg-type]
                self._news.wait(left)

    def since(self, moment: float) -> list[str]:
        """The lines printed after a moment."""
        return [line.text for line in self.lines if line.at >= moment]

    def stop(self) -> None:
        """End it politely, then firmly."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            with self._news:
                self.lines.append(Line(time.monotonic(), text.rstrip("\n")))
                self._news.notify_all()


class Stage:
    """Everything the demo runs, as typed into a shell. Leaving it as a context manager stops all of it.

    directory: where the commands are typed; environment: what they find besides the demo's own.
    """

    def __init__(
        self, telling: Telling, environment: Mapping[str, str], directory: Path | None = None
    ) -> None:
        self.telling = telling
        self._environment = {**os.environ, **environment}
        self._directory = directory
        self._stack = ExitStack()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, command: str) -> str:
        """Tell a command, run it to its end and tell its output. Raises DidNotHappen if it fails."""
        self.telling.command(command)
        done = self.ask(command)
        self.telling.output(done.stdout + done.stderr)
        if done.returncode != 0:
            raise DidNotHappen(f"{command!r} ended with {done.returncode}")
        return done.stdout

    def ask(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, silently."""
        return subprocess.run(
            ["/bin/sh", "-c", command],
            env=self._environment,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def program(self, command: str, environment: Mapping[str, str] | None = None) -> Iterator[Program]:
        """Tell a command and run it beside the demo, until the block is left."""
        self.telling.command(command)
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            env={**self._environment, **(environment or {})},
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        program = Program(process)
        try:
            yield program
        finally:
            program.stop()

    def start(self, command: str) -> Program:
        """Tell a command and run it beside the demo, until the demo ends."""
        return self._stack.enter_context(self.program(command))


def free_port(preferred: int) -> int:
    """The preferred loopback port if nothing uses it, else another one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DidNotHappen("no loopback port is free")


def examples(name: str) -> Path:
    """A folder of examples. Raises DidNotHappen outside a checkout."""
    found = Path(__file__).parents[3] / "examples" / name
    if not found.is_dir():
        raise DidNotHappen(f"the demo's files are in examples/{name} of a checkout; run it from there")
    return found
