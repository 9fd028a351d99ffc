"""Cold start of the command line: a new process each time."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Iterator

from bench.figures import Figure
from bench.mesh import intend
from bench.plan import Plan

NAME = "cli"
RUNS = 20
QUICK_RUNS = 5


def measure(plan: Plan) -> Iterator[Figure]:
    """`version`, which asks nobody, and `intention list`, which asks the agent."""
    plan.say(NAME)
    with plan.server() as server:
        for number in range(10):
            intend(server, f"source-{number}", "destination", "allow")
        for words in (("version",), ("intention", "list")):
            samples = []
            for _ in range(QUICK_RUNS if plan.quick else RUNS):
                began = time.monotonic()
                subprocess.run(
                    [*plan.program, *words], env=server.environment, check=True, stdout=subprocess.DEVNULL
                )
                samples.append((time.monotonic() - began) * 1000)
            command = " ".join(words)
            median = statistics.median(samples)
            yield Figure(NAME, "", f"{command}: median", median, "ms", samples=tuple(samples))
            yield Figure(NAME, "", f"{command}: least", min(samples), "ms")
