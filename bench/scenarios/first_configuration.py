"""First configuration: many proxies connect at once; and what each costs the server in memory.

A proxy is ready when it has its clusters, the endpoints of each, its listeners, and every route and secret
that these refer to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench import consul_figures as consul
from bench.figures import Figure, percentile
from bench.fleet import fleet
from bench.mesh import Size, build, proxies
from bench.plan import Plan

NAME = "start"
SIZES = (
    Size(services=20, proxies=10),
    Size(services=20, proxies=100),
    Size(services=100, proxies=100),
    Size(services=20, proxies=1_000),
    Size(services=100, proxies=1_000),
    Size(services=100, proxies=1_000, allows=3),
)
QUICK_SIZES = (Size(services=20, proxies=10), Size(services=20, proxies=100))
CONSUL_SIZE = Size(services=20, proxies=100)
SETTLE_SECONDS = 0.5


def measure(plan: Plan) -> Iterator[Figure]:
    """Every size, each on a fresh agent."""
    for size in QUICK_SIZES if plan.quick else SIZES:
        plan.say(f"{NAME}: {size}")
        yield from _measure(plan, size)


def _measure(plan: Plan, size: Size) -> Iterator[Figure]:
    where = str(size)
    like = size == CONSUL_SIZE
    with plan.server() as server, fleet(server, size.proxies) as connected:
        idle = server.resident_bytes()
        build(server, size)
        time.sleep(SETTLE_SECONDS)
        registered, cpu = server.resident_bytes(), server.cpu_seconds()
        taken = [seconds * 1000 for seconds in connected.connect(proxies(size))]
        time.sleep(SETTLE_SECONDS)
        cpu, resident = server.cpu_seconds() - cpu, server.resident_bytes()
    yield Figure(
        NAME,
        where,
        "first configuration: until the last proxy is ready",
        max(taken),
        "ms",
        consul=consul.FIRST_CONFIGURATION_MS if like else None,
        samples=tuple(taken),
    )
    yield Figure(NAME, where, "first configuration: proxy in the middle", percentile(taken, 0.5), "ms")
    each = cpu / size.proxies * 1000
    yield Figure(NAME, where, "first configuration: server CPU for each proxy", each, "ms")
    yield Figure(NAME, where, "memory: agent alone", idle / 2**20, "MiB")
    yield Figure(NAME, where, "memory: with services, before proxies connect", registered / 2**20, "MiB")
    yield Figure(
        NAME,
        where,
        "memory: with all proxies connected",
        resident / 2**20,
        "MiB",
        consul=consul.RESIDENT_MB if like else None,
    )
    yield Figure(
        NAME,
        where,
        "memory: for each proxy",
        (resident - registered) / size.proxies / 1024,
        "KiB",
        consul=consul.PROXY_KB if like else None,
    )
