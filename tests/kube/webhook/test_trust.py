"""The API server trusts what a webhook shows: at first, later, and whatever happens to either."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from lightkube import ApiError
from lightkube.models.admissionregistration_v1 import MutatingWebhook, ServiceReference, WebhookClientConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.core_v1 import Secret
from lightkube.types import PatchType

from pellucid.kube.webhook.authority import (
    AUTHORITY_LIFE,
    AUTHORITY_RENEWED_BEFORE_END,
    CERTIFICATE_LIFE,
    new_authority,
)
from pellucid.kube.webhook.trust import LOOK_AGAIN_S, RETRY_S, WebhookObjects, WebhookTrust
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.controllers.gate import gate_to

OBJECTS = WebhookObjects("default", "cfg", "injector-svc", "injector-cert")


NEAR_ITS_END = datetime.now(UTC) - AUTHORITY_LIFE + AUTHORITY_RENEWED_BEFORE_END + timedelta(days=1)
"""When an authority was made that is to be replaced in a day."""

NOBODY_CHECKS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
NOBODY_CHECKS.check_hostname = False
NOBODY_CHECKS.verify_mode = ssl.CERT_NONE


async def shown_to(
    client: ssl.SSLContext, replica: WebhookTrust, name: str = "injector-svc.default.svc"
) -> x509.Certificate:
    """The certificate that a replica shows. Raises ssl.SSLError if the client does not trust it."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=replica.context)
    try:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    finally:
        server.close()
    return x509.load_der_x509_certificate(shown)


def is_issued_by(certificate: x509.Certificate, bundle: str) -> bool:
    for issuer in x509.load_pem_x509_certificates(bundle.encode()):
        with suppress(ValueError, InvalidSignature):
            certificate.verify_directly_issued_by(issuer)
            return True
    return False


class Webhook:
    """The configuration and the Secret of a webhook."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def replica(self, **given: object) -> WebhookTrust:
        return WebhookTrust(self.cluster.client, OBJECTS, **given)  # type: ignore[arg-type]

    async def bundles(self) -> list[str]:
        """What the API server trusts, for each webhook of the configuration."""
        found = await self.cluster.client.get(MutatingWebhookConfiguration, "cfg")
        texts = [webhook.clientConfig.caBundle or "" for webhook in found.webhooks or ()]
        return [base64.b64decode(text).decode() for text in texts]

    async def bundle(self) -> str:
        return (await self.bundles())[0]

    async def shown_by(
        self, replica: WebhookTrust, name: str = "injector-svc.default.svc"
    ) -> x509.Certificate:
        """The certificate that a replica shows. Raises ssl.SSLError if the API server does not trust it."""
        return await shown_to(ssl.create_default_context(cadata=await self.bundle()), replica, name)

    async def secret(self) -> Secret:
        return await self.cluster.client.get(Secret, "injector-cert", namespace="default")

    async def authority_of(self, made: datetime) -> str:
        """Have the Secret hold an authority that was made then; its certificate."""
        pair = new_authority(made)
        data = {"ca.crt": pair.certificate, "ca.key": pair.key}
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
        metadata = ObjectMeta(name="injector-cert", namespace="default")
        await self.cluster.client.create(Secret(metadata=metadata, data=encoded))
        return pair.certificate


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    async with running_cluster(tmp_path) as cluster:
        service = ServiceReference(name="injector-svc", namespace="default", path="/mutate")
        webhooks = [
            MutatingWebhook(
                name=f"{name}.example.test",
                admissionReviewVersions=["v1"],
                sideEffects="None",
                clientConfig=WebhookClientConfig(service=service),
            )
            for name in ("a", "b")
        ]
        await cluster.client.create(
            MutatingWebhookConfiguration(metadata=ObjectMeta(name="cfg"), webhooks=webhooks)
        )
        yield Webhook(cluster)


async def test_the_first_look_makes_all_that_is_needed(webhook: Webhook) -> None:
    replica = webhook.replica()
    assert not replica.ready.is_set()
    await replica.put_right()
    assert replica.ready.is_set()
    assert len(set(await webhook.bundles())) == 1
    await webhook.shown_by(replica, "injector-svc.default")
    shown = await webhook.shown_by(replica)
    life = shown.not_valid_after_utc - shown.not_valid_before_utc
    assert CERTIFICATE_LIFE < life < CERTIFICATE_LIFE + timedelta(hours=1)


async def test_replicas_share_one_authority_and_each_has_a_certificate(webhook: Webhook) -> None:
    replicas = [webhook.replica() for _ in range(3)]
    await asyncio.gather(*(replica.put_right() for replica in replicas))
    serials = {(await webhook.shown_by(replica)).serial_number for replica in replicas}
    assert len(serials) == len(replicas)


async def test_what_somebody_else_writes_into_the_configuration_is_put_right(webhook: Webhook) -> None:
    replica = webhook.replica()
    await replica.put_right()
    before = await webhook.bundles()
    patch = [{"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": ""}]
    await webhook.cluster.client.patch(MutatingWebhookConfiguration, "cfg", patch, patch_type=PatchType.JSON)
    assert await webhook.bundles() != before
    await replica.put_right()
    assert await webhook.bundles() == before


async def test_nothing_is_written_when_all_is_right(webhook: Webhook) -> None:
    replica = webhook.replica()
    await replica.put_right()
    versions = [(await webhook.secret()).metadata]
    found = await webhook.cluster.client.get(MutatingWebhookConfiguration, "cfg")
    await replica.put_right()
    await webhook.replica().put_right()
    versions.append((await webhook.secret()).metadata)
    again = await webhook.cluster.client.get(MutatingWebhookConfiguration, "cfg")
    assert versions[0] == versions[1]
    assert found.metadata == again.metadata


@pytest.mark.parametrize("away", [CERTIFICATE_LIFE * 2, CERTIFICATE_LIFE * -2], ids=["behind", "ahead"])
async def test_a_certificate_that_is_not_valid_now_is_replaced_at_the_next_look(
    webhook: Webhook, away: timedelta
) -> None:
    """It has run out while the process was stopped, or the clock was wrong when it was made."""
    await webhook.authority_of(datetime.now(UTC) - timedelta(days=30))
    now = datetime.now(UTC) - away
    replica = webhook.replica(now=lambda: now)
    await replica.put_right()
    with pytest.raises(ssl.SSLCertVerificationError):
        await webhook.shown_by(replica)
    now += away
    await replica.put_right()
    await webhook.shown_by(replica)


async def test_a_certificate_is_replaced_when_half_its_life_is_over(webhook: Webhook) -> None:
    now = datetime.now(UTC)
    replica = webhook.replica(now=lambda: now)
    await replica.put_right()
    first = await shown_to(NOBODY_CHECKS, replica)
    now += CERTIFICATE_LIFE * 0.49
    await replica.put_right()
    assert await shown_to(NOBODY_CHECKS, replica) == first
    now += CERTIFICATE_LIFE * 0.02
    await replica.put_right()
    assert await shown_to(NOBODY_CHECKS, replica) != first


async def test_an_authority_near_its_end_is_replaced_with_no_moment_of_distrust(webhook: Webhook) -> None:
    old = await webhook.authority_of(NEAR_ITS_END)
    now = datetime.now(UTC)
    replicas = [webhook.replica(now=lambda: now) for _ in range(2)]
    for replica in replicas:
        await replica.put_right()
    assert await webhook.bundle() == old
    now += timedelta(days=2)
    for _ in range(3):
        # The API server may take as long as from one look to the next to notice a change.
        trusted_before = await webhook.bundle()
        for changing in replicas:
            await changing.put_right()
            trusted_now = await webhook.bundle()
            for replica in replicas:
                certificate = await shown_to(NOBODY_CHECKS, replica)
                assert is_issued_by(certificate, trusted_before)
                assert is_issued_by(certificate, trusted_now)
    assert trusted_now.endswith(old)
    assert not is_issued_by(await shown_to(NOBODY_CHECKS, replicas[0]), old)


async def test_replicas_that_replace_it_at_the_same_time_agree(webhook: Webhook) -> None:
    await webhook.authority_of(datetime.now(UTC) - AUTHORITY_LIFE)
    replicas = [webhook.replica() for _ in range(3)]
    results = await asyncio.gather(*(replica.put_right() for replica in replicas), return_exceptions=True)
    assert all(result is None or isinstance(result, ApiError) for result in results)
    for replica in replicas:
        await replica.put_right()
        await replica.put_right()
    for replica in replicas:
        await webhook.shown_by(replica)


async def test_an_authority_that_has_ended_is_not_trusted_any_more(webhook: Webhook) -> None:
    ended = await webhook.authority_of(datetime.now(UTC) - AUTHORITY_LIFE - timedelta(days=1))
    replica = webhook.replica()
    await replica.put_right()
    assert ended not in await webhook.bundle()
    await webhook.shown_by(replica)


async def test_replicas_whose_clocks_are_a_year_apart_leave_the_secret_small(webhook: Webhook) -> None:
    ahead = datetime.now(UTC) + AUTHORITY_LIFE
    replicas = [webhook.replica(), webhook.replica(now=lambda: ahead)]
    for _ in range(5):
        for replica in replicas:
            await replica.put_right()
    assert len(x509.load_pem_x509_certificates((await webhook.bundle()).encode())) <= 3


@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
@pytest.mark.parametrize(
    "text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
async def test_a_secret_of_nonsense_is_put_right(webhook: Webhook, name: str, text: str) -> None:
    replica = webhook.replica()
    await replica.put_right()
    secret = await webhook.secret()
    assert secret.data is not None
    secret.data[name] = base64.b64encode(text.encode()).decode()
    await webhook.cluster.client.replace(secret)
    await replica.put_right()
    await replica.put_right()
    await webhook.shown_by(replica)


async def test_a_secret_that_is_deleted_comes_back_as_it_was(webhook: Webhook) -> None:
    replica = webhook.replica()
    await replica.put_right()
    before, bundle = await webhook.secret(), await webhook.bundle()
    await webhook.cluster.client.delete(Secret, "injector-cert", namespace="default")
    await replica.put_right()
    assert (await webhook.secret()).data == before.data
    assert await webhook.bundle() == bundle


async def test_while_the_api_server_is_away_what_is_shown_stays_and_it_is_asked_again(
    webhook: Webhook,
) -> None:
    pauses: asyncio.Queue[float] = asyncio.Queue()
    go_on = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        pauses.put_nowait(seconds)
        await go_on.acquire()

    async with gate_to(webhook.cluster.served.port) as gate:
        client = webhook.cluster.client_through(gate.port)
        replica = WebhookTrust(client, OBJECTS, sleep=sleep)
        running = asyncio.create_task(replica.run())
        assert await pauses.get() == LOOK_AGAIN_S
        shown = await webhook.shown_by(replica)
        gate.shut()
        go_on.release()
        assert await pauses.get() == RETRY_S
        assert replica.ready.is_set()
        assert await webhook.shown_by(replica) == shown
        await gate.open()
        go_on.release()
        assert await pauses.get() == LOOK_AGAIN_S
        running.cancel()


def test_keys_are_not_printed() -> None:
    pair = new_authority(datetime.now(UTC))
    assert "PRIVATE" not in repr(pair)
