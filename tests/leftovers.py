"""What a test run may leave on a machine, and whether it did.

Processes started by the tests are known by a variable in their environment, so one that was orphaned
is found too. Network namespaces, links and firewall rules are compared before and after.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Set
from dataclasses import dataclass, fields
from pathlib import Path

SESSION_VARIABLE = "PELLUCID_TEST_SESSION"


@dataclass(frozen=True)
class Machine:
    """The names of everything of a kind that tests make."""

    processes: Set[str]
    namespaces: Set[str]
    links: Set[str]
    rules: Set[str]

    def more_than(self, earlier: Machine) -> list[str]:
        """What is here now and was not then, one line each."""
        return [
            f"{field.name}: {name}"
            for field in fields(self)
            for name in sorted(getattr(self, field.name) - getattr(earlier, field.name))
        ]


def look(session: str) -> Machine:
    """The machine as it is; `session` is the value by which this run's processes are known."""
    return Machine(_processes_of(session), _named_namespaces(), _virtual_links(), _firewall_rules())


def _processes_of(session: str) -> Set[str]:
    marker = f"{SESSION_VARIABLE}={session}".encode()
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (place / "environ").read_bytes().split(b"\0"):
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.add(f"{place.name} {command.strip()}")
        except OSError:
            continue
    return found - {name for name in found if name.startswith(f"{os.getpid()} ")}


def _named_namespaces() -> Set[str]:
    named = Path("/run/netns")
    return {place.name for place in named.iterdir()} if named.is_dir() else set()


def _virtual_links() -> Set[str]:
    """Links without a device behind them: veth, bridge, dummy, tun."""
    links = Path("/sys/class/net")
    return {link.name for link in links.iterdir() if not (link / "device").exists()}


def _firewall_rules() -> Set[str]:
    if os.geteuid() != 0:
        return set()
    rules: set[str] = set()
    for command in ("iptables-save", "ip6tables-save"):
        if shutil.which(command):
            output = subprocess.run([command], capture_output=True, text=True, check=False).stdout
            rules.update(f"{command}: {line}" for line in output.splitlines() if line.startswith("-A "))
    return rules
