"""What the walkthrough leaves out, shown by the second demo: every scene does what it says."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCENES = (
    "the greeting comes by a name that is not the mesh's",
    "the greeting comes at the pod's address, by mutual TLS",
    "the greeting comes from ledger-1.ledger",
    "it got its answer through the mesh, and is complete",
    "the greeting comes at the port the pod's author chose",
    "the greeting comes from namespace shop",
    "redis answers through the mesh",
    "PostgreSQL answers through the mesh",
    "a thousand messages of one call came through",
    "the greeting comes at the Service's IPv6 address",
    "dialled",
    "no process, namespace, mount, interface or firewall rule is left",
)


@pytest.mark.root
@pytest.mark.timeout(300)
def test_every_scene_does_what_it_says() -> None:
    command = [sys.executable, "-m", "pellucid", "demo", "-more"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    for scene in SCENES:
        assert any(line.startswith(f"ok  {scene}") for line in lines), scene
    assert not any(line.startswith("NOT ") for line in lines)
