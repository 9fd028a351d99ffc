"""Simulated sidecars, from the bench's side: processes of `load.proxies`, spoken to in JSON lines."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.load import ROOT, command
from bench.server import BenchError, Server

PER_PROCESS = 1_000
"""Proxies in one process of the load."""
QUIET_SECONDS = 0.15
"""Silence after which a change counts as over."""
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Seen:
    """What a change did at the proxies."""

    last: dict[str, float]
    """When each proxy that heard of it acknowledged the last thing it was sent (CLOCK_MONOTONIC, seconds)."""
    messages: int
    bytes: int


class Fleet:
    """Connected proxies."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    def connect(self, ids: Sequence[str]) -> list[float]:
        """Connect proxies all at once; how long each took to have its whole configuration, in seconds."""
        shares = [list(ids[start :: len(self._processes)]) for start in range(len(self._processes))]
        for process, share in zip(self._processes, shares, strict=True):
            process.send({"connect": share})
        answers = [process.receive() for process in self._processes]
        began = min(answer["began"] for answer in answers)
        return [ready - began for answer in answers for ready in answer["ready"].values()]

    def arm(self, expected: Sequence[str], quiet: float = QUIET_SECONDS) -> None:
        """Watch what comes from now on. expected: the proxies that the change is to reach."""
        for process in self._processes:
            process.send({"watch": list(expected), "quiet": quiet, "seconds": PATIENCE_SECONDS})
        for process in self._processes:
            process.receive()

    def seen(self) -> Seen:
        """What came, once it is over. Raises BenchError if some proxy heard nothing."""
        answers = [process.receive() for process in self._processes]
        last: dict[str, float] = {}
        for answer in answers:
            last |= answer["last"]
        return Seen(
            last, sum(answer["messages"] for answer in answers), sum(answer["bytes"] for answer in answers)
        )


class Process:
    """One process of the load."""

    def __init__(self, address: str) -> None:
        self._process = subprocess.Popen(
            command("proxies", address),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def send(self, command: object) -> None:
        """Give it a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """Its next answer. Raises BenchError."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("the simulated proxies ended before they answered; their words are above")
        answer = json.loads(line)
        if "error" in answer:
            raise BenchError(answer["error"])
        return answer

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def fleet(server: Server, proxies: int) -> Iterator[Fleet]:
    """Processes for so many proxies, ended with the block."""
    with ExitStack() as stack:
        processes = []
        for _ in range(-(-proxies // PER_PROCESS)):
            process = Process(server.xds_address)
            stack.callback(process.close)
            processes.append(process)
        yield Fleet(processes)
