"""The whole walkthrough, command by command, on the original files and on our own: what the project is for.

`pellucid demo` types the commands, checks what the text promises after each, and fails when one does not
hold.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.walkthrough.walkthrough_files import OWN, originals

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

COMMANDS = (
    "kind create cluster --name tproxy",
    "kubectl apply -f deployments/",
    'kubectl logs -f -l "app=hello-client" -c hello-client',
    'helm install -f helm-consul-values.yaml consul hashicorp/consul --version "0.31.0"',
    "kubectl port-forward consul-consul-server-0 ",
    "consul config write defaults.hcl",
    'kubectl patch deployment hello -p "$(cat ./patches/server-1.yaml)"',
    'kubectl patch deployment hello-client -p "$(cat ./patches/client.yaml)"',
    'kubectl patch deployment hello -p "$(cat ./patches/server-2.yaml)"',
    'consul intention create -deny "*" "*"',
    "consul intention create hello-client hello",
    "kubectl exec deployment/hello-client -- curl https://example.com",
    "kind delete cluster --name tproxy",
)
PROMISES = (
    'the client gets "Hello World"',
    "the server is still reached directly",
    "both Envoys count mutual-TLS handshakes",
    "a pod outside the mesh that dials the server's address is refused",
    "requests fail",
    "the server's proxy had the new rule",
    "the client's proxy knows no endpoint of the server any more",
    "requests resume",
    "the client's proxy has gained the server's endpoints",
    "curl got its answer through the sidecar",
)


def walked_through(files: Path) -> str:
    command = [sys.executable, "-m", "pellucid", "demo", f"-files={files}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("whose", ["originals", "own"])
def test_every_command_does_what_the_walkthrough_says(whose: str) -> None:
    said = walked_through(originals() if whose == "originals" else OWN)
    lines = [line.strip() for line in said.splitlines()]
    typed = iter(line for line in lines if line.startswith("$ "))
    for command in COMMANDS:
        assert any(line.startswith(f"$ {command}") for line in typed), f"not typed in its turn: {command}"
    for promise in PROMISES:
        assert any(line.startswith(f"ok  {promise}") for line in lines), promise
    assert not any(line.startswith("NOT ") for line in lines)
