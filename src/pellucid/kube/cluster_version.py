"""Which Kubernetes this is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx2
import structlog
from lightkube import KubeConfig
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SingleConfig

from pellucid.kube.server_client import reason_of

RETRY_S = 1.0

log = structlog.get_logger("pellucid.kube.version")


async def cluster_version(
    config: SingleConfig | None = None, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> tuple[int, int]:
    """Major and minor release of the API server, as soon as it answers.

    config: how to reach it, by default as every client of this machine or pod does.
    """
    config = config or KubeConfig.from_env().get()
    assert config is not None
    parameters = client_adapter.ConnectionParams(trust_env=False)
    async with client_adapter.AsyncClient(config, parameters) as client:
        while True:
            try:
                answer = (await client.get("/version")).raise_for_status().json()
            except (httpx2.HTTPError, OSError) as error:
                log.warning("waiting for the API server", reason=reason_of(error))
                await sleep(RETRY_S)
            else:
                minor = re.match(r"\d+", answer["minor"])
                return int(answer["major"]), int(minor[0]) if minor else 0
