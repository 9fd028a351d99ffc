"""Which of several replicas leads: whoever holds a Lease.

A holder renews it; who cannot renew stops leading before others may take over. Clocks are compared with
themselves only: another's lease has run out when it has not changed for its duration by our own clock.

Source: Kubernetes docs, "Leases - Leader election"; client-go tools/leaderelection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from socket import gethostname
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from lightkube import ApiError, AsyncClient
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease

from pellucid.kube.server_client import reason_of

DURATION_S = 15.0
RENEW_WITHIN_S = 10.0
RETRY_S = 2.0
"""How often a holder renews."""
LOOK_S = 0.5
"""How often the others look: pods that leave while nobody leads are still called."""
ANSWER_WITHIN_S = 3.0
"""An API server that does not answer must not hold us past the end of the lease."""

log = structlog.get_logger("pellucid.kube.leader")


class Candidate(msgspec.Struct, frozen=True):
    """Who wants to lead, and the Lease that decides."""

    identity: str
    namespace: str
    lease: str


def identity_of(environment: Mapping[str, str]) -> str:
    """The pod's name; without one the host's, with what sets this process apart from others on it."""
    return environment.get("POD_NAME") or f"{gethostname()}_{uuid4()}"


class LeaderElection:
    """Runs work while we lead. clock: seconds that only go up, of the running loop by default."""

    def __init__(
        self,
        client: AsyncClient,
        candidate: Candidate,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self._client, self._candidate, self._sleep = client, candidate, sleep
        self._now = clock or asyncio.get_running_loop().time
        self._seen: tuple[str, datetime | None] = ("", None)
        self._seen_at = float("-inf")

    async def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait until we lead, work, and begin again when we do not any more; until cancelled."""
        while True:
            while not await self._tried():
                await self._sleep(LOOK_S)
            log.info("leading", lease=self._candidate.lease)
            working = asyncio.create_task(work())
            try:
                await self._held(working)
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
            if working.done() and not working.cancelled() and working.exception():
                log.error("the work of the leader failed", exc_info=working.exception())
                await self._sleep(RETRY_S)

    async def release(self) -> None:
        """Let the next one lead at once."""
        try:
            lease = await self._read()
            if lease is not None and lease.spec and lease.spec.holderIdentity == self._candidate.identity:
                lease.spec.holderIdentity = ""
                lease.spec.leaseDurationSeconds = 1
                await self._client.replace(lease)
        except Exception as problem:
            log.warning("the lease was not released", reason=str(problem))

    async def _held(self, working: asyncio.Task[None]) -> None:
        """Renew until another has the lease, that fails for too long, or the work ends."""
        renewed_at = self._now()
        while not working.done():
            await self._pause(working)
            # The lease counts from before it is written, whenever the answer arrives.
            asked_at = self._now()
            held = await self._tried()
            if held:
                renewed_at = asked_at
            elif held is False or self._now() - renewed_at > RENEW_WITHIN_S - ANSWER_WITHIN_S:
                log.warning("not leading any more", lease=self._candidate.lease)
                return

    async def _pause(self, working: asyncio.Task[None]) -> None:
        pausing = asyncio.create_task(self._sleep(RETRY_S))
        try:
            await asyncio.wait((working, pausing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pausing.cancel()

    async def _tried(self) -> bool | None:
        """Take or renew the lease; False if another has it, None if nobody can say."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._acquired()
        except ApiError as error:
            # A conflict is somebody who was quicker; the next look says who.
            if error.status.code != HTTPStatus.CONFLICT:
                log.warning("the lease cannot be had", reason=str(error))
        except TimeoutError:
            log.warning("the lease cannot be had", reason=f"no answer within {ANSWER_WITHIN_S:g} s")
        except Exception as problem:
            log.warning("the lease cannot be had", reason=reason_of(problem))
        return None

    async def _acquired(self) -> bool:
        now = datetime.now(UTC)
        lease = await self._read()
        if lease is None:
            await self._client.create(self._new(now))
            return True
        spec = lease.spec or LeaseSpec()
        if spec.holderIdentity and spec.holderIdentity != self._candidate.identity:
            if not self._has_run_out(spec):
                return False
            spec.leaseTransitions = (spec.leaseTransitions or 0) + 1
            spec.acquireTime = now
        spec.holderIdentity = self._candidate.identity
        spec.leaseDurationSeconds = int(DURATION_S)
        spec.renewTime = now
        lease.spec = spec
        await self._client.replace(lease)
        return True

    def _has_run_out(self, spec: LeaseSpec) -> bool:
        state = (spec.holderIdentity or "", spec.renewTime)
        if state != self._seen:
            self._seen, self._seen_at = state, self._now()
        return self._now() - self._seen_at > (spec.leaseDurationSeconds or DURATION_S)

    async def _read(self) -> Lease | None:
        try:
            return await self._client.get(Lease, self._candidate.lease, namespace=self._candidate.namespace)
        except ApiError as error:
            if error.status.code == HTTPStatus.NOT_FOUND:
                return None
            raise

    def _new(self, now: datetime) -> Lease:
        return Lease(
            metadata=ObjectMeta(name=self._candidate.lease, namespace=self._candidate.namespace),
            spec=LeaseSpec(
                holderIdentity=self._candidate.identity,
                leaseDurationSeconds=int(DURATION_S),
                acquireTime=now,
                renewTime=now,
            ),
        )
