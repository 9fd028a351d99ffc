"""The two variants of the protocol: their sessions, and their messages as the sessions take and give them.

Source: envoy/service/discovery/v3/discovery.proto.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import DecodeError

from pellucid.xds import wire
from pellucid.xds.delta import DeltaResponse, DeltaSession
from pellucid.xds.shared import ProxyResources, SharedResource
from pellucid.xds.sotw import SotwRequest, SotwResponse, SotwSession
from pellucid.xds.subscription import DeltaRequest, Refusal
from pellucid.xds.types import ResourceType

MAX_ERROR_CHARACTERS = 4_096
"""What is kept of Envoy's words when it refuses something."""


class Malformed(Exception):
    """The bytes are not the message they should be; the message of the exception says which."""


class Request(Protocol):
    """What the requests of both variants have."""

    @property
    def type_url(self) -> str:
        """The resource type."""

    @property
    def nonce(self) -> str:
        """The response it answers; empty if none."""

    @property
    def error(self) -> str | None:
        """Envoy's words if it refused that response."""


class Response(Protocol):
    """What the responses of both variants have."""

    @property
    def resources(self) -> tuple[SharedResource, ...]:
        """What it carries."""


Q_contra = TypeVar("Q_contra", bound=Request, contravariant=True)
A_co = TypeVar("A_co", bound=Response, covariant=True)
Q = TypeVar("Q", bound=Request)
A = TypeVar("A", bound=Response)


class Session(Protocol[Q_contra, A_co]):
    """What the sessions of both variants do."""

    def receive(self, request: Q_contra) -> Refusal | None:
        """Take a request in; returns the refusal if it is one. Raises TooManyNames."""

    def changed(self, resource_type: ResourceType, name: str) -> None:
        """A resource may have a new version."""

    def moved(self) -> None:
        """There may be other resources than before."""

    def next_response(self, resources: ProxyResources) -> A_co | None:
        """The next response that can be sent now. Ask until there is none."""

    def refusals(self) -> dict[tuple[ResourceType, str], Refusal]:
        """What Envoy refused and has not been replaced since."""


@dataclass(frozen=True, slots=True)
class Variant(Generic[Q, A]):
    """One of the two."""

    session: Callable[[], Session[Q, A]]
    read: Callable[[bytes], tuple[str, Q]]
    """The node id in a request's bytes, and the request. Raises Malformed."""
    write: Callable[[A], bytes]


def read_delta(data: bytes) -> tuple[str, DeltaRequest]:
    """The node id and what else matters in a `DeltaDiscoveryRequest`. Raises Malformed."""
    message = _parse(discovery_pb2.DeltaDiscoveryRequest, data)
    return message.node.id, DeltaRequest(
        message.type_url,
        _shared(message.resource_names_subscribe),
        tuple(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        _error(message),
    )


def read_sotw(data: bytes) -> tuple[str, SotwRequest]:
    """The node id and what else matters in a `DiscoveryRequest`. Raises Malformed."""
    message = _parse(discovery_pb2.DiscoveryRequest, data)
    return message.node.id, SotwRequest(
        message.type_url,
        _shared(message.resource_names),
        message.version_info,
        message.response_nonce,
        _error(message),
    )


def write_delta(response: DeltaResponse) -> bytes:
    """A `DeltaDiscoveryResponse`."""
    return wire.delta_response(response.type, response.nonce, response.resources, response.removed)


def write_sotw(response: SotwResponse) -> bytes:
    """A `DiscoveryResponse`."""
    return wire.sotw_response(response.type, response.version, response.nonce, response.resources)


DELTA: Variant[DeltaRequest, DeltaResponse] = Variant(DeltaSession, read_delta, write_delta)
SOTW: Variant[SotwRequest, SotwResponse] = Variant(SotwSession, read_sotw, write_sotw)


def _parse(message_type: Any, data: bytes) -> Any:
    try:
        return message_type.FromString(data)
    except DecodeError as error:
        raise Malformed(f"not a {message_type.DESCRIPTOR.full_name}") from error


def _shared(names: Iterable[str]) -> tuple[str, ...]:
    """The names as the same objects on every stream: most proxies ask for what others ask for too."""
    return tuple(map(sys.intern, names))


def _error(message: Any) -> str | None:
    if not message.HasField("error_detail"):
        return None
    words: str = message.error_detail.message
    return words[:MAX_ERROR_CHARACTERS]
