"""A delta xDS client over real gRPC: asks, keeps what it is sent, and answers each response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import grpc
from envoy.service.discovery.v3 import discovery_pb2
from grpc import aio

from pellucid.xds.types import ResourceType

DELTA_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


class DeltaClient:
    """One proxy with a connection of its own. Use as an async context manager."""

    def __init__(
        self,
        target: str,
        proxy_id: str,
        *,
        credential: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        refuses: Callable[[discovery_pb2.DeltaDiscoveryResponse], str | None] = lambda response: None,
    ) -> None:
        """refuses: the words a response is refused with, None to take it."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self._channel = (
            aio.insecure_channel(target, options)
            if credentials is None
            else aio.secure_channel(target, credentials, options)
        )
        self.proxy_id = proxy_id
        self._metadata = () if credential is None else (("x-consul-token", credential),)
        self._refuses = refuses
        self._reader: asyncio.Task[None] | None = None
        self._moved = asyncio.Condition()
        self.held: dict[ResourceType, dict[str, discovery_pb2.Resource]] = {t: {} for t in ResourceType}
        self.responses: list[discovery_pb2.DeltaDiscoveryResponse] = []
        self.received_bytes = 0

    async def __aenter__(self) -> DeltaClient:
        method: Any = self._channel.stream_stream(DELTA_METHOD)
        self.call = method(metadata=self._metadata)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
        await self._channel.close()

    async def ask(self, resource_type: ResourceType | str, *names: str, **fields: Any) -> None:
        """Send a request; without names it is the old kind of wildcard."""
        await self._send(resource_type, resource_names_subscribe=names, **fields)

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait until something holds of what was received. Raises the stream's end, if it ends before."""
        async with self._moved:
            while not reached():
                if self._reader is None or self._reader.done():
                    await self.call
                    raise ConnectionError("the stream ended")
                await self._moved.wait()

    async def until_held(self, resource_type: ResourceType, versions: dict[str, str]) -> None:
        """Wait until exactly these versions are held of a type."""
        await self.until(lambda: self.versions(resource_type) == versions)

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """Wait for the end of the stream: its status and message."""
        return await self.call.code(), await self.call.details()

    def versions(self, resource_type: ResourceType) -> dict[str, str]:
        """What is held of a type: name -> version."""
        return {name: resource.version for name, resource in self.held[resource_type].items()}

    async def _read(self) -> None:
        try:
            while (data := await self.call.read()) is not aio.EOF:
                self.received_bytes += len(data)
                response = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
                words = self._refuses(response)
                if words is None:
                    self._keep(response.type_url, response.resources, response.removed_resources)
                await self._answer(response, words)
                self.responses.append(response)
                await self._tell()
        except (aio.AioRpcError, asyncio.InvalidStateError):
            pass  # `end` tells how the stream ended
        finally:
            await self._tell()

    def _keep(
        self, type_url: str, resources: Iterable[discovery_pb2.Resource], removed: Iterable[str]
    ) -> None:
        held = self.held[ResourceType(type_url)]
        held.update((resource.name, resource) for resource in resources)
        for name in removed:
            held.pop(name, None)

    async def _answer(self, response: discovery_pb2.DeltaDiscoveryResponse, words: str | None) -> None:
        fields: dict[str, Any] = {} if words is None else {"error_detail": {"code": 13, "message": words}}
        await self._send(response.type_url, response_nonce=response.nonce, **fields)

    async def _send(self, type_url: str, **fields: Any) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(
            node={"id": self.proxy_id}, type_url=str(type_url), **fields
        )
        await self.call.write(request.SerializeToString())

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()
