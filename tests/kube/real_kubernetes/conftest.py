"""The mesh on a control plane of Kubernetes itself, installed with Helm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pellucid.demo.stage import Program
from tests.kube.real_kubernetes.containers import SERVER, container
from tests.kube.real_kubernetes.control_plane import ADDRESS, ControlPlane, control_plane, missing
from tests.mesh.mesh import eventually

CHART = Path(__file__).parents[3] / "charts" / "pellucid"
SWITCHED_ON = ("--set", "connectInject.enabled=true", "--set", "controller.enabled=true")
COMPONENTS = ("server", "connect-injector", "controller")


@dataclass(frozen=True)
class Mesh:
    """A control plane, and the containers of the mesh that run for it."""

    plane: ControlPlane
    containers: dict[str, Program]

    def ask(self, path: str) -> Any:
        """The server's HTTP API, as somebody of its pod asks it."""
        return json.loads(self.plane.run("curl", "-sS", "--fail", f"http://127.0.0.1:8500{path}"))

    def login(self, token: str) -> tuple[int, str]:
        """As a sidecar does: by name, over TLS, trusting the authority that the server published."""
        authority = self.plane.directory / "server-ca.pem"
        authority.write_text(self.plane.get("configmap consul-consul-server-ca")["data"]["ca.pem"])
        said = self.plane.run(
            *("curl", "-sS", "--cacert", str(authority), "--resolve", f"{SERVER}:8501:{ADDRESS}"),
            *("--write-out", "\n%{http_code}", "-X", "PUT", "--data", "@-"),
            f"https://{SERVER}:8501/v1/pellucid/login",
            stdin=json.dumps({"BearerToken": token}),
        )
        text, _, status = said.rpartition("\n")
        return int(status), text


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Empty but for the chart, none of whose containers run."""
    if reason := missing():
        pytest.skip(reason)
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        plane.run("pellucid", "helm", "install", "consul", str(CHART), *SWITCHED_ON)
        yield plane


@pytest.fixture(scope="package")
def mesh(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The same with the containers of server, injector and controller."""
    directory = tmp_path_factory.mktemp("mesh")
    with ExitStack() as stack:
        running = {}
        for component in COMPONENTS:
            name = plane.only_pod(f"component={component}")["metadata"]["name"]
            plane.runs(name, ADDRESS)
            entered = container(plane, plane.get(f"pod {name}"), directory / component)
            running[component] = stack.enter_context(entered)
        mesh = Mesh(plane, running)
        for component in ("connect-injector", "controller"):
            running[component].wait_for(lambda line: "leading" in line, seconds=60)
        eventually(lambda: plane.webhooks_are_trusted(), "the API server may trust the webhooks")
        yield mesh
