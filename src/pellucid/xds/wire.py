"""The envelopes of discovery responses, written straight to bytes.

A response is a handful of length-delimited fields around resources that are serialised already, so the
bytes of a shared resource are copied, never built again.

Source: Protocol Buffers encoding specification; envoy/service/discovery/v3/discovery.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from pellucid.xds.shared import SharedResource

_RESOURCES_KEPT = 1_024
"""Encoded resources kept for the next stream."""


def varint(number: int) -> bytes:
    """An unsigned integer, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return b"".join((varint(number << 3 | 2), varint(len(content)), content))


def any_of(type_url: str, body: bytes) -> bytes:
    """A `google.protobuf.Any`."""
    return field(1, type_url.encode()) + field(2, body)


def delta_response(
    type_url: str, nonce: str, resources: Iterable[SharedResource], removed: Iterable[str]
) -> bytes:
    """A `DeltaDiscoveryResponse`."""
    parts = [field(4, type_url.encode()), field(5, nonce.encode())]
    parts += [_delta_resource(type_url, resource) for resource in resources]
    parts += [field(6, name.encode()) for name in removed]
    return b"".join(parts)


def sotw_response(type_url: str, version: str, nonce: str, resources: Iterable[SharedResource]) -> bytes:
    """A `DiscoveryResponse`."""
    parts = [field(1, version.encode()), field(4, type_url.encode()), field(5, nonce.encode())]
    parts += [field(2, any_of(type_url, resource.body)) for resource in resources]
    return b"".join(parts)


@lru_cache(_RESOURCES_KEPT)
def _delta_resource(type_url: str, resource: SharedResource) -> bytes:
    """The field of a response that holds a resource. Kept for the other streams that are sent it now."""
    content = (
        field(1, resource.version.encode()),
        field(2, any_of(type_url, resource.body)),
        field(3, resource.name.encode()),
    )
    return field(2, b"".join(content))
