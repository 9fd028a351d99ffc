"""A short stable name for a pod template, used in the names and labels of what is made from it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

HASH_LABEL = "pod-template-hash"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' alphabet for generated names: nothing in it can spell a word."""
LENGTH = 10

_encoder = msgspec.json.Encoder(order="deterministic")


def template_hash(value: Any, collisions: int = 0) -> str:
    """Ten characters that depend on the value alone; `collisions` gives another one when it is taken."""
    number = int.from_bytes(hashlib.sha256(_encoder.encode([value, collisions])).digest()[:16], "big")
    letters = []
    for _ in range(LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(letters)
