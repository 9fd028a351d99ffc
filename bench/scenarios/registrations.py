"""Registrations a second: `PUT /v1/agent/service/register` with a check, each with an id of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from bench.figures import Figure
from bench.load import run
from bench.plan import Plan
from bench.server import BenchError

NAME = "registrations"
SECONDS = 4.0
QUICK_SECONDS = 1.5


def measure(plan: Plan) -> Iterator[Figure]:
    """In memory and on disk, one at a time and eight at once."""
    plan.say(NAME)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        yield from _measure(plan, "in memory (-dev)")
        kept = ("-server", "-bootstrap-expect=1") if plan.peer else ()
        yield from _measure(plan, "on disk (-data-dir)", f"-data-dir={directory}", *kept)


def _measure(plan: Plan, where: str, *words: str) -> Iterator[Figure]:
    for connections in (1, 8):
        with plan.server(*words) as server:
            cpu = server.cpu_seconds()
            seconds = QUICK_SECONDS if plan.quick else SECONDS
            done = run("http_requests", server.http_address, connections, seconds)
            cpu = server.cpu_seconds() - cpu
        if done["errors"]:
            raise BenchError(f"{done['errors']} of {done['requests']} registrations were refused")
        what = f"{where}, {connections} at a time"
        rate = done["requests"] / done["seconds"]
        yield Figure(NAME, "", what, rate, "/s", less_is_better=False)
        yield Figure(NAME, "", f"{what}: server CPU for each", cpu / done["requests"] * 1000, "ms")
