"""The processes in the pods of the cluster under measurement, and what they have used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.cluster import NAME as CLUSTER
from bench.server import BenchError

SERVER = b"\0agent\0-server\0"
INJECTOR = b"\0inject-connect\0"
SIDECAR = b"\0k8s\0sidecar\0"
ENVOY = b"/envoy\0"
"""What marks a command line, its words ending in NUL."""

_TICKS_PER_SECOND = 100


def found(mark: bytes) -> list[int]:
    """Processes with the mark on their command line; Envoy's is the end of its first word."""
    return [pid for pid, command in _commands() if mark in (_program(command) if mark == ENVOY else command)]


def only(mark: bytes) -> int:
    """The one process with the mark. Raises BenchError."""
    pids = found(mark)
    if len(pids) != 1:
        raise BenchError(f"{len(pids)} processes, not one, with {mark!r} on their command line")
    return pids[0]


def cpu_seconds(pid: int, *, children: bool = False) -> float:
    """What a process has used so far; children: and those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if children else 13])) / _TICKS_PER_SECOND


def _program(command: bytes) -> bytes:
    return command.partition(b"\0")[0] + b"\0"


def _commands() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                ours = f"{CLUSTER}-control-plane" in (entry / "cgroup").read_text()
            except OSError:
                continue
            if ours:
                yield int(entry.name), command
