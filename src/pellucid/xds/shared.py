"""Resources as bytes made once, and the keys by which equal ones are the same.

A proxy's configuration is, for each type, a mapping from resource names to `Ref`s. A ref says by content
what the resource is built from, so two proxies that need the same thing hold equal refs and share the
bytes, the engine's memo and the subscription to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

import msgspec

from pellucid.xds.types import ResourceType

Ref = Hashable
"""What a resource is built from: a frozen value, such as the name of the service for its endpoints."""


class SharedResource(msgspec.Struct, frozen=True):
    """One resource, serialised. Equal bytes have equal versions."""

    name: str
    version: str
    """Hex SHA-256 of the body, as Consul numbers resources."""
    body: bytes
    """The serialised message, without its `Any` envelope."""


class Refs(msgspec.Struct, frozen=True):
    """The resources of one type that a proxy is to have, by name."""

    by_name: Mapping[str, Ref]


class Message(Protocol):
    """A protobuf message, as far as it matters here."""

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:  # noqa: N802
        """The wire form; deterministic: map entries in key order."""


def share(name: str, message: Message | Any) -> SharedResource:
    """Serialise a message, once."""
    body: bytes = message.SerializeToString(deterministic=True)
    return SharedResource(name, hashlib.sha256(body).hexdigest(), body)


class ProxyResources(Protocol):
    """What one stream may see: the configuration of its proxy at this moment."""

    def refs(self, resource_type: ResourceType) -> Refs | None:
        """The resources of a type; the same object until they change. None while they cannot be derived."""

    def resource(self, resource_type: ResourceType, name: str, ref: Ref) -> SharedResource | None:
        """The resource of a ref. None while it cannot be built."""

    def drop(self, resource_type: ResourceType, name: str) -> None:
        """The stream does not want to hear about this name any more."""
