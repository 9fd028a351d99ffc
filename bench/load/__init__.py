"""Programs that load what is measured, each a process of its own that prints JSON lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.server import BenchError

ROOT = Path(__file__).parents[2]
"""Where `python -m bench` works."""


def command(name: str, *arguments: object) -> list[str]:
    """What starts one of them, in `ROOT`."""
    return [sys.executable, "-m", f"bench.load.{name}", *map(str, arguments)]


def run(name: str, *arguments: object) -> dict[str, Any]:
    """Run one of them to its end; what it printed. Raises BenchError."""
    done = subprocess.run(command(name, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{name} failed: {done.stderr.strip().splitlines()[-1:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
