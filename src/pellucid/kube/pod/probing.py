"""Asking the application on loopback what the kubelet wants to know, in the kubelet's own manner.

A TCP probe passes when the connection is accepted, an HTTP one for a status from 200 to 399; certificates
are not checked. Source: Kubernetes docs, "Configure Liveness, Readiness and Startup Probes".
"""

from __future__ import annotations

import asyncio
import ssl

from pellucid.dataplane.http_exchange import Ask, MalformedReplyError, exchange, reason
from pellucid.kube.pod.status_server import Answer
from pellucid.kube.probe_targets import ProbeTarget

TIMEOUT_S = 9.0
_LOOPBACK = "127.0.0.1"
_MOST_BYTES = 1 << 20


async def probed(target: ProbeTarget) -> Answer:
    """200 if the application passes, else 503 and why."""
    try:
        if target.scheme == "tcp":
            await _dial(target.port)
            return Answer(200, "connected\n")
        status = await _status(target)
    except (OSError, MalformedReplyError) as problem:
        return Answer(503, f"{target.scheme} port {target.port}: {reason(problem)}\n")
    text = f"{target.scheme} port {target.port}{target.path} answered {status}\n"
    return Answer(200 if 200 <= status < 400 else 503, text)


async def _dial(port: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        _, writer = await asyncio.open_connection(_LOOPBACK, port)
    writer.close()


async def _status(target: ProbeTarget) -> int:
    context = _untrusting() if target.scheme == "https" else None
    async with asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection(_LOOPBACK, target.port, ssl=context)
        return (await exchange(reader, writer, Ask("GET", target.path or "/"), _MOST_BYTES)).status


def _untrusting() -> ssl.SSLContext:
    # Not the default context: it would read every authority of the image, to trust none of them.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
