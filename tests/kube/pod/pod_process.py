"""A pod as its containers see it: a network namespace with a way to the mesh's server, and a token."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pellucid.demo.stage import Program
from tests.agent.kubernetes.test_agent_as_pod import PodAgent
from tests.dataplane.conftest import Namespace, new_namespace
from tests.mesh.mesh import PELLUCID, program

SERVER_NAME = "mesh-server.mesh.svc"
SIDECAR_UID = 5995
STATUS_PORT = 21000

_AS_CONTAINER = 'mount --bind $0 /etc/hosts && exec "$@"'


class Pod:
    """One pod of the mesh, without its application."""

    def __init__(self, namespace: Namespace, agent: PodAgent, directory: Path) -> None:
        self.namespace, self._agent, self._directory = namespace, agent, directory
        self.server_address = ""

    @property
    def environment(self) -> dict[str, str]:
        """What the injector sets."""
        return {
            "POD_NAME": "hello-1",
            "POD_NAMESPACE": "shop",
            "CONSUL_HTTP_ADDR": f"https://{SERVER_NAME}:{self._agent.https}",
            "CONSUL_GRPC_ADDR": f"{SERVER_NAME}:{self._agent.grpc}",
            "PELLUCID_SERVER_CA": self._agent.authority,
        }

    @property
    def token_file(self) -> Path:
        return self._directory / "token"

    @contextmanager
    def sidecar(self, *flags: str) -> Iterator[Program]:
        command = (*PELLUCID, "k8s", "sidecar", f"-token-file={self.token_file}", *flags)
        with program(*self._container(SIDECAR_UID, *command), environment=self.environment) as running:
            yield running

    @contextmanager
    def application(self, code: str) -> Iterator[Program]:
        """A Python program, as a user of its own; it prints a line when it is there."""
        with program(*self._container(1000, sys.executable, "-u", "-c", code)) as running:
            running.wait_for(bool)
            yield running

    def get(self, path: str, port: int = STATUS_PORT) -> tuple[int, str]:
        """Status and text, as the kubelet or a scraper would be answered; 0 when nobody answers."""
        command = ("curl", "--silent", "--write-out", "\\n%{http_code}", f"http://127.0.0.1:{port}{path}")
        try:
            text, _, status = self.namespace.run(*command).rpartition("\n")
        except subprocess.CalledProcessError:
            return 0, ""
        return int(status), text

    def _container(self, uid: int, *command: str) -> tuple[str, ...]:
        hosts = self._directory / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{self.server_address} {SERVER_NAME}\n")
        enter = ("nsenter", f"--target={self.namespace.pid}", "--net", "unshare", "--mount")
        drop = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs")
        return (*enter, "sh", "-c", _AS_CONTAINER, str(hosts), *drop, *command)


@contextmanager
def new_pod(agent: PodAgent, token: str) -> Iterator[Pod]:
    """A pod whose kubelet gave it this token. Its users read its files, which pytest's folder forbids."""
    with TemporaryDirectory() as directory, new_namespace() as namespace:
        Path(directory).chmod(0o755)
        pod = Pod(namespace, agent, Path(directory))
        pod.token_file.write_text(token)
        number = namespace.pid % 16_000
        network = f"10.{213 + number // 8000}.{number % 8000 // 64}.{number % 64 * 4}"
        prefix, _, last = network.rpartition(".")
        host, own = f"{prefix}.{int(last) + 1}", f"{prefix}.{int(last) + 2}"
        link = f"plpod{namespace.pid}"
        _ip(f"link add {link} type veth peer name eth0 netns {namespace.pid}")
        _ip(f"address add {host}/30 dev {link}")
        _ip(f"link set {link} up")
        namespace.run("ip", "address", "add", f"{own}/30", "dev", "eth0")
        namespace.run("ip", "link", "set", "eth0", "up")
        pod.server_address = host
        yield pod


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)
