"""The controller's process, between an API server and whoever writes custom resources."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from socket import gethostname

import pytest
from lightkube.resources.coordination_v1 import Lease

from pellucid.kube.webhook.server import listening
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.replica_process import LEASE, ReplicaProcess, configure_webhook, replica_process


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        await configure_webhook(running)
        yield running


def controller(
    cluster: Cluster, directory: Path, *further: str
) -> AbstractAsyncContextManager[ReplicaProcess]:
    """The process, not necessarily ready yet, outside of any pod."""
    return replica_process("controller", cluster.served.kubeconfig, directory, further, {})


async def holder(cluster: Cluster) -> str:
    lease = await cluster.client.get(Lease, LEASE, namespace="default")
    assert lease.spec is not None
    return lease.spec.holderIdentity or ""


async def test_it_serves_leads_and_leaves(cluster: Cluster, tmp_path: Path) -> None:
    async with controller(cluster, tmp_path) as running:
        await running.is_up()
        await running.trusted_by(cluster)
        assert (await running.asked("/health/ready")).status_code == 200
        assert (await holder(cluster)).startswith(f"{gethostname()}_")
        running.process.send_signal(signal.SIGTERM)
        await running.says("leaving")
        answer = await running.asked("/health/ready")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert await running.process.wait() == 0
        assert not await holder(cluster)


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("-listen=:70000", "-listen: ':70000' is no address; write it as :8080"),
        ("-leader-lease=", "-leader-lease must be set"),
        ("-log-level=loud", "-log-level: 'loud' is no log level"),
    ],
)
async def test_what_it_cannot_run_with_is_said_by_flag(
    cluster: Cluster, tmp_path: Path, flag: str, problem: str
) -> None:
    async with controller(cluster, tmp_path, flag) as running:
        assert problem in await running.says("==> ")
        assert await running.process.wait() == 1


async def test_a_port_that_is_taken_is_said(cluster: Cluster, tmp_path: Path) -> None:
    with listening("127.0.0.1", 0) as taken:
        async with controller(cluster, tmp_path, f"-listen=127.0.0.1:{taken.getsockname()[1]}") as running:
            assert "the controller cannot run" in await running.says("==> ")
            assert await running.process.wait() == 1


async def test_that_there_is_no_cluster_is_said(tmp_path: Path) -> None:
    nowhere = replica_process("controller", tmp_path / "none", tmp_path, (), {})
    async with nowhere as running:
        assert "the controller cannot run" in await running.says("==> ")
        assert await running.process.wait() == 1
