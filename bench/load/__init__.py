"""Programs that load what is measured, each a process of its own that prints JSON lines."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench.server import BenchError


def run(name: str, *arguments: object) -> dict[str, Any]:
    """Run one of them to its end; what it printed. Raises BenchError."""
    command = [sys.executable, "-m", f"bench.load.{name}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{name} failed: {done.stderr.strip().splitlines()[-1:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
