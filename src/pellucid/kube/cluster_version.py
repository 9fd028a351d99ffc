"""Which Kubernetes this is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import structlog
from lightkube import KubeConfig
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SingleConfig

from pellucid.kube.server_client import reason_of

RETRY_S = 1.0

log = structlog.get_logger("pellucid.kube.version")


Release = tuple[int, int]
"""Major and minor."""


def release_of(answer: Mapping[str, Any]) -> Release:
    """What an API server says of its version. Read off gitVersion: not every build says major and minor.

    Source: Kubernetes, apimachinery `version.Info`.
    """
    found = re.match(r"v?(\d+)\.(\d+)", answer["gitVersion"])
    return (int(found[1]), int(found[2])) if found else (0, 0)


async def cluster_version(
    config: SingleConfig | None = None, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> Release:
    """The release of the API server, as soon as it answers.

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
                return release_of(answer)
