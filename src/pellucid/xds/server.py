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
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import grpc
from grpc import aio

from pellucid.xds.streams import Stream, Turns
from pellucid.xds.subscription import Refusal, TooManyNames
from pellucid.xds.topics import ProxyView, Topics
from pellucid.xds.types import ResourceType
from pellucid.xds.variants import DELTA, SOTW, A, Malformed, Q, Request, Variant

logger = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
MAX_STREAMS = 16_384
"""Streams served at a time, over all connections."""
MAX_STREAMS_PER_CONNECTION = 2_048
"""As Consul's; a proxy opens one."""
MAX_REQUEST_BYTES = 4 * 1024 * 1024
"""A request lists at most the names and versions a proxy holds."""
KEEPALIVE_MS = 30_000
"""How often a silent connection is asked whether its proxy still lives."""
CREDENTIAL_METADATA = "x-consul-token"

Requests = AsyncIterator[bytes]
Context: TypeAlias = aio.ServicerContext[bytes, bytes]


def _nothing() -> None:
    """Nothing was held on to."""


class StreamRefused(Exception):
    """The stream may not have what it asks for; `code` and the message go to the client."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        super().__init__(message)


class ServerStopping(StreamRefused):
    """The server ends its streams."""

    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.UNAVAILABLE, "the server is stopping")


@dataclass(frozen=True)
class Admitted:
    """The proxy a stream is for. close: called when the stream has ended."""

    node: str
    service_id: str
    close: Callable[[], None] = _nothing


class Admission(Protocol):
    """Who may have which proxy's configuration, and what has to be there first."""

    async def admit(
        self, proxy_id: str, credential: str, peer: str, end: Callable[[StreamRefused], None]
    ) -> Admitted:
        """The proxy the stream is for; waits until it is registered.

        peer: as gRPC names it, such as `ipv4:127.0.0.1:40100` or `unix:`. end: ends the stream when what
        it was admitted for holds no more, until `close`. Raises StreamRefused.
        """


@dataclass(slots=True)
class Statistics:
    """What the server did since it started."""

    streams: int = 0
    responses: int = 0
    resources: int = 0
    bytes: int = 0
    acks: int = 0
    nacks: int = 0


class AdsServer:
    """Serves every proxy's configuration. Add listeners, `start`, and `stop`."""

    def __init__(self, topics: Topics, admission: Admission) -> None:
        self._topics = topics
        self._admission = admission
        self._turns = Turns()
        self._streams: dict[Stream, None] = {}
        self.statistics = Statistics()
        self._server = aio.server(
            options=[
                ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.keepalive_time_ms", KEEPALIVE_MS),
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=MAX_STREAMS,
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
        stopped = asyncio.create_task(self._server.stop(grace_seconds))
        for stream in self._streams:
            stream.end(ServerStopping())
        await stopped

    def refusals(self) -> dict[str, dict[tuple[ResourceType, str], Refusal]]:
        """What each connected proxy refused and has not been given anew, by proxy id."""
        held = {stream.proxy_id: stream.session.refusals() for stream in self._streams}
        return {proxy_id: refusals for proxy_id, refusals in held.items() if refusals}

    @property
    def resources_built(self) -> int:
        """Resources built since the server started, each for all streams that want it."""
        return self._topics.built

    def connected(self) -> tuple[str, ...]:
        """The ids of the proxies that have a stream open, admitted or waiting to be."""
        return tuple(stream.proxy_id for stream in self._streams)

    def _handlers(self) -> grpc.GenericRpcHandler:
        async def delta(requests: Requests, context: Context) -> None:
            await self._serve(DELTA, requests, context)

        async def sotw(requests: Requests, context: Context) -> None:
            await self._serve(SOTW, requests, context)

        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(delta),
                "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(sotw),
            },
        )

    async def _serve(self, variant: Variant[Q, A], requests: Requests, context: Context) -> None:
        proxy_id = ""
        try:
            first = await anext(requests, None)
            if first is None:
                return
            proxy_id, request = _read(variant, first)
            stream = Stream(proxy_id, variant.session(), self._turns)
            self._take(stream, request)
            await self._follow(stream, variant, requests, context)
        except ServerStopping as stopping:
            await context.abort(stopping.code, str(stopping))
        except StreamRefused as refused:
            logger.warning("refused the xDS stream of proxy %r: %s", proxy_id, refused)
            await context.abort(refused.code, str(refused))
        except Exception:
            logger.exception("the xDS stream of proxy %r failed", proxy_id)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has more")

    async def _follow(
        self, stream: Stream, variant: Variant[Q, A], requests: Requests, context: Context
    ) -> None:
        """Serve the stream until the client ends it, or its bad manners or we do."""
        self._streams[stream] = None
        self.statistics.streams += 1
        reader = asyncio.create_task(self._read_all(stream, variant, requests))
        try:
            admitted = await self._admitted(stream, context)
            if admitted is not None:
                await self._send_changes(stream, variant, admitted, context)
            stream.ended.result()
        finally:
            reader.cancel()
            del self._streams[stream]

    async def _admitted(self, stream: Stream, context: Context) -> Admitted | None:
        """The stream's proxy; None if the stream ended before it was known."""
        metadata = context.invocation_metadata() or ()
        credential = next((str(value) for key, value in metadata if key == CREDENTIAL_METADATA), "")
        admission = asyncio.ensure_future(
            self._admission.admit(stream.proxy_id, credential, context.peer(), stream.end)
        )
        try:
            await asyncio.wait((admission, stream.ended), return_when=asyncio.FIRST_COMPLETED)
            return admission.result() if admission.done() else None
        finally:
            admission.cancel()

    async def _send_changes(
        self, stream: Stream, variant: Variant[Q, A], admitted: Admitted, context: Context
    ) -> None:
        view = ProxyView(self._topics, admitted.node, admitted.service_id, stream)
        try:
            while await stream.work():
                response = stream.session.next_response(view)
                while response is not None:
                    await self._send(variant, response, context)
                    response = stream.session.next_response(view)
        finally:
            view.close()
            admitted.close()

    async def _send(self, variant: Variant[Q, A], response: A, context: Context) -> None:
        """Write a response. Its bytes are nobody's afterwards: a stream that waits holds on to none."""
        data = variant.write(response)
        self.statistics.responses += 1
        self.statistics.resources += len(response.resources)
        self.statistics.bytes += len(data)
        await context.write(data)

    async def _read_all(self, stream: Stream, variant: Variant[Q, A], requests: Requests) -> None:
        try:
            async for data in requests:
                _, request = _read(variant, data)
                self._take(stream, request)
        except Exception as error:
            stream.end(error)
        else:
            stream.end()

    def _take(self, stream: Stream, request: Request) -> None:
        try:
            refusal = stream.session.receive(request)
        except TooManyNames as error:
            raise StreamRefused(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from error
        if refusal is not None:
            kind = request.type_url.rpartition(".")[2]
            logger.warning("proxy %r refused %s: %s", stream.proxy_id, kind, refusal.message)
        if request.nonce and request.error is None:
            self.statistics.acks += 1
        elif request.nonce:
            self.statistics.nacks += 1
        stream.wake_now()


def _read(variant: Variant[Q, A], data: bytes) -> tuple[str, Q]:
    try:
        proxy_id, request = variant.read(data)
    except Malformed as error:
        raise StreamRefused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
    if not request.type_url:
        raise StreamRefused(grpc.StatusCode.INVALID_ARGUMENT, "type URL is required for ADS")
    return proxy_id, request
