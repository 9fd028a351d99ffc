"""Network addresses as text.

Source: Go standard library, package `net` (JoinHostPort); RFC 3986 section 3.2.2.
"""

from __future__ import annotations


def host_and_port(host: str, port: int) -> str:
    """An address with its port: `10.0.0.1:80`, and an IPv6 address in brackets, `[fd00::1]:80`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
