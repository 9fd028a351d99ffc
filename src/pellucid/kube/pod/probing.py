"""Asking the application on loopback what the kubelet wants to know, in the kubelet's own manner.

A TCP probe passes when the connection is accepted, an HTTP one for a status from 200 to 399; certificates
are not checked. Source: Kubernetes docs, "Configure Liveness, Readiness and Startup Probes".
"""

from __future__ import annotations

import asyncio
import http.client
import os
import ssl

from pellucid.kube.pod.status_server import Answer
from pellucid.kube.probe_targets import ProbeTarget

TIMEOUT_S = 9.0
_LOOPBACK = "127.0.0.1"


async def probed(target: ProbeTarget) -> Answer:
    """200 if the application passes, else 503 and why."""
    try:
        if target.scheme == "tcp":
            await _dial(target.port)
            return Answer(200, "connected\n")
        status = await asyncio.to_thread(_status, target)
    except (OSError, http.client.HTTPException) as problem:
        reason = _reason(problem)
        return Answer(503, f"{target.scheme} port {target.port}: {reason}\n")
    text = f"{target.scheme} port {target.port}{target.path} answered {status}\n"
    return Answer(200 if 200 <= status < 400 else 503, text)


def _reason(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.errno and not isinstance(problem, ssl.SSLError):
        return os.strerror(problem.errno).lower()
    return str(problem) or type(problem).__name__


async def _dial(port: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        _, writer = await asyncio.open_connection(_LOOPBACK, port)
    writer.close()


def _status(target: ProbeTarget) -> int:
    connection = _connection(target)
    try:
        connection.request("GET", target.path or "/")
        return connection.getresponse().status
    finally:
        connection.close()


def _connection(target: ProbeTarget) -> http.client.HTTPConnection:
    if target.scheme == "http":
        return http.client.HTTPConnection(_LOOPBACK, target.port, timeout=TIMEOUT_S)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(_LOOPBACK, target.port, timeout=TIMEOUT_S, context=context)
