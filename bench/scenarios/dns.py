"""DNS queries a second over UDP, from one client with so many outstanding."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Figure
from bench.load import run
from bench.mesh import Size, build, service_name
from bench.plan import Plan
from bench.server import BenchError

NAME = "dns"
OUTSTANDING = 32
SECONDS = 3.0
QUICK_SECONDS = 1.0
SIZE = Size(services=20, proxies=60)
"""Three instances of each service."""


def measure(plan: Plan) -> Iterator[Figure]:
    """An answer that stays the same, and one for a name that is not there."""
    plan.say(NAME)
    with plan.server() as server:
        build(server, SIZE)
        for what, name, kind in (
            ("A of 3 instances", f"{service_name(1)}.service.consul", "A"),
            ("SRV of 3 instances", f"{service_name(1)}.service.consul", "SRV"),
            ("a name that is not there", "nothing.service.consul", "A"),
        ):
            seconds = QUICK_SECONDS if plan.quick else SECONDS
            cpu = server.cpu_seconds()
            done = run("dns_queries", f"127.0.0.1:{server.dns_port}", OUTSTANDING, seconds, name, kind)
            cpu = server.cpu_seconds() - cpu
            if not done["answers"]:
                raise BenchError(f"no DNS answer for {name}")
            rate = done["answers"] / done["seconds"]
            note = f"{done['lost']} lost" if done["lost"] else ""
            measure = f"{what}, {OUTSTANDING} outstanding"
            yield Figure(NAME, "", measure, rate, "/s", less_is_better=False, note=note)
            yield Figure(NAME, "", f"{what}: server CPU for each", cpu / done["answers"] * 1e6, "µs")
