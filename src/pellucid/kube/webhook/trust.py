"""Keeps the API server's trust in the webhook.

One authority for all replicas, in their Secret; its certificate in the webhook configuration, whoever edits
that; and a fresh certificate of our own. When the authority changes, the API server is told of the new one
beside the old one first, and certificates of the new one are shown a little later: at no moment does an
replica show what the API server does not trust yet, or no more.

Source: Kubernetes docs, "Dynamic Admission Control - Contacting the webhook" (caBundle).
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
import structlog
from lightkube import ApiError, AsyncClient
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.core_v1 import Secret
from lightkube.types import PatchType

from pellucid.foundation.tls import show_certificate
from pellucid.kube.server_client import reason_of
from pellucid.kube.webhook.authority import (
    CERTIFICATE_LIFE,
    Authority,
    is_usable,
    new_authority,
    new_certificate,
    succeeded,
)

LOOK_AGAIN_S = 5.0
RETRY_S = 1.0
_CERTIFICATES, _KEY = "ca.crt", "ca.key"

log = structlog.get_logger("pellucid.kube.webhook")


class WebhookObjects(msgspec.Struct, frozen=True):
    """Names of the API objects that are ours: the Secret and the Service in `namespace`."""

    namespace: str
    configuration: str
    service: str
    secret: str

    @property
    def server_names(self) -> tuple[str, ...]:
        """What the API server dials."""
        return (f"{self.service}.{self.namespace}.svc", f"{self.service}.{self.namespace}")


class WebhookTrust:
    """`context` is the server side of TLS; `ready` is set once the API server can trust it."""

    def __init__(
        self,
        client: AsyncClient,
        objects: WebhookObjects,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client, self._objects, self._now, self._sleep = client, objects, now, sleep
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ready = asyncio.Event()
        self._shown: tuple[Authority, datetime] | None = None
        """Whose certificate is shown, and since when."""
        self._published = ""
        """What the configuration held after our last look."""
        self._problem = ""

    async def run(self) -> None:
        """Put right what is not, until cancelled."""
        while True:
            try:
                await self.put_right()
            except Exception as problem:
                # The API server may be away; meanwhile the certificate that is shown goes on being right.
                self._tell(reason_of(problem))
                await self._sleep(RETRY_S)
            else:
                self._problem = ""
                await self._sleep(LOOK_AGAIN_S)

    async def put_right(self) -> None:
        """Look once at all that has to be right. Raises what the client raises."""
        authority = await self._shared_authority()
        await self._publish(authority)
        is_known, self._published = self._published == authority.bundle, authority.bundle
        # The API server needs a moment to notice; the next look is soon enough.
        if self._is_shown(authority) or (self._shown_is_trusted_by(authority) and not is_known):
            return
        self._show(authority)
        self.ready.set()

    def _show(self, authority: Authority) -> None:
        now = self._now()
        shown = new_certificate(authority.pair, self._objects.server_names, now)
        show_certificate(self.context, (shown.key + shown.certificate).encode())
        self._shown = (authority, now)
        log.info("a new webhook certificate", names=self._objects.server_names)

    def _is_shown(self, authority: Authority) -> bool:
        """True while what is shown is of this authority and has much of its life before it."""
        if self._shown is None or self._shown[0].pair != authority.pair:
            return False
        age = self._now() - self._shown[1]
        return abs(age) < CERTIFICATE_LIFE / 2

    def _shown_is_trusted_by(self, authority: Authority) -> bool:
        return self._shown is not None and self._shown[0].pair.certificate in authority.bundle

    async def _shared_authority(self) -> Authority:
        """The authority in the Secret; made there if it is missing or near its end."""
        try:
            secret = await self._client.get(Secret, self._objects.secret, namespace=self._objects.namespace)
        except ApiError as error:
            if error.status.code != HTTPStatus.NOT_FOUND:
                raise
            return await self._created()
        found = _authority_in(secret)
        if is_usable(found, self._now()):
            return found
        successor = succeeded(found, new_authority(self._now()), self._now())
        secret.data = _data(successor)
        await self._client.replace(secret)
        log.info("a new webhook authority", secret=self._objects.secret)
        return successor

    async def _created(self) -> Authority:
        """Ours, if there was one before the Secret was deleted. Another replica may be quicker."""
        kept = self._shown[0] if self._shown else None
        usable = kept if kept and is_usable(kept, self._now()) else Authority.of(new_authority(self._now()))
        name, namespace = self._objects.secret, self._objects.namespace
        secret = Secret(
            metadata=ObjectMeta(name=name, namespace=namespace), type="Opaque", data=_data(usable)
        )
        try:
            await self._client.create(secret)
        except ApiError as error:
            if error.status.code != HTTPStatus.CONFLICT:
                raise
            return _authority_in(await self._client.get(Secret, name, namespace=namespace))
        return usable

    async def _publish(self, authority: Authority) -> None:
        """Write the authority into the webhook configuration, if something else is there."""
        name = self._objects.configuration
        found = await self._client.get(MutatingWebhookConfiguration, name)
        wanted = base64.b64encode(authority.bundle.encode()).decode()
        operations = [
            {"op": "add", "path": f"/webhooks/{number}/clientConfig/caBundle", "value": wanted}
            for number, webhook in enumerate(found.webhooks or ())
            if webhook.clientConfig.caBundle != wanted
        ]
        if operations:
            await self._client.patch(
                MutatingWebhookConfiguration, name, operations, patch_type=PatchType.JSON
            )
            log.info("published the webhook's authority", configuration=name)

    def _tell(self, problem: str) -> None:
        """Once for as long as it lasts."""
        if problem != self._problem:
            log.warning("the webhook's certificate could not be looked after", reason=problem)
            self._problem = problem


def _authority_in(secret: Secret) -> Authority:
    data = secret.data or {}
    certificates, key = (
        base64.b64decode(data.get(name, "")).decode("ascii", "replace") for name in (_CERTIFICATES, _KEY)
    )
    return Authority(certificates, key)


def _data(authority: Authority) -> dict[str, str]:
    texts = {_CERTIFICATES: authority.bundle, _KEY: authority.key}
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
