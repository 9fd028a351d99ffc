"""A TLS server shows what it was given in memory, and from then on what it was given next."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from pellucid.foundation.tls import show_certificate
from tests.self_signed import self_signed


async def shown_at(port: int, trusted: bytes) -> bytes:
    """The certificate that a server shows to whoever trusts this one."""
    trusting = ssl.create_default_context(cadata=trusted.decode())
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return shown


async def test_the_certificate_given_last_is_shown() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    ) as server:
        port = server.sockets[0].getsockname()[1]
        for _ in ("at first", "and then"):
            signed = self_signed("localhost")
            show_certificate(context, signed.key + signed.certificate)
            expected = ssl.PEM_cert_to_DER_cert(signed.certificate.decode())
            assert await shown_at(port, signed.certificate) == expected


def test_what_is_no_certificate_is_an_error() -> None:
    with pytest.raises(ssl.SSLError):
        show_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), b"-----BEGIN CERTIFICATE-----")
