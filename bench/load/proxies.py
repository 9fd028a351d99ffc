"""Simulated sidecars: each has its own gRPC channel with a real delta stream, and does as Envoy does.

Run as `python -m bench.load.proxies ADDRESS`. Commands come as JSON lines, answers go out as such:

    {"connect": [id, …]}                        -> {"began": t, "ready": {id: t}}
    {"watch": [id, …], "quiet": s, "seconds": s} -> {"armed": true}, then, once each of these has taken
        something and nothing has come for `quiet` seconds or more,
        {"last": {id: t}, "messages": n, "bytes": n}

All t are CLOCK_MONOTONIC in seconds, which processes of one machine share; each is taken when the
acknowledgement has been handed to gRPC.

The order of requests is the one observed with Envoy 1.40: clusters; their endpoints and secrets before the
clusters are acknowledged; listeners once every cluster has endpoints; routes before listeners are
acknowledged. What a resource refers to is looked up once for equal versions, so that parsing what a
thousand proxies share does not drown what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import uvloop
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.service.discovery.v3 import discovery_pb2
from grpc import aio

from bench.server import allow_many_files

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
PREFIX = "type.googleapis.com/envoy."
CLUSTER = f"{PREFIX}config.cluster.v3.Cluster"
ENDPOINT = f"{PREFIX}config.endpoint.v3.ClusterLoadAssignment"
LISTENER = f"{PREFIX}config.listener.v3.Listener"
ROUTE = f"{PREFIX}config.route.v3.RouteConfiguration"
SECRET = f"{PREFIX}extensions.transport_sockets.tls.v3.Secret"
NAMED_TYPES = (ENDPOINT, ROUTE, SECRET)
CONNECT_SECONDS = 120.0
QUIET_SHARE = 0.5
"""Of the time a change has taken so far: on a busy machine there are pauses in the middle of one."""

Needs = frozenset[tuple[str, str]]
"""What a resource refers to: (type, name)."""

_needs: dict[tuple[str, str, str], Needs] = {}


def needs_of(type_url: str, resource: Any) -> Needs:
    """What has to be asked for by name because of a resource."""
    key = (type_url, resource.name, resource.version)
    found = _needs.get(key)
    if found is None:
        found = _needs[key] = frozenset(_look(type_url, resource.resource.value))
    return found


def _look(type_url: str, body: bytes) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    if type_url == CLUSTER:
        cluster = cluster_pb2.Cluster.FromString(body)
        if cluster.type == cluster_pb2.Cluster.EDS:
            found.add((ENDPOINT, cluster.eds_cluster_config.service_name or cluster.name))
        found |= _secrets(cluster.transport_socket.typed_config)
        for match in cluster.transport_socket_matches:
            found |= _secrets(match.transport_socket.typed_config)
    elif type_url == LISTENER:
        listener = listener_pb2.Listener.FromString(body)
        for chain in (*listener.filter_chains, listener.default_filter_chain):
            found |= _secrets(chain.transport_socket.typed_config)
            for each in chain.filters:
                found |= _routes(each.typed_config)
    return found


def _secrets(config: Any) -> set[tuple[str, str]]:
    for context in (tls_pb2.UpstreamTlsContext(), tls_pb2.DownstreamTlsContext()):
        if config.Unpack(context):
            common = context.common_tls_context
            names = [each.name for each in common.tls_certificate_sds_secret_configs]
            names.append(common.validation_context_sds_secret_config.name)
            names.append(common.combined_validation_context.validation_context_sds_secret_config.name)
            return {(SECRET, name) for name in names if name}
    return set()


def _routes(config: Any) -> set[tuple[str, str]]:
    manager = http_connection_manager_pb2.HttpConnectionManager()
    if config.Unpack(manager) and manager.rds.route_config_name:
        return {(ROUTE, manager.rds.route_config_name)}
    return set()


@dataclass
class Watch:
    """What came in since a moment."""

    expected: set[str]
    last: dict[str, float] = field(default_factory=dict)
    messages: int = 0
    bytes: int = 0
    missing: set[str] = field(default_factory=set)
    all_came: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.missing = set(self.expected)
        if not self.missing:
            self.all_came.set()

    def saw(self, proxy_id: str, at: float, size: int) -> None:
        self.last[proxy_id] = at
        self.messages += 1
        self.bytes += size
        self.missing.discard(proxy_id)
        if not self.missing:
            self.all_came.set()


class Proxy:
    """One sidecar: a channel, a stream, and what it has."""

    def __init__(self, fleet: Fleet, proxy_id: str) -> None:
        self._fleet, self.id = fleet, proxy_id
        self._needs: dict[str, dict[str, Needs]] = {CLUSTER: {}, LISTENER: {}}
        self._asked: dict[str, set[str]] = {type_url: set() for type_url in NAMED_TYPES}
        self._missing: set[tuple[str, str]] = set()
        self._seen: set[str] = set()
        self._listening = False
        self.ready: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def run(self, address: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        async with aio.insecure_channel(address, options=options) as channel:
            self._call = channel.stream_stream(METHOD)(metadata=(("x-consul-token", ""),))
            try:
                await self._send(CLUSTER)
                while (data := await self._call.read()) is not aio.EOF:
                    await self._take(data)
                raise ConnectionError("the server ended the stream")
            except Exception as error:
                if not self.ready.done():
                    self.ready.set_exception(error)
                self._fleet.failed(self.id, error)

    async def _take(self, data: bytes) -> None:
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
        type_url = response.type_url
        self._seen.add(type_url)
        if type_url in self._needs:
            await self._ask_for_what_it_needs(type_url, response)
        else:
            for resource in response.resources:
                self._missing.discard((type_url, resource.name))
        await self._send(type_url, nonce=response.nonce)
        now = time.monotonic()
        if not self._listening and not any(kind == ENDPOINT for kind, _ in self._missing):
            self._listening = True
            await self._send(LISTENER)
        if not self.ready.done() and LISTENER in self._seen and not self._missing:
            self.ready.set_result(now)
        self._fleet.saw(self.id, now, len(data))

    async def _ask_for_what_it_needs(self, type_url: str, response: Any) -> None:
        held = self._needs[type_url]
        moved = bool(response.removed_resources)
        for resource in response.resources:
            needs = needs_of(type_url, resource)
            moved |= held.get(resource.name) != needs
            held[resource.name] = needs
        for name in response.removed_resources:
            held.pop(name, None)
        if not moved:
            return
        needed = {need for each in self._needs.values() for needs in each.values() for need in needs}
        for kind in NAMED_TYPES:
            names = {name for each, name in needed if each == kind}
            new, gone = names - self._asked[kind], self._asked[kind] - names
            if new or gone:
                self._asked[kind] = names
                self._missing.update((kind, name) for name in new)
                self._missing.difference_update((kind, name) for name in gone)
                await self._send(kind, subscribe=new, unsubscribe=gone)

    async def _send(
        self,
        type_url: str,
        *,
        nonce: str = "",
        subscribe: Iterable[str] = (),
        unsubscribe: Iterable[str] = (),
    ) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=type_url,
            response_nonce=nonce,
            resource_names_subscribe=sorted(subscribe),
            resource_names_unsubscribe=sorted(unsubscribe),
        )
        request.node.id = self.id
        await self._call.write(request.SerializeToString())


class Fleet:
    """All proxies of this process."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._proxies: dict[str, Proxy] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._watch: Watch | None = None
        self._failures: list[str] = []

    async def connect(self, ids: list[str]) -> dict[str, Any]:
        """Connect them all at once; answers when each has its whole configuration."""
        began = time.monotonic()
        fresh = [Proxy(self, proxy_id) for proxy_id in ids]
        self._proxies.update((proxy.id, proxy) for proxy in fresh)
        self._tasks += [asyncio.create_task(proxy.run(self._address)) for proxy in fresh]
        done, late = await asyncio.wait([proxy.ready for proxy in fresh], timeout=CONNECT_SECONDS)
        if late:
            return _error(
                f"{len(late)} of {len(ids)} proxies had no configuration in {CONNECT_SECONDS:.0f} s"
            )
        for future in done:
            if future.exception() is not None:
                return _error(f"a proxy stream failed: {future.exception()!r}")
        return {"began": began, "ready": {proxy.id: proxy.ready.result() for proxy in fresh}}

    async def watch(self, ids: list[str], quiet: float, seconds: float) -> dict[str, Any]:
        """What comes until every one of these has taken something and all is quiet."""
        watch = self._watch = Watch(set(ids) & self._proxies.keys())
        began = time.monotonic()
        try:
            await asyncio.wait_for(watch.all_came.wait(), seconds)
        except TimeoutError:
            return _error(
                f"{len(watch.missing)} of {len(watch.expected)} proxies heard nothing in {seconds:.0f} s"
            )
        messages = -1
        while messages != watch.messages:
            messages = watch.messages
            await asyncio.sleep(max(quiet, (time.monotonic() - began) * QUIET_SHARE))
        if self._failures:
            return _error(self._failures[0])
        return {"last": watch.last, "messages": watch.messages, "bytes": watch.bytes}

    def saw(self, proxy_id: str, at: float, size: int) -> None:
        """A proxy has acknowledged something."""
        if self._watch is not None:
            self._watch.saw(proxy_id, at, size)

    def failed(self, proxy_id: str, error: Exception) -> None:
        """A proxy's stream has ended."""
        self._failures.append(f"the stream of {proxy_id} ended: {error!r}")


async def main(address: str) -> None:
    """Do as the lines on standard input say, until they end."""
    allow_many_files()
    fleet = Fleet(address)
    lines = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command = json.loads(line)
        if "connect" in command:
            _answer(await fleet.connect(command["connect"]))
        else:
            watch = fleet.watch(command["watch"], command["quiet"], command["seconds"])
            watching = asyncio.create_task(watch)
            await asyncio.sleep(0)
            _answer({"armed": True})
            _answer(await watching)


def _error(what: str) -> dict[str, Any]:
    return {"error": what}


def _answer(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
