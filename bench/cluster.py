"""A local cluster under measurement: a directory and a kubeconfig of its own, driven by kubectl."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.server import BenchError

NAME = "bench"


@dataclass(frozen=True)
class Cluster:
    """A running cluster's commands and API."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """What points kubectl, and our own commands, at it."""
        return {
            **os.environ,
            "PELLUCID_CLUSTERS_DIRECTORY": str(self.directory / "clusters"),
            "KUBECONFIG": str(self.directory / "kubeconfig"),
        }

    def run(self, *words: str, text: str | None = None) -> str:
        """What a command prints. Raises BenchError when it fails."""
        done = subprocess.run(
            words, env=self.environment, input=text, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BenchError(f"{' '.join(words[:6])}: {done.stderr.strip()}")
        return done.stdout

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """What kubectl prints: the one beside this interpreter, else the machine's own."""
        return self.run(self.kubectl_path, *words, text=text)

    @property
    def kubectl_path(self) -> str:
        """The program."""
        beside = Path(sys.executable).with_name("kubectl")
        return str(beside) if beside.exists() else "kubectl"

    def api(self) -> tuple[str, int, ssl.SSLContext]:
        """The API's host and port, and an administrator's side of its TLS."""
        config: dict[str, Any] = json.loads(
            self.kubectl("config", "view", "--raw", "--minify", "--output", "json")
        )
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=_decoded(server["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", dir=self.directory, suffix=".pem") as pair:
            pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        place = urlsplit(server["server"])
        assert place.hostname is not None
        assert place.port is not None
        return place.hostname, place.port, context

    def install_mesh(self, program: Sequence[str]) -> None:
        """With its injector, and wait for it. program: the command that takes `helm`."""
        wanted = ("--wait", "--set", "connectInject.enabled=true")
        self.run(*program, "helm", "install", *wanted, "consul", "hashicorp/consul")

    def server_process(self) -> int:
        """The process that is the API server, the controllers and the kubelet. Raises BenchError."""
        for pid in _processes_of(str(self.directory)):
            if Path(f"/proc/{pid}/exe").resolve().name.startswith("python"):
                return pid
        raise BenchError("the cluster has no process of its own")

    def resident_bytes(self) -> int:
        """What the cluster's own processes hold in memory, without its pods: shared pages counted once."""
        return sum(proportional_bytes(pid) for pid in _processes_of(str(self.directory)))


@contextmanager
def running(program: Sequence[str]) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts. program: the command that takes `cluster`."""
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as directory:
        cluster = Cluster(Path(directory))
        try:
            cluster.run(*program, "cluster", "create", "-name", NAME)
            yield cluster
        finally:
            cluster.run(*program, "cluster", "delete", "-name", NAME)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _processes_of(directory: str) -> Iterator[int]:
    """The server's processes: those that name the cluster's directory on their command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"pellucid.localkube" in command and directory.encode() in command:
                yield int(entry.name)


def proportional_bytes(pid: int) -> int:
    """Memory of a process, shared pages counted in part. Raises BenchError."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"process {pid} has no Pss")
