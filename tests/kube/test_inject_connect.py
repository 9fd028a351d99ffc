"""The injector's process, between an API server and whoever creates pods."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Secret

from pellucid.kube.webhook.server import listening
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.controllers.gate import gate_to
from tests.kube.injector.pods import Pod, pod
from tests.kube.replica_process import (
    LEASE,
    SECRET,
    ReplicaProcess,
    configure_webhook,
    free_port,
    replica_process,
)


async def reviewed(replica: ReplicaProcess, author: Pod) -> httpx2.Response:
    request = {"uid": "u", "namespace": "default", "object": author}
    return await replica.asked("/mutate", {"apiVersion": "admission.k8s.io/v1", "request": request})


@asynccontextmanager
async def injector(
    cluster: Cluster, directory: Path, *further: str, api_port: int = 0, metrics_port: int = 0
) -> AsyncIterator[ReplicaProcess]:
    """The process, not necessarily ready yet. api_port: another way to the API server."""
    config, own = directory / "injectors-config", str(cluster.served.port)
    config.write_text(cluster.served.kubeconfig.read_text().replace(own, str(api_port or own)))
    flags = (
        f"-metrics-listen=127.0.0.1:{metrics_port or free_port()}",
        *("-image=pellucid/pellucid:test", "-token-audience=mesh", "-grpc-addr=127.0.0.1:1"),
        *("-allow-k8s-namespace=*", *further),
    )
    named = {"POD_NAME": directory.name}
    async with replica_process("inject-connect", config, directory, flags, named) as running:
        yield running


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        await configure_webhook(running)
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
        assert is_injected(await reviewed(running, WANTED))
        lease = await cluster.client.get(Lease, LEASE, namespace="default")
        assert lease.spec is not None
        assert lease.spec.holderIdentity == tmp_path.name

        running.process.send_signal(signal.SIGTERM)
        await running.says("leaving")
        # Whoever has not heard yet still comes here, on the connection that is open and on new ones.
        answer = await reviewed(running, WANTED)
        assert is_injected(answer)
        assert answer.headers["connection"] == "close"
        assert is_injected(await reviewed(running, WANTED))
        assert await running.process.wait() == 0
        lease = await cluster.client.get(Lease, LEASE, namespace="default")
        assert lease.spec is not None
        assert not lease.spec.holderIdentity


async def test_its_counters_are_scraped_in_plain(cluster: Cluster, tmp_path: Path) -> None:
    port = free_port()
    async with (
        injector(cluster, tmp_path, metrics_port=port) as running,
        httpx2.AsyncClient(trust_env=False) as scraper,
    ):
        await running.is_up()
        await running.trusted_by(cluster)
        await reviewed(running, WANTED)
        page = (await scraper.get(f"http://127.0.0.1:{port}/metrics")).text
        assert 'pellucid_injector_reviews_total{outcome="injected"} 1.0' in page


async def test_it_waits_for_an_api_server_and_goes_on_without_it(cluster: Cluster, tmp_path: Path) -> None:
    async with gate_to(cluster.served.port) as gate:
        gate.shut()
        async with injector(cluster, tmp_path, api_port=gate.port) as running:
            await running.says("waiting for the API server")
            await gate.open()
            await running.is_up()
            await running.trusted_by(cluster)
            assert is_injected(await reviewed(running, WANTED))
            gate.shut()
            await running.says("could not be looked after")
            assert is_injected(await reviewed(running, WANTED))
            await running.says("not leading any more")
            assert is_injected(await reviewed(running, WANTED))
            await gate.open()
            await running.says("leading")


async def test_two_replicas_are_trusted_alike_and_one_leads(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with injector(cluster, tmp_path / "a") as first:
        await first.is_up()
        secret = await cluster.client.get(Secret, SECRET, namespace="default")
        async with injector(cluster, tmp_path / "b") as second:
            await second.says("a new webhook certificate")
            assert (await cluster.client.get(Secret, SECRET, namespace="default")).data == secret.data
            for replica in (first, second):
                await replica.trusted_by(cluster)
                assert is_injected(await reviewed(replica, WANTED))
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
