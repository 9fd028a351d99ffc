"""The injector's process, between an API server and whoever creates pods."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lightkube.models.admissionregistration_v1 import MutatingWebhook, ServiceReference, WebhookClientConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Secret

from pellucid.kube.webhook_server import listening
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.controllers.gate import gate_to
from tests.kube.injector.pods import Pod, pod

NAME = "injector-svc.default.svc"


def free_port() -> int:
    with listening("127.0.0.1", 0) as free:
        return int(free.getsockname()[1])


class Injector:
    """A process, and a client that talks to it as the API server does."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, metrics_port: int) -> None:
        self.process = process
        self.port = port
        self.metrics_port = metrics_port
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
        found = await cluster.client.get(MutatingWebhookConfiguration, "cfg")
        assert found.webhooks
        bundle = base64.b64decode(found.webhooks[0].clientConfig.caBundle or "").decode()
        trusting = ssl.create_default_context(cadata=bundle)
        self.client = httpx2.AsyncClient(
            base_url=f"https://127.0.0.1:{self.port}", verify=trusting, trust_env=False
        )

    async def review(self, author: Pod) -> httpx2.Response:
        request = {"uid": "u", "namespace": "default", "object": author}
        return await self.client.post(
            "/mutate",
            json={"apiVersion": "admission.k8s.io/v1", "request": request},
            extensions={"sni_hostname": NAME},
        )


@asynccontextmanager
async def injector(
    cluster: Cluster, directory: Path, *further: str, api_port: int = 0
) -> AsyncIterator[Injector]:
    """The process, not necessarily ready yet. api_port: another way to the API server."""
    authority, token, config = directory / "ca.pem", directory / "token", directory / "injectors-config"
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    token.write_text("token")
    own, port, metrics_port = str(cluster.served.port), free_port(), free_port()
    config.write_text(cluster.served.kubeconfig.read_text().replace(own, str(api_port or own)))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pellucid", "k8s", "inject-connect"),
        *(f"-listen=127.0.0.1:{port}", f"-metrics-listen=127.0.0.1:{metrics_port}"),
        *("-webhook-configuration=cfg", "-webhook-service=injector-svc", "-webhook-secret=injector-cert"),
        *("-leader-lease=injector", "-image=pellucid/pellucid:test", "-token-audience=mesh"),
        *("-http-addr=https://127.0.0.1:1", "-grpc-addr=127.0.0.1:1"),
        *(f"-server-ca-file={authority}", f"-token-file={token}", "-allow-k8s-namespace=*"),
        *further,
        env={**os.environ, "KUBECONFIG": str(config), "POD_NAME": directory.name, "POD_NAMESPACE": "default"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Injector(process, port, metrics_port)
    try:
        yield running
    finally:
        await running.client.aclose()
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        service = ServiceReference(name="injector-svc", namespace="default", path="/mutate")
        webhook = MutatingWebhook(
            name="injector.example.test",
            admissionReviewVersions=["v1"],
            sideEffects="None",
            clientConfig=WebhookClientConfig(service=service),
        )
        await running.client.create(
            MutatingWebhookConfiguration(metadata=ObjectMeta(name="cfg"), webhooks=[webhook])
        )
        yield running


WANTED = pod({"connect-inject": "true"})


def is_injected(answer: httpx2.Response) -> bool:
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()["response"]
    return response["allowed"] and "patch" in response


async def test_it_serves_leads_and_leaves_without_a_failed_request(cluster: Cluster, tmp_path: Path) -> None:
    async with injector(cluster, tmp_path) as running:
        await running.is_up()
        await running.trusted_by(cluster)
        assert is_injected(await running.review(WANTED))
        lease = await cluster.client.get(Lease, "injector", namespace="default")
        assert lease.spec is not None
        assert lease.spec.holderIdentity == tmp_path.name

        running.process.send_signal(signal.SIGTERM)
        await running.says("leaving")
        # Whoever has not heard yet still comes here, on the connection that is open and on new ones.
        answer = await running.review(WANTED)
        assert is_injected(answer)
        assert answer.headers["connection"] == "close"
        assert is_injected(await running.review(WANTED))
        assert await running.process.wait() == 0
        lease = await cluster.client.get(Lease, "injector", namespace="default")
        assert lease.spec is not None
        assert not lease.spec.holderIdentity


async def test_its_counters_are_scraped_in_plain(cluster: Cluster, tmp_path: Path) -> None:
    async with injector(cluster, tmp_path) as running, httpx2.AsyncClient(trust_env=False) as scraper:
        await running.is_up()
        await running.trusted_by(cluster)
        await running.review(WANTED)
        page = (await scraper.get(f"http://127.0.0.1:{running.metrics_port}/metrics")).text
        assert 'pellucid_injector_reviews_total{outcome="injected"} 1.0' in page


async def test_it_waits_for_an_api_server_and_goes_on_without_it(cluster: Cluster, tmp_path: Path) -> None:
    async with gate_to(cluster.served.port) as gate:
        gate.shut()
        async with injector(cluster, tmp_path, api_port=gate.port) as running:
            await running.says("waiting for the API server")
            await gate.open()
            await running.is_up()
            await running.trusted_by(cluster)
            assert is_injected(await running.review(WANTED))
            gate.shut()
            await running.says("could not be looked after")
            assert is_injected(await running.review(WANTED))
            await running.says("not leading any more")
            assert is_injected(await running.review(WANTED))
            await gate.open()
            await running.says("leading")


async def test_two_replicas_are_trusted_alike_and_one_leads(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with injector(cluster, tmp_path / "a") as first:
        await first.is_up()
        secret = await cluster.client.get(Secret, "injector-cert", namespace="default")
        async with injector(cluster, tmp_path / "b") as second:
            await second.says("a new webhook certificate")
            assert (
                await cluster.client.get(Secret, "injector-cert", namespace="default")
            ).data == secret.data
            for replica in (first, second):
                await replica.trusted_by(cluster)
                assert is_injected(await replica.review(WANTED))
            first.process.send_signal(signal.SIGTERM)
            await second.says("leading")


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("-listen=8080x", "-listen: '8080x' is no address; write it as :8080"),
        ("-native-sidecars=maybe", "-native-sidecars: 'maybe' is none of auto, true and false"),
        ("-image=", "-image must be set"),
        ("-default-sidecar-proxy-cpu-limit=much", 'parsing flag -default-sidecar-proxy-cpu-limit:"much"'),
        ("-log-level=loud", "-log-level: 'loud' is no log level"),
    ],
)
async def test_what_it_cannot_run_with_is_said_by_flag(
    cluster: Cluster, tmp_path: Path, flag: str, problem: str
) -> None:
    async with injector(cluster, tmp_path, flag) as running:
        assert problem in await running.says("==> ")
        assert await running.process.wait() == 1


@pytest.mark.parametrize("flag", ["-listen", "-metrics-listen"])
async def test_a_port_that_is_taken_is_said(cluster: Cluster, tmp_path: Path, flag: str) -> None:
    with listening("127.0.0.1", 0) as taken:
        listen = f"{flag}=127.0.0.1:{taken.getsockname()[1]}"
        async with injector(cluster, tmp_path, listen) as running:
            assert "the injector cannot run" in await running.says("==> ")
            assert await running.process.wait() == 1
