"""Envoy's counters and the application's, as one page for Prometheus.

An Envoy that does not answer makes an empty page; an application that does not, Envoy's part alone.
Source: consul-k8s 0.26, subcommand/consul-sidecar.
"""

from __future__ import annotations

import asyncio
import logging

from pellucid.dataplane.envoy_admin import AdminError, EnvoyAdmin
from pellucid.dataplane.http_exchange import Ask, MalformedReplyError, exchange
from pellucid.kube.pod.settings import Metrics

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10.0
_MOST_BYTES = 16 << 20


async def merged(admin: EnvoyAdmin, metrics: Metrics) -> str:
    """Both pages, Envoy's first."""
    try:
        _, own = await admin.request("GET", "/stats/prometheus")
    except AdminError as problem:
        logger.warning("no metrics of Envoy's: %s", problem)
        return ""
    if not metrics.application_port:
        return own
    try:
        return own + await _applications(metrics)
    except (OSError, TimeoutError, MalformedReplyError) as problem:
        logger.warning("no metrics of the application's: %s", problem)
        return own


async def _applications(metrics: Metrics) -> str:
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", metrics.application_port)
        reply = await exchange(reader, writer, Ask("GET", metrics.application_path), _MOST_BYTES)
    if reply.status != 200:
        raise MalformedReplyError(f"{metrics.application_path} answered {reply.status}")
    return reply.text
