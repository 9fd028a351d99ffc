"""Keeps the API server's trust in the webhook.

One authority for all injectors, in their Secret; its certificate in the webhook configuration, whoever edits
that; and a fresh certificate of our own.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import structlog
from lightkube import ApiError, AsyncClient
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.core_v1 import Secret
from lightkube.types import PatchType

from pellucid.kube.webhook_authority import CERTIFICATE_LIFE, Pair, is_due, new_authority, new_certificate

LOOK_AGAIN_S = 5.0
RETRY_S = 1.0
_CERTIFICATE, _KEY = "ca.crt", "ca.key"

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

    def __init__(self, client: AsyncClient, objects: WebhookObjects) -> None:
        self._client, self._objects = client, objects
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ready = asyncio.Event()
        self._authority = Pair("", "")
        self._renewed_at: datetime | None = None

    async def run(self) -> None:
        """Put right what is not, until cancelled."""
        while True:
            try:
                await self._put_right()
            except Exception as problem:
                # The API server may be away; meanwhile the certificate that is shown goes on being right.
                log.warning("the webhook's certificate could not be looked after", reason=str(problem))
                await asyncio.sleep(RETRY_S)
            else:
                self.ready.set()
                await asyncio.sleep(LOOK_AGAIN_S)

    async def _put_right(self) -> None:
        now = datetime.now(UTC)
        authority = await self._shared_authority(now)
        if authority != self._authority or self._is_due(now):
            self._authority = authority
            self._renewed_at = now
            _load(self.context, new_certificate(authority, self._objects.server_names, now))
            log.info("a new webhook certificate", names=self._objects.server_names)
        await self._publish(authority.certificate)

    def _is_due(self, now: datetime) -> bool:
        return self._renewed_at is None or now - self._renewed_at > CERTIFICATE_LIFE / 2

    async def _shared_authority(self, now: datetime) -> Pair:
        """The authority in the Secret; made there if it is missing or near its end."""
        name, namespace = self._objects.secret, self._objects.namespace
        try:
            secret = await self._client.get(Secret, name, namespace=namespace)
        except ApiError as error:
            if error.status.code != 404:
                raise
            return await self._created(now)
        found = _pair_in(secret)
        if not is_due(found.certificate, now):
            return found
        authority = new_authority(now)
        secret.data = _data(authority)
        await self._client.replace(secret)
        return authority

    async def _created(self, now: datetime) -> Pair:
        """Another injector may be quicker; then it is that one's authority that counts."""
        authority = new_authority(now)
        name, namespace = self._objects.secret, self._objects.namespace
        secret = Secret(metadata=ObjectMeta(name=name, namespace=namespace), data=_data(authority))
        try:
            await self._client.create(secret)
        except ApiError as error:
            if error.status.code != 409:
                raise
            return _pair_in(await self._client.get(Secret, name, namespace=namespace))
        return authority

    async def _publish(self, certificate_pem: str) -> None:
        """Write the authority into the webhook configuration, if something else is there."""
        name = self._objects.configuration
        found = await self._client.get(MutatingWebhookConfiguration, name)
        wanted = base64.b64encode(certificate_pem.encode()).decode()
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


def _pair_in(secret: Secret) -> Pair:
    data = secret.data or {}
    return Pair(*(base64.b64decode(data.get(name, "")).decode() for name in (_CERTIFICATE, _KEY)))


def _data(authority: Pair) -> dict[str, str]:
    values: Sequence[tuple[str, str]] = ((_CERTIFICATE, authority.certificate), (_KEY, authority.key))
    return {name: base64.b64encode(text.encode()).decode() for name, text in values}


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """Show a certificate to new connections. `ssl` reads files only, so the key is in one that is nowhere."""
    descriptor = os.memfd_create("webhook-certificate", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write((pair.key + pair.certificate).encode())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
