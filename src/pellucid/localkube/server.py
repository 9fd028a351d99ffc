"""A cluster's server process: API, controllers and nodes, in the cluster's own namespaces.

Started by `cluster.server_process`, as the first process of a process namespace and with network and mount
namespaces of its own; the socket on the host's loopback comes from outside, everything else is made here.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pellucid.localkube.api.conversion import ConversionWebhooks
from pellucid.localkube.api.objects import OBJECTS
from pellucid.localkube.api.store import Resources
from pellucid.localkube.api.tokens import ISSUER, ServiceAccountTokens
from pellucid.localkube.api.webhooks import Webhooks
from pellucid.localkube.cluster.definition import (
    API_PORT,
    ClusterDefinition,
    cgroup_of,
    images_file,
    load_definition,
)
from pellucid.localkube.cluster.first_objects import create_first_objects, kubernetes_service
from pellucid.localkube.cluster.readiness import nodes_ready
from pellucid.localkube.cluster.server_process import READY
from pellucid.localkube.controllers.running import run_controllers
from pellucid.localkube.http.application import Application
from pellucid.localkube.http.node_streams import ExecSession, LogWish
from pellucid.localkube.http.server import ApiServer, tls_context
from pellucid.localkube.http.webhook_client import WebhookClient, cluster_addresses
from pellucid.localkube.images.image_table import ImageTable
from pellucid.localkube.images.registries import Registries
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.network.dns_server import DnsServer
from pellucid.localkube.network.links import set_up_node
from pellucid.localkube.network.pod_network import PodNetwork
from pellucid.localkube.network.service_proxy import ServiceProxy
from pellucid.localkube.node.kubelet import Kubelet
from pellucid.localkube.node.log_file import LogOptions
from pellucid.localkube.node.streams import KubeletStreams
from pellucid.localkube.outside.host_ports import host_ports
from pellucid.localkube.outside.world import World, outside_world
from pellucid.localkube.types.kinds import SERVICE_ACCOUNTS
from pellucid.state.log import Log
from pellucid.state.sqlite import SqliteEngine

logger = logging.getLogger(__name__)

Object = dict[str, Any]
_COLLECTED_AFTER = (25_000, 20, 50)
"""New objects, and rounds of the younger generations, after which each generation is looked at."""


@dataclass(frozen=True)
class Handed:
    """What the starting process hands over: the cluster's directory, and descriptors."""

    directory: Path
    listeners: tuple[int, ...]
    """The API's, then those of the host's ports, in the order of the definition."""
    ready: int
    host_network: int | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="pellucid-cluster-server")
    parser.add_argument("--directory", type=Path, required=True, help="the cluster's directory")
    parser.add_argument(
        "--listener",
        type=int,
        required=True,
        action="append",
        help="descriptor of a listening socket: the API's, then those of the host's ports",
    )
    parser.add_argument(
        "--ready", type=int, required=True, help="descriptor to write to once the API answers"
    )
    parser.add_argument(
        "--host-network", type=int, help="descriptor of the network namespace to lend the cluster"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(Handed(given.directory, tuple(given.listener), given.ready, given.host_network)))
    return 0


async def serve(handed: Handed) -> None:
    """Bring the cluster up, say so, and run it until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    definition = load_definition(handed.directory)
    plan = definition.plan()
    await set_up_node(plan, definition.settings.nodes)
    async with AsyncExitStack() as undo:
        log = Log(SqliteEngine(handed.directory / "state", (OBJECTS,)))
        undo.push_async_callback(log.close)
        resources = Resources(log, release=definition.settings.release)
        undo.callback(resources.close)
        outside = definition.settings.outside
        world = await undo.enter_async_context(
            outside_world(outside, handed.host_network, plan, datetime.now(UTC))
        )
        client = WebhookClient(cluster_addresses(resources))
        resources.admission = Webhooks(resources, client)
        resources.conversion = ConversionWebhooks(client)
        await create_first_objects(resources, plan)
        tokens = _tokens(handed.directory / "pki", resources)
        images = _images(handed.directory, definition, world, undo)
        proxy = ServiceProxy(resources, plan, world.rules)
        kubelets = _kubelets(handed.directory, definition, plan, resources, tokens, images, proxy)
        await _listen(handed, definition, plan, resources, tokens, kubelets, undo)
        authority = (handed.directory / "pki" / "ca.crt").read_text()
        volumes = handed.directory / "volumes"

        def lasting_token(namespace: str, account: str, uid: str) -> str:
            return tokens.issue(namespace, account, uid, seconds=None)

        of_api = kubernetes_service(plan)
        _run(undo, stop, run_controllers(resources, authority, volumes, lasting_token, of_api))
        _run(undo, stop, proxy.run())
        dns = DnsServer(resources, str(plan.dns), outside=world.names, upstream=world.upstream)
        _run(undo, stop, dns.run())
        for kubelet in kubelets:
            _run(undo, stop, kubelet.run())
        await undo.enter_async_context(host_ports(_mapped(handed, definition, plan)))
        if await _first(nodes_ready(resources, definition), stop.wait()):
            # Nobody waits for it if the starting process is gone; then this one must not stay.
            os.write(handed.ready, READY)
            os.close(handed.ready)
            _settle()
            await stop.wait()


def _settle() -> None:
    """Set aside what is there, which will stay, and look for unreachable cycles less often than Python would.

    There are few; objects in use are many, and walking through them took a sixth of the time of many pods.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)


def _mapped(
    handed: Handed, definition: ClusterDefinition, plan: AddressPlan
) -> list[tuple[socket.socket, str, int]]:
    """The host's ports: where each listens, and the address and port of the node that it leads to."""
    mappings = zip(handed.listeners[1:], definition.settings.ports, strict=True)
    return [(socket.socket(fileno=number), plan.node(one.node).v4, one.node_port) for number, one in mappings]


def _tokens(pki: Path, resources: Resources) -> ServiceAccountTokens:
    def uid_of(namespace: str, name: str) -> str | None:
        account = resources.peek(SERVICE_ACCOUNTS, namespace, name)
        return None if account is None else str(account["metadata"]["uid"])

    key = load_pem_private_key((pki / "sa.key").read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return ServiceAccountTokens(key, time.time, uid_of)


def _images(directory: Path, definition: ClusterDefinition, world: World, undo: AsyncExitStack) -> ImageTable:
    insecure = definition.settings.insecure_registries
    registries = Registries(directory / "images", host=world.network, insecure=insecure)
    undo.callback(registries.close)
    return ImageTable(directory / "images", images_file(directory), world.trusted, registries)


def _kubelets(
    directory: Path,
    definition: ClusterDefinition,
    plan: AddressPlan,
    resources: Resources,
    tokens: ServiceAccountTokens,
    images: ImageTable,
    proxy: ServiceProxy,
) -> list[Kubelet]:
    return [
        Kubelet(
            resources,
            name,
            directory / "nodes" / name,
            PodNetwork(plan, index),
            images,
            issue_token=_token_issuer(resources, tokens),
            left_alone=proxy.until_left_alone,
            cgroup=cgroup_of(directory, name),
            control_plane=index == 0,
            version=str(definition.settings.release),
        )
        for index, name in enumerate(definition.node_names())
    ]


def _token_issuer(
    resources: Resources, tokens: ServiceAccountTokens
) -> Callable[[Object, Object], Awaitable[str]]:
    async def issue(pod: Object, projection: Object) -> str:
        meta = pod["metadata"]
        account = pod["spec"].get("serviceAccountName") or "default"
        found = await resources.get(SERVICE_ACCOUNTS, meta["namespace"], account)
        return tokens.issue(
            meta["namespace"],
            account,
            found["metadata"]["uid"],
            audiences=(projection.get("audience") or ISSUER,),
            seconds=int(projection.get("expirationSeconds", 3600)),
            pod=(meta["name"], meta["uid"]),
        )

    return issue


class _Streams:
    """The kubelets' streams, in the words in which the API asks for them."""

    def __init__(self, kubelets: Sequence[Kubelet]) -> None:
        self._streams = KubeletStreams(kubelets)
        self.exec = self._streams.exec
        self.port = self._streams.port

    def logs(self, pod: Object, container: str, wish: LogWish) -> AsyncIterator[bytes]:
        return self._streams.logs(pod, container, LogOptions(**msgspec.structs.asdict(wish)))

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> ExecSession:
        """Whether it is a terminal is the container's own affair, decided when it was started."""
        return await self._streams.attach(pod, container, stdin=stdin)


async def _listen(
    handed: Handed,
    definition: ClusterDefinition,
    plan: AddressPlan,
    resources: Resources,
    tokens: ServiceAccountTokens,
    kubelets: Sequence[Kubelet],
    undo: AsyncExitStack,
) -> None:
    """Answer on the host's loopback and, for pods, on the control plane's node."""
    pki = handed.directory / "pki"
    address = f"127.0.0.1:{definition.port}"
    application = Application(
        resources, tokens, streams=_Streams(kubelets), address=address, release=definition.settings.release
    )
    context = tls_context(pki / "apiserver.crt", pki / "apiserver.key", pki / "ca.crt")
    server = ApiServer(application, context)
    undo.push_async_callback(server.close)
    await server.listen_on(socket.socket(fileno=handed.listeners[0]))
    await server.listen(plan.node(0).v4, API_PORT)


async def _first(work: Awaitable[object], other: Awaitable[object]) -> bool:
    """Wait for either; whether the first one is done. What is not is cancelled."""
    tasks = [asyncio.ensure_future(one) for one in (work, other)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    ended = tasks[0].done()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return ended


def _run(undo: AsyncExitStack, stop: asyncio.Event, work: Any) -> None:
    """Run a part in the background; the whole stops with it, and it with the whole."""
    task = asyncio.ensure_future(work)

    def ended(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (problem := done.exception()) is not None:
            logger.error("the cluster stops: a part of it failed", exc_info=problem)
        stop.set()

    task.add_done_callback(ended)

    async def cancel() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    undo.push_async_callback(cancel)


if __name__ == "__main__":
    raise SystemExit(main())
