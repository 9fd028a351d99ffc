"""The aggregated discovery service over gRPC: streams in, sessions in the middle, shared bytes out.

Each stream has a session (the machine that decides what to send), a view of its proxy's configuration,
and two loops: one takes requests in, one sends what the session says whenever something changed. The
writer waits for gRPC to take a response before it asks the session again, so a slow Envoy gets the newest
state when it is ready and never a queue of old ones.

Source: envoy/service/discovery/v3/ads.proto.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import grpc
from envoy.service.discovery.v3 import discovery_pb2
from grpc import aio

from pellucid.derive.engine import Engine
from pellucid.xds import wire
from pellucid.xds.delta import DeltaRequest, DeltaResponse, DeltaSession, Refusal
from pellucid.xds.shared import ProxyResources
from pellucid.xds.sotw import SotwRequest, SotwResponse, SotwSession
from pellucid.xds.topics import ProxyView, Topics
from pellucid.xds.types import ResourceType

logger = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
MAX_STREAMS = 8_192
"""Streams one connection may carry; a proxy opens one."""
MAX_REQUEST_BYTES = 4 * 1024 * 1024
"""A request lists at most the names and versions a proxy holds."""
CREDENTIAL_METADATA = "x-consul-token"

Q_contra = TypeVar("Q_contra", contravariant=True)
Q = TypeVar("Q")
A = TypeVar("A")


class StreamRefused(Exception):
    """The stream may not have what it asks for; `code` and the message go to the client."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        super().__init__(message)


class Admission(Protocol):
    """Who may have which proxy's configuration, and what has to be there first."""

    async def admit(self, proxy_id: str, credential: str, peer: str) -> tuple[str, str]:
        """The (node, service id) of the proxy the stream is for; waits until it is registered.

        peer: as gRPC names it, such as `ipv4:127.0.0.1:40100` or `unix:`. Raises StreamRefused.
        """


class Session(Protocol[Q_contra, A]):
    """What the two variants of the protocol have in common."""

    def receive(self, request: Q_contra) -> Refusal | None:
        """Take a request in; returns the refusal if it was one."""

    def changed(self, resource_type: ResourceType, name: str) -> None:
        """A resource may have a new version."""

    def poll(self, resources: ProxyResources) -> list[A]:
        """Everything that can be sent now, in order."""

    def refusals(self) -> dict[tuple[ResourceType, str], Refusal]:
        """What Envoy refused and has not been replaced since."""


@dataclass(slots=True)
class Statistics:
    """What the server did since it started."""

    streams: int = 0
    responses: int = 0
    resources: int = 0
    bytes: int = 0
    acks: int = 0
    nacks: int = 0


@dataclass(slots=True, eq=False)
class Stream(Generic[Q, A]):
    """One connected proxy."""

    proxy_id: str
    session: Session[Q, A]
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def mark(self, resource_type: ResourceType, name: str) -> None:
        """A resource this stream wants may have changed."""
        self.session.changed(resource_type, name)
        self.wake.set()


class AdsServer:
    """Serves every proxy's configuration. Add listeners, `start`, and `stop`."""

    def __init__(self, engine: Engine, admission: Admission) -> None:
        self._topics = Topics(engine)
        self._admission = admission
        self._streams: dict[Stream[Any, Any], None] = {}
        self.statistics = Statistics()
        self._server = aio.server(
            options=[
                ("grpc.max_concurrent_streams", MAX_STREAMS),
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        self._server.add_generic_rpc_handlers((self._handlers(),))

    def listen(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Add a listener: `host:port` or `unix:/path`, plain or TLS. Returns the port bound (unix: 1).

        Raises OSError if the address cannot be had.
        """
        try:
            if credentials is None:
                port: int = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen for xDS on {address}: {error}") from error
        return port

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def stop(self, grace_seconds: float = 0.5) -> None:
        """End every stream; proxies keep what they have and come back."""
        await self._server.stop(grace_seconds)

    def refusals(self) -> dict[str, dict[tuple[ResourceType, str], Refusal]]:
        """What each connected proxy refused and has not been given anew, by proxy id."""
        held = {stream.proxy_id: stream.session.refusals() for stream in self._streams}
        return {proxy_id: refusals for proxy_id, refusals in held.items() if refusals}

    def connected(self) -> tuple[str, ...]:
        """The ids of the proxies that have a stream open."""
        return tuple(stream.proxy_id for stream in self._streams)

    def _handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(
                    self._delta, discovery_pb2.DeltaDiscoveryRequest.FromString, None
                ),
                "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(
                    self._sotw, discovery_pb2.DiscoveryRequest.FromString, None
                ),
            },
        )

    async def _delta(self, requests: AsyncIterator[Any], context: aio.ServicerContext[Any, Any]) -> None:
        await self._serve(requests, context, DeltaSession(), read_delta, write_delta)

    async def _sotw(self, requests: AsyncIterator[Any], context: aio.ServicerContext[Any, Any]) -> None:
        await self._serve(requests, context, SotwSession(), read_sotw, write_sotw)

    async def _serve(
        self,
        requests: AsyncIterator[Any],
        context: aio.ServicerContext[Any, Any],
        session: Session[Q, A],
        read: Callable[[Any], Q],
        write: Callable[[A], bytes],
    ) -> None:
        first = await anext(requests, None)
        if first is None:
            return
        stream = Stream(first.node.id, session)
        try:
            place = await self._admitted(first, context)
            await self._run(stream, place, first, requests, context, read, write)
        except StreamRefused as refused:
            logger.warning("refused the xDS stream of proxy %r: %s", stream.proxy_id, refused)
            await context.abort(refused.code, str(refused))

    async def _admitted(self, first: Any, context: aio.ServicerContext[Any, Any]) -> tuple[str, str]:
        if not first.type_url:
            raise StreamRefused(grpc.StatusCode.INVALID_ARGUMENT, "type URL is required for ADS")
        metadata = dict(context.invocation_metadata() or ())
        credential = str(metadata.get(CREDENTIAL_METADATA, ""))
        return await self._admission.admit(first.node.id, credential, context.peer())

    async def _run(
        self,
        stream: Stream[Q, A],
        place: tuple[str, str],
        first: Any,
        requests: AsyncIterator[Any],
        context: aio.ServicerContext[Any, Any],
        read: Callable[[Any], Q],
        write: Callable[[A], bytes],
    ) -> None:
        view = ProxyView(self._topics, *place, stream, stream.wake.set)
        self._streams[stream] = None
        self.statistics.streams += 1
        self._take(stream, read(first), first)
        reader = asyncio.create_task(self._read(stream, requests, read))
        try:
            while not reader.done():
                await stream.wake.wait()
                stream.wake.clear()
                for response in stream.session.poll(view):
                    data = write(response)
                    self.statistics.responses += 1
                    self.statistics.bytes += len(data)
                    await context.write(data)
        finally:
            reader.cancel()
            view.close()
            del self._streams[stream]
        await asyncio.gather(reader, return_exceptions=True)

    async def _read(
        self, stream: Stream[Q, A], requests: AsyncIterator[Any], read: Callable[[Any], Q]
    ) -> None:
        try:
            async for request in requests:
                self._take(stream, read(request), request)
        finally:
            stream.wake.set()

    def _take(self, stream: Stream[Q, A], request: Q, message: Any) -> None:
        refusal = stream.session.receive(request)
        if refusal is not None:
            self.statistics.nacks += 1
            logger.warning(
                "proxy %r refused %s: %s",
                stream.proxy_id,
                message.type_url.rpartition(".")[2],
                refusal.message,
            )
        elif message.response_nonce:
            self.statistics.acks += 1
        stream.wake.set()


def read_delta(message: Any) -> DeltaRequest:
    """The request as the session takes it."""
    return DeltaRequest(
        message.type_url,
        tuple(message.resource_names_subscribe),
        tuple(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        message.error_detail.message if message.HasField("error_detail") else None,
    )


def read_sotw(message: Any) -> SotwRequest:
    """The request as the session takes it."""
    return SotwRequest(
        message.type_url,
        tuple(message.resource_names),
        message.version_info,
        message.response_nonce,
        message.error_detail.message if message.HasField("error_detail") else None,
    )


def write_delta(response: DeltaResponse) -> bytes:
    """The response as it goes out."""
    return wire.delta_response(response.type, response.nonce, response.resources, response.removed)


def write_sotw(response: SotwResponse) -> bytes:
    """The response as it goes out."""
    return wire.sotw_response(response.type, response.version, response.nonce, response.resources)
