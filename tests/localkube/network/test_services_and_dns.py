# ruff: noqa: ASYNC110
import asyncio
import contextlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dnslib import DNSRecord

from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.network.dns_server import DnsServer
from pellucid.localkube.network.service_proxy import ServiceProxy
from pellucid.localkube.types.kinds import ENDPOINT_SLICES, SERVICES
from tests.localkube.node.one_node import Node, api_objects, kubelet_on, own_network, shell

pytestmark = pytest.mark.root
ADDRESS = "10.96.0.20"


async def expose(node: Node, pod: dict[str, Any], **spec: Any) -> None:
    """The service `web` at port 80 of a pod's port 8080, as controllers would have it."""
    ports = [{"port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 30080}]
    await node.resources.create(
        SERVICES,
        "default",
        {
            "metadata": {"name": "web"},
            "spec": {
                "type": "NodePort",
                "clusterIP": ADDRESS,
                "clusterIPs": [ADDRESS],
                "ports": ports,
                **spec,
            },
        },
    )
    await node.resources.create(
        ENDPOINT_SLICES,
        "default",
        {
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True}}],
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        },
    )


async def test_a_pod_reaches_a_service_by_name_address_and_node_port_even_its_own(tmp_path: Path) -> None:
    async with own_network(), kubelet_on(await api_objects(), tmp_path) as node:
        tasks = [
            asyncio.ensure_future(ServiceProxy(node.resources, AddressPlan()).run()),
            asyncio.ensure_future(DnsServer(node.resources, str(AddressPlan().dns)).run()),
        ]
        await node.create("server", {"name": "c", "image": "hello-http"})
        server = await node.until_phase("server", "Running")
        await expose(node, server)
        get = "curl -s --max-time 3 --retry 5 --retry-all-errors"
        hosts = ("web", "web.default.svc.cluster.local", ADDRESS, "$HOST:30080")
        script = "; ".join(f"{get} {one}/hello" for one in hosts)
        host = [{"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]
        await node.create("client", shell(script, env=host), restartPolicy="Never")
        client = await node.until_phase("client", "Succeeded")
        assert (await node.log(client)).splitlines() == ["Hello World"] * 4
        own = await node.streams.exec(server, "c", ["sh", "-c", f"{get} {ADDRESS}/hello"])
        assert await own.stdout.read() == b"Hello World\n"
        assert await own.wait() == 0
        for task in tasks:
            task.cancel()


async def test_an_unreadable_question_gets_no_answer_and_a_long_one_is_cut(tmp_path: Path) -> None:
    resources = await api_objects()
    addresses = tuple(f"198.51.100.{number}" for number in range(100))
    server = DnsServer(resources, "127.0.0.1", outside={"many.example": addresses}, port=0)
    running = asyncio.ensure_future(server.run())
    await asyncio.sleep(0)
    assert await server.answer(b"\x00\x01garbage", stream=False) == b""
    query = DNSRecord.question("many.example").pack()
    short, full = await server.answer(query, stream=False), await server.answer(query, stream=True)
    assert DNSRecord.parse(short).header.tc
    assert len(DNSRecord.parse(full).rr) == 100
    running.cancel()


async def is_left_alone(proxy: ServiceProxy, address: str) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            await proxy.until_left_alone([address])
            return True
    return False


async def test_an_address_is_left_alone_once_no_ready_endpoint_has_it(tmp_path: Path) -> None:
    async with own_network(), kubelet_on(await api_objects(), tmp_path) as node:
        proxy = ServiceProxy(node.resources, AddressPlan())
        running = asyncio.ensure_future(proxy.run())
        address = "10.244.0.77"
        await expose(node, {"status": {"podIP": address}})
        while await is_left_alone(proxy, address):
            await asyncio.sleep(0)
        assert address in rules()
        assert await is_left_alone(proxy, "10.244.0.7")
        gone = [{"addresses": [address], "conditions": {"ready": False, "terminating": True}}]
        await node.resources.patch(ENDPOINT_SLICES, "default", "web-1", {"endpoints": gone})
        async with asyncio.timeout(30):
            await proxy.until_left_alone([address])
        assert address not in rules()
        running.cancel()


def rules() -> str:
    return subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
