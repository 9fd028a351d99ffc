"""What the key/value store holds.

Source: Consul 1.10 docs, "KV Store HTTP API".
"""

from __future__ import annotations

import msgspec


class KvEntry(msgspec.Struct, frozen=True):
    """One key. Key: `key`. flags: 64 bits that mean what the client wants."""

    key: str
    value: bytes
    flags: int = 0
