"""A stage on a cluster of its own: the commands find it, and it is gone when the story is over."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from pellucid.demo.stage import Stage, free_port
from pellucid.demo.telling import Telling
from pellucid.demo.toolbox import prepare
from pellucid.demo.traces import CLUSTER

OUTSIDE = "example.com"
ROLLOUT = "kubectl rollout status deployment/{} --timeout=90s"


class Wishes(msgspec.Struct, frozen=True):
    """How a story is told.

    online: the cluster has a way out, and `example.com` is the real one; keep: the cluster stays; files: the
    folder with the walkthrough's files, else our own.
    """

    online: bool = False
    keep: bool = False
    files: Path | None = None


@contextmanager
def on_a_cluster(telling: Telling, wishes: Wishes, files: Path) -> Iterator[tuple[Stage, int]]:
    """A stage in the folder `files`, and the port of this machine that is to lead to the mesh's API."""
    directory = Path(tempfile.mkdtemp(prefix="pellucid-demo-"))
    port = free_port(8500)
    settings = {
        "PATH": prepare(directory / "bin"),
        "KUBECONFIG": str(directory / "kubeconfig"),
        "CONSUL_HTTP_ADDR": f"127.0.0.1:{port}",
        **({"PELLUCID_CLUSTER_UPLINK": "1"} if wishes.online else {"PELLUCID_CLUSTER_OUTSIDE": OUTSIDE}),
    }
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(telling, settings, files))
        if not wishes.keep:
            stack.callback(_clean_up, stage, directory)
        yield stage, port
    if wishes.keep:
        _say_how_to_go_on(telling, settings)


def _clean_up(stage: Stage, directory: Path) -> None:
    """Delete the cluster, however the story ended."""
    stage.telling.step("Delete the cluster")
    stage.run(f"kind delete cluster --name {CLUSTER}")
    shutil.rmtree(directory)


def _say_how_to_go_on(telling: Telling, settings: Mapping[str, str]) -> None:
    telling.step("The cluster is still there")
    telling.text("To go on in a shell of yours:")
    for name in ("PATH", "KUBECONFIG", "CONSUL_HTTP_ADDR"):
        value = settings[name].split(os.pathsep)[0] + ":$PATH" if name == "PATH" else settings[name]
        telling.text(f"  export {name}={value}")
    telling.text("  kubectl port-forward consul-consul-server-0 8500:8500 &")
    telling.text(f"and to remove it all: kind delete cluster --name {CLUSTER}")
