"""HTTP/2 ping checks: passing when a PING frame is acknowledged over TLS.

Source: Consul 1.10 docs, "Checks", "H2ping"; RFC 9113 sections 3.4, 4.1 and 6.7.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl

from pellucid.health.probers.dialing import (
    AddressError,
    client_tls,
    connect,
    describe_failure,
    split_address,
    timeout_of,
)
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckDefinition, CheckStatus

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD_BYTES = 9
MAX_FRAME_BYTES = 16384
MAX_FRAMES = 64
"""How many other frames the server may send before it acknowledges."""

_SETTINGS, _PING, _GOAWAY = 0x4, 0x6, 0x7
_ACK = 0x1


class PingError(Exception):
    """The server speaks, but not as it should; `str()` says how."""


async def probe_h2ping(definition: CheckDefinition) -> CheckResult:
    """Ping `h2ping` (`host:port`)."""
    try:
        host, port = split_address(definition.h2ping)
    except AddressError as error:
        return CheckResult(CheckStatus.CRITICAL, f"HTTP2 ping failed: {error}")
    try:
        async with asyncio.timeout(timeout_of(definition)):
            context = client_tls(definition.tls_skip_verify, ("h2",))
            reader, writer = await connect(host, port, context, definition.tls_server_name)
            try:
                await _ping(reader, writer)
            finally:
                writer.close()
    except (PingError, EOFError) as error:
        return CheckResult(CheckStatus.CRITICAL, f"HTTP2 ping failed: {str(error) or 'unexpected EOF'}")
    except (OSError, TimeoutError) as error:
        return CheckResult(CheckStatus.CRITICAL, f"HTTP2 ping failed: {describe_failure(error, host, port)}")
    return CheckResult(CheckStatus.PASSING, "HTTP2 ping was successful")


async def _ping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("ssl_object")
    if isinstance(connection, ssl.SSLObject) and connection.selected_alpn_protocol() != "h2":
        raise PingError("the server does not speak HTTP/2")
    token = secrets.token_bytes(8)
    writer.write(PREFACE + _frame(_SETTINGS) + _frame(_PING, payload=token))
    for _ in range(MAX_FRAMES):
        kind, flags, payload = await _read_frame(reader)
        if kind == _PING and flags & _ACK and payload == token:
            return
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK))
        if kind == _GOAWAY:
            raise PingError("the server closed the connection with GOAWAY")
    raise PingError("no acknowledgement")


def _frame(kind: int, flags: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + bytes(4) + payload


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    head = await reader.readexactly(FRAME_HEAD_BYTES)
    length = int.from_bytes(head[:3], "big")
    if length > MAX_FRAME_BYTES:
        raise PingError(f"frame of {length} bytes")
    return head[3], head[4], await reader.readexactly(length)
