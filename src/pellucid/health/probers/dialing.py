"""What the network probers share: timeouts, TLS, addresses, and connection errors in the words of Go.

Operators know these texts from Consul and match on them, so they are kept: `dial tcp 10.0.0.1:80: connect:
connection refused`. Source: Go standard library, package `net`, `OpError`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from functools import lru_cache

from pellucid.model.addresses import host_and_port
from pellucid.model.checks import CheckDefinition

DEFAULT_TIMEOUT_S = 10.0


class AddressError(ValueError):
    """The text isn't `host:port`; `str()` says what is wrong with it."""


def timeout_of(definition: CheckDefinition, default_s: float = DEFAULT_TIMEOUT_S) -> float:
    """How long one probe may take, in seconds."""
    return definition.timeout_ns / 1e9 if definition.timeout_ns else default_s


def split_address(address: str) -> tuple[str, int]:
    """The host and port of `host:port`, `10.0.0.1:80` or `[::1]:80`. Raises AddressError."""
    host, colon, port = address.rpartition(":")
    if not colon:
        raise AddressError(f"dial tcp: address {address}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise AddressError(f"dial tcp: address {address}: too many colons in address")
    if not port.isdecimal() or int(port) > 65535:
        raise AddressError(f"dial tcp: address {port}: invalid port")
    return host or "127.0.0.1", int(port)


async def connect(
    host: str, port: int, context: ssl.SSLContext | None = None, server_name: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection. Raises OSError, or ssl.SSLError when the handshake fails."""
    return await asyncio.open_connection(
        host, port, ssl=context, server_hostname=(server_name or host) if context else None
    )


@lru_cache
def client_tls(skip_verify: bool, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """TLS for a prober, shared by all checks that want the same: reading the system's authorities is slow."""
    context = ssl.create_default_context()
    if skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def describe_failure(error: Exception, host: str, port: int) -> str:
    """Why a connection failed, in words."""
    address = host_and_port(host, port)
    match error:
        case TimeoutError():
            return f"dial tcp {address}: i/o timeout"
        case socket.gaierror():
            return f"dial tcp: lookup {host}: no such host"
        case ssl.SSLCertVerificationError():
            return f"x509: {error.verify_message}"
        case ssl.SSLError():
            return f"tls: {error.reason or error}"
        case OSError() if error.errno and error.errno > 0:
            return f"dial tcp {address}: connect: {os.strerror(error.errno).lower()}"
        case _:
            return f"dial tcp {address}: {error}"
