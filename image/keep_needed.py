"""Uninstall from this environment what the mesh on Kubernetes does not need; Containerfile runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions, requires

PROGRAM = "pellucid"
LEFT_OUT = {"helm-python-sdk", "kubernetes-validate", "common-expression-language", "zstandard"}
"""What only `pellucid cluster` and `pellucid helm` need."""


def normalized(requirement: str) -> str:
    """The name in a requirement, as PEP 503 compares names."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(installed: set[str]) -> set[str]:
    """The program, and whatever it requires, directly or not, without extras."""
    found: set[str] = set()
    open_ = {PROGRAM}
    while open_:
        one = open_.pop()
        found.add(one)
        required = {normalized(each) for each in requires(one) or () if "extra ==" not in each}
        open_ |= (required & installed) - found - LEFT_OUT
    return found


def main() -> None:
    """Uninstall the rest, pip included."""
    installed = {normalized(each.name) for each in distributions()}
    rest = sorted(installed - needed(installed) - {"pip"})
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "--yes", "--quiet", *rest, "pip"], check=True)


if __name__ == "__main__":
    main()
