"""A component of the Helm chart as a process, between an API server and whoever asks its webhook."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from lightkube.models.admissionregistration_v1 import MutatingWebhook, ServiceReference, WebhookClientConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration

from pellucid.kube.webhook.server import listening
from tests.kube.controllers.cluster import Cluster

SERVICE = "webhook-svc"
SERVER_NAME = f"{SERVICE}.default.svc"
CONFIGURATION = "cfg"
SECRET = "webhook-cert"
LEASE = "one-leads"


def free_port() -> int:
    with listening("127.0.0.1", 0) as free:
        return int(free.getsockname()[1])


async def configure_webhook(cluster: Cluster) -> None:
    """The webhook configuration that the replicas are to keep trusting them."""
    webhook = MutatingWebhook(
        name="webhook.example.test",
        admissionReviewVersions=["v1"],
        sideEffects="None",
        clientConfig=WebhookClientConfig(
            service=ServiceReference(name=SERVICE, namespace="default", path="/mutate")
        ),
    )
    await cluster.client.create(
        MutatingWebhookConfiguration(metadata=ObjectMeta(name=CONFIGURATION), webhooks=[webhook])
    )


class ReplicaProcess:
    """A process, and a client that talks to it as the API server does."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.lines: list[str] = []
        self.client = httpx2.AsyncClient()

    async def says(self, *phrases: str) -> str:
        """Wait for a line of its log in which one of these phrases is."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            async for line in self.process.stdout:
                self.lines.append(line.decode())
                if any(phrase in self.lines[-1] for phrase in phrases):
                    return self.lines[-1]
        raise AssertionError("".join(self.lines))

    async def is_up(self) -> None:
        """Wait until it both leads and shows what the API server trusts, whichever comes first."""
        line = await self.says("leading", "new webhook certificate")
        await self.says("leading" if "certificate" in line else "new webhook certificate")

    async def trusted_by(self, cluster: Cluster) -> None:
        """Talk to it as the API server of this cluster would."""
        found = await cluster.client.get(MutatingWebhookConfiguration, CONFIGURATION)
        assert found.webhooks
        bundle = base64.b64decode(found.webhooks[0].clientConfig.caBundle or "").decode()
        self.client = httpx2.AsyncClient(
            base_url=f"https://127.0.0.1:{self.port}",
            verify=ssl.create_default_context(cadata=bundle),
            trust_env=False,
        )

    async def asked(self, path: str, review: object = None) -> httpx2.Response:
        """Its answer to a GET, or to a review."""
        method = "GET" if review is None else "POST"
        return await self.client.request(method, path, json=review, extensions={"sni_hostname": SERVER_NAME})


@asynccontextmanager
async def replica_process(
    command: str, kubeconfig: Path, directory: Path, further: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[ReplicaProcess]:
    """`pellucid k8s <command>`, not necessarily ready yet."""
    authority, token, port = directory / "ca.pem", directory / "token", free_port()
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    token.write_text("token")
    inherited = {name: value for name, value in os.environ.items() if name != "POD_NAME"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pellucid", "k8s", command, f"-listen=127.0.0.1:{port}"),
        *(f"-webhook-configuration={CONFIGURATION}", f"-webhook-service={SERVICE}"),
        *(f"-webhook-secret={SECRET}", f"-leader-lease={LEASE}", "-http-addr=https://127.0.0.1:1"),
        *(f"-server-ca-file={authority}", f"-token-file={token}"),
        *further,
        env={**inherited, "KUBECONFIG": str(kubeconfig), "POD_NAMESPACE": "default", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = ReplicaProcess(process, port)
    try:
        yield running
    finally:
        await running.client.aclose()
        if process.returncode is None:
            process.kill()
        await process.wait()
