"""Keeps the server authority's certificate in a config map, for pods to find and to trust."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from pellucid.agent.kubernetes.cluster_api import ClusterApi, ClusterApiError

logger = logging.getLogger(__name__)

KEY = "ca.pem"
LOOK_AGAIN_SECONDS = 60.0
RETRY_SECONDS = 2.0


async def publish(api: ClusterApi, name: str, certificate_pem: str) -> None:
    """Write the config map and look after it until cancelled: someone may edit or delete it."""
    while True:
        try:
            await _put_right(api, name, certificate_pem)
            wait = LOOK_AGAIN_SECONDS
        except ClusterApiError as error:
            logger.error("cannot publish the server authority in config map %s: %s", name, error)
            wait = RETRY_SECONDS
        await asyncio.sleep(wait)


async def _put_right(api: ClusterApi, name: str, certificate_pem: str) -> None:
    maps = f"/api/v1/namespaces/{api.namespace}/configmaps"
    try:
        found = await api.read(f"{maps}/{name}")
    except ClusterApiError as error:
        if error.status != 404:
            raise
        await api.create(maps, _config_map(name, certificate_pem))
        logger.info("published the server authority in config map %s", name)
        return
    if (found.get("data") or {}).get(KEY) != certificate_pem:
        await api.merge(f"{maps}/{name}", {"data": {KEY: certificate_pem}})
        logger.info("published the server authority in config map %s, which had another", name)


def _config_map(name: str, certificate_pem: str) -> Mapping[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "consul", "component": "server"}},
        "data": {KEY: certificate_pem},
    }
