"""The certificate of the agent's own listeners, signed by an authority that is the server's alone.

Pods trust this authority from the moment they are made, and a rotation of the mesh's root must not keep them
from coming back, so it is another one: made once, kept in the log, valid for ten years. The certificate is
made anew well before it ends.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

import grpc

from pellucid.foundation.tls import show_certificate
from pellucid.identity.authority import Authority, new_root, random_serial_number
from pellucid.identity.leaves import Leaf, issue_server
from pellucid.state.log import Log
from pellucid.state.mesh_tables import SERVER_AUTHORITY
from pellucid.state.tables import Put

logger = logging.getLogger(__name__)

TTL = timedelta(hours=72)
RENEWED_AFTER = timedelta(hours=24)
BACKDATED = timedelta(hours=1)
"""Pods on a machine whose clock is behind take new certificates all the same."""
LOOK_AT_CLOCK_SECONDS = 30.0
"""How often the time is looked at: the clock may have jumped, or the machine have slept."""
_KEY = ("server",)


class OwnCertificate:
    """Shown by HTTPS and by xDS beyond this machine."""

    def __init__(
        self, authority: Authority, node: str, names: Sequence[str], clock: Callable[[], float] = time.time
    ) -> None:
        self._authority, self._node, self._names, self._clock = authority, node, names, clock
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """The server side of HTTPS."""
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.renew()

    @classmethod
    async def open(cls, log: Log, datacenter: str, node: str, names: Sequence[str]) -> OwnCertificate:
        """Make the authority if the log has none."""
        stored = log.head.get(SERVER_AUTHORITY, _KEY)
        if stored is None:
            made_at = time.time() - BACKDATED.total_seconds()
            root = new_root(str(uuid.uuid4()), serial_number=random_serial_number(), now=made_at)
            await log.commit([Put(SERVER_AUTHORITY, root)], expect={(SERVER_AUTHORITY, _KEY): 0})
        else:
            root = stored.value
        return cls(Authority(root, datacenter), node, names)

    @property
    def authority_pem(self) -> str:
        """What clients are to trust."""
        return self._authority.root.root_cert

    def renew(self) -> None:
        """Make a new certificate, and show it to new connections."""
        self._leaf = self._issued()
        self._renewal = self._clock() + RENEWED_AFTER.total_seconds()
        show_certificate(self.context, (self._leaf.private_key_pem + self._leaf.cert_chain_pem).encode())

    async def keep_fresh(self) -> None:
        """Renew in time, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_AT_CLOCK_SECONDS)
            self.renew_if_due()

    def renew_if_due(self) -> None:
        """Renew a certificate that has served its time."""
        if self._clock() >= self._renewal:
            self.renew()
            logger.info("renewed the certificate of the server's listeners")

    def credentials(self) -> grpc.ServerCredentials:
        """The server side of xDS."""

        def current() -> grpc.ServerCertificateConfiguration:
            pair = (self._leaf.private_key_pem.encode(), self._leaf.cert_chain_pem.encode())
            return grpc.ssl_server_certificate_configuration([pair])

        return grpc.dynamic_ssl_server_credentials(current(), current)

    def _issued(self) -> Leaf:
        since = self._clock() - BACKDATED.total_seconds()
        return issue_server(self._authority, self._node, self._names, now=since, ttl_s=TTL.total_seconds())
