"""Fan-out: what one change costs, and how long until the last proxy that it concerns has it.

Latency runs from the write's answer to the moment when the last proxy has acknowledged the last message
that came of the change. CPU and counters are the server's, the write itself included, by the change.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench import consul_figures as consul
from bench.figures import Figure, percentile
from bench.fleet import Fleet, fleet
from bench.mesh import (
    Size,
    add_instance,
    build,
    instance_id,
    intend,
    intend_nothing,
    proxies,
    proxies_of,
    remove_instance,
    service_name,
    set_protocol,
)
from bench.plan import Plan
from bench.server import Server

NAME = "fan-out"
SIZES = (
    Size(services=20, proxies=10),
    Size(services=20, proxies=100),
    Size(services=100, proxies=100),
    Size(services=100, proxies=1_000),
    Size(services=100, proxies=1_000, allows=3),
)
QUICK_SIZES = (Size(services=20, proxies=10), Size(services=20, proxies=100))
CHANGED = 7
"""The number of the service that changes."""
ROUNDS, MANY_PROXIES_ROUNDS, QUICK_ROUNDS = 40, 20, 12
"""Changes of a kind that are measured; even, since each is made and unmade."""
MANY_PROXIES = 1_000
WARM_UP = 2
"""Changes of a kind that are made first and not measured."""

CONSUL_SIZE = Size(services=20, proxies=100)
CONSUL = {"endpoint": (consul.ENDPOINT_MS, consul.ENDPOINT_CPU_MS)}
CONSUL["intention for all callers"] = (consul.INTENTION_MS, consul.INTENTION_CPU_MS)

COUNTERS = (
    ("derive.evaluated", "queries run"),
    ("derive.cut_off", "of those cut off"),
    ("xds.server.built", "resources built"),
    ("xds.server.resources", "resources sent"),
    ("xds.server.bytes", "bytes sent"),
)


@dataclass(frozen=True)
class Change:
    """A kind of change that is made and unmade in turns."""

    kind: str
    concerns: Sequence[str]
    """The proxies that have to hear of it."""
    make: Callable[[], None]
    unmake: Callable[[], None]


def measure(plan: Plan) -> Iterator[Figure]:
    """Every size, every kind of change."""
    for size in QUICK_SIZES if plan.quick else SIZES:
        plan.say(f"{NAME}: {size}")
        with plan.server() as server, fleet(server, size.proxies) as connected:
            build(server, size)
            connected.connect(proxies(size))
            connected.arm(())
            connected.seen()
            for change in _changes(server, size):
                yield from _measure(server, connected, size, change, _rounds(plan, size))


def _rounds(plan: Plan, size: Size) -> int:
    if plan.quick:
        return QUICK_ROUNDS
    return MANY_PROXIES_ROUNDS if size.proxies >= MANY_PROXIES else ROUNDS


def _changes(server: Server, size: Size) -> Iterator[Change]:
    name = service_name(CHANGED)
    number = size.instances
    extra = instance_id(size, CHANGED + size.services * number)
    own = proxies_of(size, [CHANGED])
    if size.allows is None:
        others = [each for each in proxies(size) if each not in set(own)]
    else:
        others = proxies_of(size, [CHANGED - step for step in range(1, size.allows + 1)])
    yield Change(
        "endpoint",
        others,
        lambda: add_instance(server, CHANGED, extra, number),
        lambda: remove_instance(server, extra),
    )
    if size.allows is None:
        yield Change(
            "intention for all callers",
            proxies(size),
            lambda: intend(server, "*", name, "deny"),
            lambda: intend_nothing(server, "*", name),
        )
    pair = service_name((CHANGED + 1) % size.services), name
    yield Change(
        "intention between two services",
        proxies_of(size, [CHANGED, CHANGED + 1]),
        lambda: intend(server, *pair, "deny" if size.allows is None else "allow"),
        lambda: intend_nothing(server, *pair),
    )
    yield Change(
        "config",
        others,
        lambda: set_protocol(server, name, "http"),
        lambda: set_protocol(server, name, "tcp"),
    )


def _measure(server: Server, connected: Fleet, size: Size, change: Change, rounds: int) -> Iterator[Figure]:
    for turn in range(WARM_UP):
        _once(connected, change, turn)
    time.sleep(0.3)
    cpu, before = server.cpu_seconds(), server.counters()
    latencies: list[float] = []
    reached: list[int] = []
    messages: list[int] = []
    for turn in range(rounds):
        latency, heard, count = _once(connected, change, turn)
        latencies.append(latency)
        reached.append(heard)
        messages.append(count)
    cpu, after = server.cpu_seconds() - cpu, server.counters()
    reference, reference_cpu = CONSUL.get(change.kind, ({}, None)) if size == CONSUL_SIZE else ({}, None)
    what = f"{change.kind} change"
    told = f"reaches {statistics.median(reached):.0f} proxies in {statistics.median(messages):.0f} messages"
    values = {
        "p50": percentile(latencies, 0.50),
        "p99": percentile(latencies, 0.99),
        "max": max(latencies),
    }
    for rank, value in values.items():
        yield Figure(
            NAME,
            str(size),
            f"{what}: write to last proxy, {rank}",
            value,
            "ms",
            consul=reference.get(rank),
            samples=tuple(latencies) if rank == "p50" else (),
            note=told if rank == "p50" else "",
        )
    yield Figure(NAME, str(size), f"{what}: server CPU", cpu / rounds * 1000, "ms", consul=reference_cpu)
    for counter, shown in COUNTERS:
        if counter in before and counter in after:
            each = (after[counter] - before[counter]) / rounds
            yield Figure(NAME, str(size), f"{what}: {shown}", each, "")


def _once(connected: Fleet, change: Change, turn: int) -> tuple[float, int, int]:
    """Milliseconds to the last proxy, how many proxies heard of it, and in how many messages."""
    connected.arm(change.concerns)
    (change.unmake if turn % 2 else change.make)()
    answered = time.monotonic()
    seen = connected.seen()
    return (max(seen.last.values()) - answered) * 1000, len(seen.last), seen.messages
