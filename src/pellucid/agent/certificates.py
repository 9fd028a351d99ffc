"""The mesh's identity at work: the root is made once and kept in the log, leaves are kept fresh.

This is the edge around `identity`: it has the clock and the timer. Leaves are handed to `derive` as
cells, so that a renewed leaf travels to proxies the way any other change does.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pellucid.derive.engine import Engine
from pellucid.derive.identity import ca_configuration, leaf_cell, roots
from pellucid.derive.instances import mesh_services
from pellucid.identity import rotation
from pellucid.identity.authority import Authority, SigningError, random_serial_number
from pellucid.identity.leaves import Leaf, LeafKeeper
from pellucid.identity.rotation import Succession, read_settings
from pellucid.model.identity import CaConfiguration
from pellucid.state.log import Log
from pellucid.state.mesh_tables import CA_CONFIGURATION, CA_ROOTS
from pellucid.state.tables import Change, Delete, Put

logger = logging.getLogger(__name__)

PRUNE_INTERVAL_SECONDS = 3600.0
"""How often rotated-out roots are looked at, as Consul does."""

LOOK_AT_CLOCK_SECONDS = 30.0
"""The longest wait for a renewal: the clock may have jumped, or the machine have slept."""

RETRY_SECONDS = 5.0
"""How long a renewal that could not be signed waits before it is tried again."""


class Certificates:
    """Issues, renews and rotates. One per agent."""

    def __init__(
        self, log: Log, engine: Engine, keeper: LeafKeeper, clock: Callable[[], float] = time.time
    ) -> None:
        self._log, self._engine, self._keeper, self._clock = log, engine, keeper, clock
        self._changed = asyncio.Event()
        self._roots = engine.subscribe(roots, self._changed.set)
        self._configuration = engine.subscribe(ca_configuration, self._changed.set)
        self._services = engine.subscribe(mesh_services, self._changed.set)
        self._provided: frozenset[str] = frozenset()

    @classmethod
    async def open(
        cls,
        log: Log,
        engine: Engine,
        datacenter: str,
        ca_config: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Certificates:
        """Make the mesh's identity if the log has none, and be ready to issue from it.

        ca_config: the CA settings a new mesh starts with. Raises CaConfigurationError.
        """
        if ca_configuration(engine.db) is None:
            settings = CaConfiguration(str(uuid.uuid4()), config=ca_config or rotation.DEFAULT_CONFIG)
            succession = rotation.start(settings, next_serial_number=random_serial_number, now=clock())
            await log.commit(changes_of(succession), expect={(CA_CONFIGURATION, ("ca",)): 0})
        authority, ttl_s = _signing_now(engine, datacenter)
        return cls(log, engine, LeafKeeper(authority, ttl_s=ttl_s), clock)

    def leaf(self, service: str) -> Leaf:
        """The leaf of a service: made on first need, kept fresh from then on.

        Raises SigningError when the root has expired.
        """
        leaf = self._keeper.leaf(service, self._clock())
        self._engine.set_cell(leaf_cell(service), leaf)
        self._changed.set()
        return leaf

    @property
    def authority(self) -> Authority:
        """What signs now; for the agent's own server certificate."""
        return self._keeper.authority

    async def run(self) -> None:
        """Renew what is due, follow rotations, prune roots: until cancelled."""
        prune_at = self._clock()
        while True:
            self._changed.clear()
            self._follow_configuration()
            self._follow_services()
            wait = self._renew()
            if self._clock() >= prune_at:
                await self._prune()
                prune_at = self._clock() + PRUNE_INTERVAL_SECONDS
            try:
                async with asyncio.timeout(min(wait, LOOK_AT_CLOCK_SECONDS)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def close(self) -> None:
        """Stop following the log."""
        for subscription in (self._roots, self._configuration, self._services):
            subscription.close()

    def _follow_configuration(self) -> None:
        authority, ttl_s = _signing_now(self._engine, self._keeper.authority.datacenter)
        self._keeper.use(authority, self._clock(), ttl_s=ttl_s)

    def _follow_services(self) -> None:
        """Have a leaf ready for every service with a sidecar, and none for those that are gone."""
        now = frozenset(self._services.value)
        try:
            for service in now - self._provided:
                self.leaf(service)
        except SigningError as error:
            logger.error("cannot issue leaf certificates: %s", error)
            return
        for service in self._provided - now:
            self._keeper.forget(service)
            self._engine.drop_cell(leaf_cell(service))
        self._provided = now

    def _renew(self) -> float:
        """Renew due leaves; returns the seconds until the next is due."""
        now = self._clock()
        try:
            for service in self._keeper.renew_due(now):
                self._engine.set_cell(leaf_cell(service), self._keeper.leaf(service, now))
        except SigningError as error:
            logger.error("cannot renew leaf certificates: %s", error)
            return RETRY_SECONDS
        due = self._keeper.next_due()
        return PRUNE_INTERVAL_SECONDS if due is None else max(due - now, 0.0)

    async def _prune(self) -> None:
        configuration = ca_configuration(self._engine.db)
        if configuration is None:
            return
        ttl_s = read_settings(configuration).leaf_cert_ttl_s
        gone = rotation.prunable(roots(self._engine.db), self._clock(), ttl_s)
        await self._log.commit([Delete(CA_ROOTS, (root_id,)) for root_id in gone])


def changes_of(succession: Succession) -> list[Change]:
    """The commit that brings a CA change about."""
    stored: list[Change] = [Put(CA_ROOTS, root) for root in succession.roots]
    return [*stored, Put(CA_CONFIGURATION, succession.configuration)]


def _signing_now(engine: Engine, datacenter: str) -> tuple[Authority, float]:
    configuration = ca_configuration(engine.db)
    active = rotation.active_root(roots(engine.db))
    if configuration is None or active is None:
        raise RuntimeError("the log has a CA configuration without an active root")
    return Authority(active, datacenter), read_settings(configuration).leaf_cert_ttl_s
