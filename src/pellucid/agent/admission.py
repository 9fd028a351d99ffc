"""Who may open an xDS stream for which proxy.

Programs on this machine (loopback, unix socket) may ask for any proxy registered here, as with Consul.
From anywhere else a stream needs the workload credential of the very instance it names, so that no caller
is handed another service's key. A credential that is given is checked, wherever it comes from.

It is checked on for as long as the stream is open. The stream ends when the registration goes, or when the
credential is replaced; but not when the same pod replaced it by logging in again: that pod proved anew who it
is, and its Envoy need not be interrupted. New streams need the new credential.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable

import grpc

from pellucid.derive.engine import Engine
from pellucid.derive.proxies import ProxyPlace, credential_of, proxy_place
from pellucid.identity.credentials import PREFIX, is_secret_of
from pellucid.model.identity import WorkloadCredential
from pellucid.xds.server import Admitted, StreamRefused

logger = logging.getLogger(__name__)


class XdsAdmission:
    """Decides on each new stream. Implements `Admission`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def admit(
        self, proxy_id: str, credential: str, peer: str, end: Callable[[StreamRefused], None]
    ) -> Admitted:
        """The proxy, once it is registered. Raises StreamRefused.

        Tokens that are no workload credentials are passed over: they are for access control lists.
        """
        offered = credential if credential.startswith(PREFIX) else ""
        if not offered and not is_local(peer):
            raise StreamRefused(
                grpc.StatusCode.UNAUTHENTICATED,
                f'proxy "{proxy_id}": from another machine, xDS needs the workload credential that the '
                "registration was answered with, as x-consul-token",
            )
        place = await self._registered(proxy_id)
        if not offered:
            return Admitted(place.node, place.service_id)
        held = credential_of(self._engine.db, place.node, place.service_id)
        if held is None or not is_secret_of(held, offered):
            raise StreamRefused(
                grpc.StatusCode.PERMISSION_DENIED,
                f'permission denied: the workload credential is not that of proxy "{proxy_id}"',
            )
        return Admitted(place.node, place.service_id, self._watch(proxy_id, held, end))

    def _watch(
        self, proxy_id: str, shown: WorkloadCredential, end: Callable[[StreamRefused], None]
    ) -> Callable[[], None]:
        """End the stream once what was shown counts no more; what is returned stops watching."""

        def look() -> None:
            held = subscription.value
            if held is None or not held.has_same_holder(shown):
                fate = "replaced" if held else "removed with its registration"
                end(
                    StreamRefused(
                        grpc.StatusCode.PERMISSION_DENIED,
                        f'permission denied: the workload credential of proxy "{proxy_id}" was {fate}',
                    )
                )

        subscription = self._engine.subscribe(credential_of, look, shown.node, shown.service_id)
        return subscription.close

    async def _registered(self, proxy_id: str) -> ProxyPlace:
        changed = asyncio.Event()
        subscription = self._engine.subscribe(proxy_place, changed.set, proxy_id)
        try:
            while (place := subscription.value) is None:
                logger.info("xDS stream of proxy %r waits: no such proxy is registered", proxy_id)
                await changed.wait()
                changed.clear()
            return place
        finally:
            subscription.close()


def is_local(peer: str) -> bool:
    """True for a peer on this machine. peer: as gRPC names it."""
    scheme, _, rest = peer.partition(":")
    if scheme in ("unix", "unix-abstract"):
        return True
    host = rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
