"""The mesh's identity at work: made once, handed out fresh, rotated without dropping anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from pellucid.agent.certificates import Certificates, changes_of
from pellucid.derive.engine import Engine
from pellucid.derive.identity import ca_configuration, leaf, roots, trust_bundle, trust_domain
from pellucid.identity import rotation
from pellucid.identity.authority import random_serial_number
from pellucid.model.services import Proxy, Service, ServiceKind
from pellucid.state.log import Log
from pellucid.state.mesh_tables import SERVICES
from pellucid.state.tables import Delete, Put

HOUR = 3600.0
START = 1_800_000_000.0


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Identity:
    """A log, an engine and certificates over them, on a clock of their own."""

    def __init__(self, log: Log, engine: Engine, certificates: Certificates, clock: Clock) -> None:
        self.log, self.engine, self.certificates, self.clock = log, engine, certificates, clock

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self.engine.settle()
                await asyncio.sleep(0)

    async def set_clock(self, now: float) -> None:
        """Move the clock and wake whoever waits on it."""
        self.clock.now = now
        self.certificates.leaf("wake")


@asynccontextmanager
async def identity(log: Log | None = None) -> AsyncIterator[Identity]:
    log = log or Log()
    engine, clock = Engine(log.snapshot()), Clock()
    log.listen(engine.apply)
    certificates = await Certificates.open(log, engine, "dc1", clock=clock)
    task = asyncio.create_task(certificates.run())
    try:
        yield Identity(log, engine, certificates, clock)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        certificates.close()


def sidecar_of(service: str) -> Put[Service]:
    proxy = Proxy(destination_service_name=service)
    return Put(SERVICES, Service("n1", f"{service}-proxy", "x", ServiceKind.CONNECT_PROXY, proxy=proxy))


async def test_the_root_is_made_once_and_kept() -> None:
    log = Log()
    async with identity(log) as first:
        made = roots(first.engine.db)
        domain = trust_domain(first.engine.db)
    async with identity(log) as second:
        assert roots(second.engine.db) == made
        assert trust_domain(second.engine.db) == domain
    assert len(made) == 1
    assert made[0].active


async def test_every_service_with_a_sidecar_has_a_leaf_and_loses_it_with_the_last() -> None:
    async with identity() as mesh:
        await mesh.log.commit([sidecar_of("web")])
        await mesh.until(lambda: leaf(mesh.engine.db, "web") is not None)
        held = leaf(mesh.engine.db, "web")
        assert held is not None
        assert held.spiffe_uri.endswith("/ns/default/dc/dc1/svc/web")
        await mesh.log.commit([Delete(SERVICES, ("n1", "web-proxy"))])
        await mesh.until(lambda: leaf(mesh.engine.db, "web") is None)


async def test_a_leaf_is_renewed_before_it_ends() -> None:
    async with identity() as mesh:
        await mesh.log.commit([sidecar_of("web")])
        await mesh.until(lambda: leaf(mesh.engine.db, "web") is not None)
        old = leaf(mesh.engine.db, "web")
        assert old is not None
        await mesh.set_clock(START + 0.91 * 72 * HOUR)
        await mesh.until(lambda: leaf(mesh.engine.db, "web") != old)


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
async def test_a_clock_that_jumps_an_hour_leaves_everybody_with_a_valid_leaf(jump: float) -> None:
    async with identity() as mesh:
        await mesh.log.commit([sidecar_of("web")])
        await mesh.until(lambda: leaf(mesh.engine.db, "web") is not None)
        await mesh.set_clock(START + jump)

        def valid() -> bool:
            held = leaf(mesh.engine.db, "web")
            return held is not None and held.valid_after <= mesh.clock.now < held.valid_before

        await mesh.until(valid)


async def test_a_rotation_trusts_both_roots_and_renews_every_leaf() -> None:
    async with identity() as mesh:
        await mesh.log.commit([sidecar_of("web")])
        await mesh.until(lambda: leaf(mesh.engine.db, "web") is not None)
        old = leaf(mesh.engine.db, "web")
        assert old is not None
        before = trust_bundle(mesh.engine.db)
        current = ca_configuration(mesh.engine.db)
        assert current is not None
        wanted = msgspec.structs.replace(current, config={"PrivateKeyBits": 384})
        succession = rotation.change(
            current,
            wanted,
            roots(mesh.engine.db),
            next_serial_number=random_serial_number,
            now=mesh.clock.now,
        )
        await mesh.log.commit(changes_of(succession))
        mesh.engine.settle()
        assert before in trust_bundle(mesh.engine.db)
        assert len(roots(mesh.engine.db)) == 2
        await mesh.until(lambda: mesh.certificates.authority.root.id != old.root_id)
        await mesh.set_clock(START + 31)
        await mesh.until(lambda: getattr(leaf(mesh.engine.db, "web"), "root_id", "") != old.root_id)


async def test_a_root_that_nobody_needs_any_more_is_pruned() -> None:
    async with identity() as mesh:
        current = ca_configuration(mesh.engine.db)
        assert current is not None
        wanted = msgspec.structs.replace(current, config={"PrivateKeyBits": 384})
        succession = rotation.change(
            current, wanted, roots(mesh.engine.db), next_serial_number=random_serial_number, now=START
        )
        await mesh.log.commit(changes_of(succession))
        await mesh.set_clock(START + 3 * 72 * HOUR)
        await mesh.until(lambda: len(roots(mesh.engine.db)) == 1)
        assert roots(mesh.engine.db)[0].active
