"""The agent under measurement: a process of its own on free ports, watched through /proc and its API."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

START_SECONDS = 30.0
START_ATTEMPTS = 3
STOP_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_HOST = "127.0.0.1"


class BenchError(Exception):
    """A measurement could not be made; the message says why."""


class Server:
    """A running agent. One keep-alive connection serves all requests made through it."""

    def __init__(self, process: subprocess.Popen[bytes], ports: Mapping[str, int]) -> None:
        self.process = process
        self.http_port, self.grpc_port, self.dns_port = ports["http"], ports["grpc"], ports["dns"]
        self._connection = http.client.HTTPConnection(_HOST, self.http_port, timeout=60)

    @property
    def http_address(self) -> str:
        """host:port of the HTTP API."""
        return f"{_HOST}:{self.http_port}"

    @property
    def xds_address(self) -> str:
        """host:port of xDS."""
        return f"{_HOST}:{self.grpc_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What points the command line at this agent."""
        return {**os.environ, "CONSUL_HTTP_ADDR": self.http_address}

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """The answer's body. Raises BenchError unless it is a 200."""
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, content)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise BenchError(f"{method} {path}: {answer.status} {data[:300].decode(errors='replace')}")
        return data

    def get(self, path: str) -> Any:
        """The JSON of a 200."""
        return json.loads(self.request("GET", path))

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_bytes(self) -> int:
        """What of the process is in memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE

    def counters(self) -> dict[str, float]:
        """The agent's own counters and gauges, by name without the prefix."""
        metrics = self.get("/v1/agent/metrics")
        found = {each["Name"]: float(each["Sum"]) for each in metrics["Counters"] or ()}
        found |= {each["Name"]: float(each["Value"]) for each in metrics["Gauges"] or ()}
        return {name.partition(".")[2]: value for name, value in found.items()}

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody has now, for TCP; UDP follows suit in practice."""
    servers = [socket.create_server((_HOST, 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def allow_many_files() -> None:
    """Raise the limit of open files, which every proxy stream needs one of, as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(program: tuple[str, ...], *words: str, peer: bool = False) -> Iterator[Server]:
    """Start an agent and wait until its API answers; end it with the block. Raises BenchError."""
    server = _started(program, words, peer=peer)
    try:
        yield server
    finally:
        server.close()
        _end(server.process)


def _started(program: tuple[str, ...], words: Sequence[str], *, peer: bool) -> Server:
    """An agent that answers. Someone may take a port that was free, so it is tried again with others."""
    for attempt in range(START_ATTEMPTS):
        ports = _ports(peer=peer)
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                _command(program, words, ports),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            server = Server(process, ports)
            try:
                _wait_until_it_answers(server, output)
            except BaseException as error:
                server.close()
                _end(process)
                if not isinstance(error, BenchError) or attempt == START_ATTEMPTS - 1:
                    raise
            else:
                return server
    raise AssertionError("the last attempt returns or raises")


def _ports(*, peer: bool) -> dict[str, int]:
    names = ("http", "grpc", "dns", *(("server", "serf-lan", "serf-wan") if peer else ("mesh-dns",)))
    return dict(zip(names, free_ports(len(names)), strict=True))


def _command(program: tuple[str, ...], words: Sequence[str], ports: Mapping[str, int]) -> list[str]:
    kept = any(word.startswith("-data-dir") for word in words)
    flags = [f"-{name}-port={port}" for name, port in ports.items() if name != "mesh-dns"]
    if "mesh-dns" in ports:
        flags.append(f"-hcl=pellucid {{ mesh_dns_port = {ports['mesh-dns']} }}")
    return [*program, "agent", *(() if kept else ("-dev",)), "-log-level=err", *flags, *words]


def _wait_until_it_answers(server: Server, output: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if server.get("/v1/status/leader"):
                return
        except (OSError, http.client.HTTPException, BenchError):
            server.close()
        if server.process.poll() is not None or time.monotonic() > deadline:
            output.seek(0)
            said = output.read().decode(errors="replace")[-2000:]
            command = " ".join(map(str, server.process.args))  # type: ignore[arg-type]
            raise BenchError(f"{command} did not start:\n{said}")
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
