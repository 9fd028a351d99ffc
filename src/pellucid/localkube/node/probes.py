"""One probe of a container, and the rhythm of probing.

Source: Kubernetes documentation, "Configure Liveness, Readiness and Startup Probes".
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

Object = dict[str, Any]
RunCommand = Callable[[list[str]], Awaitable[tuple[int, str]]]
_LONGEST_BODY = 10 * 1024
_FIRST_PAUSE_S = 0.1


class ProbeOutcome(msgspec.Struct, frozen=True):
    """Whether it succeeded, and what to say if not."""

    succeeded: bool
    message: str = ""


class ProbeTarget(msgspec.Struct, frozen=True):
    """Where a probe goes: the pod's address, its container's named ports, and how to run a command there."""

    address: str
    ports: dict[str, int]
    run: RunCommand


async def probe_once(probe: Object, target: ProbeTarget) -> ProbeOutcome:
    """Never raises for a probe that fails."""
    limit = probe.get("timeoutSeconds", 1)
    try:
        async with asyncio.timeout(limit):
            return await _probe(probe, target)
    except TimeoutError:
        if "exec" in probe:
            return ProbeOutcome(False, f"command timed out after {limit}s")
        return ProbeOutcome(False, "context deadline exceeded")
    except (OSError, ValueError, EOFError) as problem:
        return ProbeOutcome(False, str(problem))


async def _probe(probe: Object, target: ProbeTarget) -> ProbeOutcome:
    if "exec" in probe:
        code, output = await target.run(list(probe["exec"]["command"]))
        return ProbeOutcome(code == 0, output)
    if "httpGet" in probe:
        return await http_get(probe["httpGet"], target)
    if "tcpSocket" in probe:
        action = probe["tcpSocket"]
        host = action.get("host") or target.address
        _, writer = await _dial(host, port_number(action["port"], target.ports))
        writer.close()
        return ProbeOutcome(True)
    if "grpc" in probe:
        return await _grpc(probe["grpc"], target)
    return ProbeOutcome(True)


async def _dial(
    host: str, port: int, encryption: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(host, port, ssl=encryption, limit=_LONGEST_BODY)
    except OSError as problem:
        reason = os.strerror(problem.errno).lower() if problem.errno else str(problem)
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise OSError(f"dial tcp {authority}: connect: {reason}") from problem


def port_number(port: int | str, named: dict[str, int]) -> int:
    """Raises ValueError on a name that no port of the container has."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    if port not in named:
        raise ValueError(f"couldn't find port: {port}")
    return named[port]


async def http_get(action: Object, target: ProbeTarget) -> ProbeOutcome:
    """Status 200 to 399 succeeds. Certificates are not checked. Raises OSError, ValueError, EOFError."""
    host = action.get("host") or target.address
    port = port_number(action["port"], target.ports)
    reader, writer = await _dial(host, port, _encryption(action))
    try:
        writer.write(_request(action, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
        words = (await reader.readline()).split(maxsplit=2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/"):
            raise ValueError("malformed HTTP response")
        code = int(words[1])
        return ProbeOutcome(200 <= code < 400, f"HTTP probe failed with statuscode: {code}")
    finally:
        writer.close()


def _request(action: Object, authority: str) -> bytes:
    path = action.get("path") or "/"
    given = {header["name"].lower(): header for header in action.get("httpHeaders") or ()}
    headers = {"Host": authority, "User-Agent": "kube-probe/1.30", "Accept": "*/*", "Connection": "close"}
    lines = [f"{name}: {value}" for name, value in headers.items() if name.lower() not in given]
    lines += [f"{header['name']}: {header['value']}" for header in given.values()]
    path = path if path.startswith("/") else f"/{path}"
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


def _encryption(action: Object) -> ssl.SSLContext | None:
    if action.get("scheme", "HTTP").upper() != "HTTPS":
        return None
    # Not the default context: it would read every authority of the machine, to trust none of them.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _grpc(action: Object, target: ProbeTarget) -> ProbeOutcome:
    import grpc.aio

    service = (action.get("service") or "").encode()
    request = b"\x0a" + bytes([len(service)]) + service if service else b""
    host = f"[{target.address}]" if ":" in target.address else target.address
    async with grpc.aio.insecure_channel(f"{host}:{action['port']}") as channel:
        try:
            answer = await channel.unary_unary("/grpc.health.v1.Health/Check")(request)
        except grpc.aio.AioRpcError as problem:
            return ProbeOutcome(False, f"service unhealthy (responded with {problem.code().name!r})")
    return ProbeOutcome(answer == b"\x08\x01", 'service unhealthy (responded with "NOT_SERVING")')


async def keep_probing(
    probe: Object,
    target: ProbeTarget,
    failed: Callable[[str], Awaitable[None]],
    report: Callable[[bool], Awaitable[None]],
) -> None:
    """Probe for ever. `failed` is told of every failure, with what the probe said.

    `report` is told whenever as many in a row as the thresholds ask agree on something new.
    """
    verdict: bool | None = None
    in_a_row, last = 0, True
    async for outcome in _outcomes(probe, target):
        if not outcome.succeeded:
            await failed(outcome.message)
        in_a_row = in_a_row + 1 if outcome.succeeded == last else 1
        last = outcome.succeeded
        needed = probe.get("successThreshold", 1) if last else probe.get("failureThreshold", 3)
        if in_a_row >= needed and verdict != last:
            verdict = last
            await report(last)


async def _outcomes(probe: Object, target: ProbeTarget) -> AsyncIterator[ProbeOutcome]:
    """What the probe says, once in each period.

    A container that has only just been started mostly fails the first time. It is then asked sooner, and in
    that first period only a success counts, so that it need not wait for the next one. A command is run no
    more often than it says.
    """
    period = probe.get("periodSeconds", 10)
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    outcome = await probe_once(probe, target)
    yield outcome
    waited, pause = 0.0, _FIRST_PAUSE_S
    while not outcome.succeeded and "exec" not in probe and waited + pause < period:
        await asyncio.sleep(pause)
        waited += pause
        pause = max(_FIRST_PAUSE_S, waited / 4)
        outcome = await probe_once(probe, target)
        if outcome.succeeded:
            yield outcome
    await asyncio.sleep(period - waited)
    while True:
        yield await probe_once(probe, target)
        await asyncio.sleep(period)
