"""What pods see of the outside: nothing by default, a stand-in if asked for, the host's way out if lent."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dnslib import RR, A, DNSRecord

from pellucid.localkube.images.image_table import ImageTable
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.network.commands import run_network_command
from pellucid.localkube.network.dns_server import DnsServer
from pellucid.localkube.network.service_proxy import ServiceProxy
from pellucid.localkube.node.sandbox import Sandbox, SandboxSettings, make_sandbox
from pellucid.localkube.outside.host_network import HostNetwork
from pellucid.localkube.outside.host_resolver import HostResolver
from pellucid.localkube.outside.names import outside_names
from pellucid.localkube.outside.uplink import Uplink, uplink_rules
from pellucid.localkube.outside.world import World, outside_world
from tests.localkube.node.one_node import Node, api_objects, kubelet_on, own_network, shell

pytestmark = pytest.mark.root
PLAN = AddressPlan()
FAR = "198.51.100.5"
PORT = 8080
CURL = "curl -sS --max-time 5 -w '%{http_code} ' -o /dev/null"
MACHINES_OWN = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass
class Host:
    """A network namespace that plays the host, with a web server and a name server at `FAR`."""

    sandbox: Sandbox
    resolver_file: Path
    asked: list[str] = field(default_factory=list)

    def descriptor(self) -> int:
        return os.open(f"/proc/{self.sandbox.pid}/ns/net", os.O_RDONLY)


@asynccontextmanager
async def a_host(directory: Path) -> AsyncIterator[Host]:
    async with AsyncExitStack() as undo:
        sandbox = await make_sandbox(SandboxSettings("host"))
        undo.push_async_callback(sandbox.remove)
        enter = ("nsenter", f"--net=/proc/{sandbox.pid}/ns/net", "ip", "-batch", "-")
        await run_network_command(enter, f"link set lo up\naddress add {FAR}/32 dev lo\n")
        resolver_file = directory / "resolv.conf"
        resolver_file.write_text(f"nameserver {FAR}\n")
        host = Host(sandbox, resolver_file)
        web = await sandbox.in_network(partial(socket.create_server, (FAR, PORT)))
        undo.push_async_callback(_close, await asyncio.start_server(_web, sock=web))
        names = await sandbox.in_network(_name_server_socket)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _NameServer(host.asked), sock=names
        )
        undo.callback(transport.close)
        yield host


def _name_server_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((FAR, 53))
    return made


async def _close(server: asyncio.Server) -> None:
    server.close()
    await server.wait_closed()


async def _web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


class _NameServer(asyncio.DatagramProtocol):
    """Knows `far.example`."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = DNSRecord.parse(data)
        self._asked.append(str(query.q.qname))
        reply = query.reply()
        if str(query.q.qname) == "far.example." and query.q.qtype == 1:
            reply.add_answer(RR("far.example", rdata=A(FAR)))
        self._transport.sendto(reply.pack(), addr)


@asynccontextmanager
async def lent(host: Host) -> AsyncIterator[World]:
    network = HostNetwork(host.descriptor())
    uplink, resolver = Uplink(network, PLAN), HostResolver(network, host.resolver_file)
    try:
        async with uplink.listening():
            rules = {
                version: uplink_rules(PLAN, version, port, resolver.servers(), ())
                for version, port in uplink.ports.items()
            }
            yield World(upstream=resolver, rules=rules, network=network)
    finally:
        network.close()


@asynccontextmanager
async def node_in(world: World, directory: Path) -> AsyncIterator[Node]:
    """A node with services and cluster DNS, in the cluster's network namespace."""
    async with kubelet_on(await api_objects(), directory, world.trusted) as node:
        parts = [
            ServiceProxy(node.resources, PLAN, world.rules).run(),
            DnsServer(node.resources, str(PLAN.dns), outside=world.names, upstream=world.upstream).run(),
        ]
        running = [asyncio.ensure_future(part) for part in parts]
        try:
            yield node
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def said_in(node: Node, script: str) -> list[str]:
    """What a pod that runs the script says, line by line, whether or not it succeeds."""
    await node.create("client", shell(f"{script}; true"), restartPolicy="Never")
    return (await node.log(await node.until_phase("client", "Succeeded"))).splitlines()


async def test_without_an_uplink_no_connection_and_no_question_leaves(tmp_path: Path) -> None:
    async with own_network(), a_host(tmp_path) as host, node_in(World(), tmp_path) as node:
        said = await said_in(node, f"{CURL} http://{FAR}:{PORT} 2>&1; {CURL} http://far.example 2>&1")
        assert "Could not resolve host: far.example" in "\n".join(said)
        assert "200" not in "\n".join(said)
        assert host.asked == []


async def test_an_uplink_lends_the_hosts_connections_and_its_resolver(tmp_path: Path) -> None:
    async with own_network(), a_host(tmp_path) as host, lent(host) as world, node_in(world, tmp_path) as node:
        by_name = f"{CURL} http://far.example:{PORT}"
        by_address = f"{CURL} http://{FAR}:{PORT}"
        nobody = f"{CURL} http://{FAR}:{PORT + 1} 2>&1"
        said = await said_in(node, f"{by_name}; {by_address}; {nobody}")
        assert said[0].startswith("200 200 ")
        assert said[-1].split()[-1] == "000"
        assert "far.example." in host.asked
        assert not [name for name in host.asked if name.endswith("cluster.local.")]


async def test_ipv6_is_lent_only_by_a_host_that_has_a_way_out_by_it(tmp_path: Path) -> None:
    async with own_network(), a_host(tmp_path) as host:
        async with lent(host) as world:
            assert set(world.rules) == {4}
        enter = ("nsenter", f"--net=/proc/{host.sandbox.pid}/ns/net", "ip", "-6", "route", "add")
        await run_network_command((*enter, "default", "dev", "lo"), "")
        await run_network_command(("ip", "route", "delete", "default"), "")
        async with lent(host) as world:
            assert set(world.rules) == {4, 6}


async def test_a_pod_that_asks_the_hosts_name_server_itself_is_answered(tmp_path: Path) -> None:
    async with own_network(), a_host(tmp_path) as host, lent(host) as world, node_in(world, tmp_path) as node:
        container = shell(f"{CURL} http://far.example:{PORT}")
        servers = {"nameservers": [FAR]}
        await node.create("client", container, restartPolicy="Never", dnsPolicy="None", dnsConfig=servers)
        assert "200" in await node.log(await node.until_phase("client", "Succeeded"))


async def test_chosen_names_are_answered_with_a_certificate_that_images_accept(tmp_path: Path) -> None:
    names = outside_names(["example.com", "far.example=203.0.113.9", "six.example=2001:db8::9"], PLAN)
    before = content_of(MACHINES_OWN)
    async with (
        own_network(),
        outside_world(names, None, PLAN, datetime.now(UTC)) as world,
        node_in(world, tmp_path) as node,
    ):
        python = "python3 -c 'import urllib.request as u; print(u.urlopen(\"https://example.com\").status)'"
        urls = ("https://example.com", "http://example.com", "https://far.example", "https://six.example")
        script = "; ".join(f"{CURL} {url}" for url in urls) + f"; echo; {python}"
        said = await said_in(node, f"{script}; {CURL} http://other.example 2>&1")
        assert said[0].split() == ["200"] * 4
        assert said[1] == "200"
        assert "Could not resolve host: other.example" in "\n".join(said[2:])
    assert content_of(MACHINES_OWN) == before


def test_images_without_a_stand_in_trust_only_whom_this_machine_trusts(tmp_path: Path) -> None:
    plain = Path(ImageTable(tmp_path / "plain").find("curl").base)
    more = Path(ImageTable(tmp_path / "more", trusted={"0a1b2c3d": b"AUTHORITY"}).find("curl").base)
    bundle = MACHINES_OWN.relative_to("/")
    assert content_of(plain / bundle) == content_of(MACHINES_OWN)
    assert content_of(more / bundle) == content_of(MACHINES_OWN) + b"AUTHORITY"


def content_of(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""
