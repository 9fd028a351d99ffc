"""What a demo could leave behind on the machine: namespaces, mounts, interfaces, rules and processes."""

from __future__ import annotations

import subprocess
from pathlib import Path

CLUSTER = "tproxy"
"""The demos' cluster. Others may come and go meanwhile, and are none of a demo's business."""

_LOOKS = (
    "ip netns list",
    "ip -brief link",
    "iptables-save",
    "ip6tables-save",
    "findmnt --noheadings --list --output TARGET --types overlay",
)
_PROCESSES = ("pgrep -a envoy", "pgrep -af pellucid.localkube", "pgrep -a runc")


def traces() -> frozenset[str]:
    """One line for each, in words that do not change while it lives."""
    found = {
        f"{command}: {line.split('[')[0].strip()}"
        for command in _LOOKS
        for line in _lines(command)
        if line and not line.startswith("#")
    }
    return frozenset(found) | {
        f"{command}: {line}"
        for command in _PROCESSES
        for line in _lines(command)
        if not _is_of_another_cluster(line)
    }


def _lines(command: str) -> list[str]:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def _is_of_another_cluster(process: str) -> bool:
    """process: a line of `pgrep -a`. A cluster's processes name it on the command line or in their cgroup."""
    pid, _, command = process.partition(" ")
    try:
        group = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return True
    if "pellucid.localkube" in command:
        return f"/{CLUSTER} " not in f"{command} "
    return "-control-plane" in group and f"{CLUSTER}-control-plane" not in group
