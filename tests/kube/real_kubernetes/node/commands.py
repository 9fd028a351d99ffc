"""Commands typed as a user would, on a node that lives in a network namespace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pellucid.demo.stage import Stage
from pellucid.demo.telling import Telling
from pellucid.demo.toolbox import OURS, prepare
from tests.kube.real_kubernetes.control_plane import ControlPlane

API_PORT = 8500
"""Of the namespace's loopback: where `kubectl port-forward` is to lead to the mesh's API."""


@contextmanager
def stage_on(plane: ControlPlane, files: Path, telling: Telling) -> Iterator[Stage]:
    """A shell in the folder `files` whose `kubectl`, `helm`, `consul` and `curl` are the node's."""
    environment = {
        "PATH": _commands(plane),
        "KUBECONFIG": str(plane.kubeconfig),
        "CONSUL_HTTP_ADDR": f"127.0.0.1:{API_PORT}",
    }
    with Stage(telling, environment, files) as stage:
        yield stage


def _commands(plane: ControlPlane) -> str:
    """A PATH on which they are."""
    outer, inner = plane.directory / "commands", plane.directory / "tools"
    path = prepare(inner)
    outer.mkdir(exist_ok=True)
    programs = {**{name: str(inner / name) for name in (*OURS, "kubectl")}, "curl": "/usr/bin/curl"}
    for name, path_inside in programs.items():
        command = f'exec nsenter --target={plane.namespace.pid} --net {path_inside} "$@"'
        # The node is there already, and nobody deletes it but the test.
        _write(outer / name, "exit 0" if name == "kind" else command)
    return f"{outer}:{path}"


def _write(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
