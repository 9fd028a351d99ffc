"""Where a redirected connection goes: two real Envoys and the real kernel, in a namespace of their own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pellucid.model.config_entries import Mesh as MeshEntry
from pellucid.model.config_entries import ServiceDefaults
from pellucid.model.config_entries.mesh import TransparentProxyMeshConfig
from pellucid.model.services import Proxy, ServiceAddress, TransparentProxyConfig, Upstream
from pellucid.rules.virtual import virtual_ipv4, virtual_ipv6
from pellucid.state.mesh_tables import CONFIG_ENTRIES
from pellucid.state.tables import Put
from tests.xds import sidecar
from tests.xds.mesh import Mesh, serving

pytestmark = pytest.mark.root

APPLICATION = 65_534
"""The uid whose connections are redirected."""
OUTSIDE = "192.0.2.1"
CLUSTER_IP = "192.0.2.10"
"""An address in front of several services; on port 8080 the web server listens there, without the mesh."""
OK, CLOSED = "ok", "closed"
EXIT_CODES = {0: OK, 52: CLOSED, 56: CLOSED}
"""What curl's exit codes mean; a connection that is closed after curl has written counts as reset."""

OUT_OF_REACH = MeshEntry(transparent_proxy=TransparentProxyMeshConfig(mesh_destinations_only=True))
"""Turns off what lies outside the mesh."""

CLIENT = Proxy(
    destination_service_name="client",
    local_service_port=9,
    mode="transparent",
    upstreams=(Upstream(destination_name="hello", local_bind_port=9191),),
)


class Namespace:
    """A network namespace in which the application's connections are handed to port 15001."""

    def __init__(self, pid: int) -> None:
        self.inside = ("nsenter", "-n", "-t", str(pid))

    async def run(self, *command: str) -> None:
        """Run something in it, which must work."""
        process = await asyncio.create_subprocess_exec(*self.inside, *command)
        assert await process.wait() == 0, command

    async def statistic(self, admin: str, name: str) -> int:
        """A counter of the Envoy whose admin page is at that address."""
        url = f"http://{admin}/stats?filter=^{name}$"
        process = await asyncio.create_subprocess_exec(
            *self.inside, "curl", "-s", "--noproxy", "*", url, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        return int(said.decode().rpartition(":")[2])

    async def curl(self, host: str, port: int = 80) -> str:
        """What comes of a request that the application sends."""
        url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
        arguments = ("curl", "-s", "-o", "/dev/null", "--max-time", "5", "--noproxy", "*", url)
        process = await asyncio.create_subprocess_exec(
            *self.inside, "setpriv", f"--reuid={APPLICATION}", "--clear-groups", *arguments
        )
        code = await process.wait()
        return EXIT_CODES.get(code, f"curl ended with {code}")

    async def until(self, outcome: str, host: str, port: int = 80) -> None:
        """Returns when requests end like this."""
        while await self.curl(host, port) != outcome:
            pass


class KeptConnection:
    """One connection of the application, over which it sends request after request."""

    PROGRAM = r"""
exec 3<>"/dev/tcp/$0/80"
while read -r _; do
    printf 'HEAD / HTTP/1.1\r\nHost: app\r\n\r\n' >&3
    read -r _ status _ <&3 && echo "$status" || exit
    while read -r line <&3 && [ "$line" != $'\r' ]; do :; done
done
"""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, namespace: Namespace, host: str) -> AsyncIterator[KeptConnection]:
        process = await asyncio.create_subprocess_exec(
            *namespace.inside,
            *("setpriv", f"--reuid={APPLICATION}", "--clear-groups"),
            *("bash", "-c", cls.PROGRAM, host),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield cls(process)
        finally:
            process.kill()
            await process.wait()

    async def get(self) -> str:
        """The status of one more request; empty if the connection has been closed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return (await self._process.stdout.readline()).decode().strip()


@pytest.fixture
async def namespace() -> AsyncIterator[Namespace]:
    holder = await asyncio.create_subprocess_exec(
        "unshare", "-n", "sh", "-c", "echo made; exec sleep infinity", stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    made = Namespace(holder.pid)
    try:
        await made.run("ip", "link", "set", "lo", "up")
        for address in (OUTSIDE, CLUSTER_IP):
            await made.run("ip", "address", "add", f"{address}/32", "dev", "lo")
        await made.run("ip", "route", "add", "default", "dev", "lo")
        await made.run("ip", "-6", "route", "add", "default", "dev", "lo")
        rule = ("-A", "OUTPUT", "-p", "tcp", "-m", "owner", "--uid-owner", str(APPLICATION))
        for tables, own in (("iptables", "127.0.0.1/32"), ("ip6tables", "::1/128")):
            redirect = ("!", "-d", own, "-j", "REDIRECT", "--to-port", "15001")
            await made.run(tables, "-t", "nat", *rule, *redirect)
        yield made
    finally:
        holder.kill()
        await holder.wait()


@contextlib.asynccontextmanager
async def _web_server(namespace: Namespace, directory: Path, port: int = 8080) -> AsyncIterator[None]:
    where = (str(port), "-p", "HTTP/1.1", "--directory", str(directory))
    command = (sys.executable, "-m", "http.server", *where)
    process = await asyncio.create_subprocess_exec(
        *namespace.inside, *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def _mesh(mesh: Mesh, namespace: Namespace, directory: Path) -> AsyncIterator[None]:
    """`client` and `hello` with their sidecars; the application of `hello` is a web server."""
    mesh.register("client", proxy=CLIENT, port=20001, number=1)
    mesh.register("hello", port=20002, number=2)
    mesh.register("refused", port=20003, number=3)
    mesh.intend("refused", client="deny")
    at = f"unix:{directory}/xds.sock"
    async with (
        serving(mesh, at),
        _web_server(namespace, directory / "www"),
        sidecar.envoy(f"{directory}/xds.sock", "hello-sidecar-proxy", directory, namespace.inside),
        sidecar.envoy(f"{directory}/xds.sock", "client-sidecar-proxy", directory, namespace.inside),
    ):
        await namespace.until(OK, virtual_ipv4(2))
        yield


@pytest.fixture
async def mesh(namespace: Namespace, tmp_path: Path) -> AsyncIterator[Mesh]:
    (tmp_path / "www").mkdir()
    made = Mesh()
    async with _mesh(made, namespace, tmp_path):
        yield made


async def test_an_upstream_is_reached_by_its_virtual_addresses_whatever_the_port(
    mesh: Mesh, namespace: Namespace
) -> None:
    assert await namespace.curl(virtual_ipv4(2), 4711) == OK
    assert await namespace.curl(virtual_ipv6(2)) == OK


async def test_an_explicit_upstream_is_reached_by_its_local_port(mesh: Mesh, namespace: Namespace) -> None:
    assert await namespace.curl("127.0.0.1", 9191) == OK


async def test_a_denied_upstream_is_refused_at_the_source(mesh: Mesh, namespace: Namespace) -> None:
    assert await namespace.curl(virtual_ipv4(3)) == CLOSED
    mesh.intend("hello", client="deny")
    await namespace.until(CLOSED, virtual_ipv4(2))
    await namespace.until(CLOSED, "127.0.0.1", 9191)


async def test_a_virtual_address_of_nobody_is_refused(mesh: Mesh, namespace: Namespace) -> None:
    assert await namespace.curl(virtual_ipv4(99)) == CLOSED
    assert await namespace.curl(virtual_ipv6(99)) == CLOSED


async def test_the_world_outside_is_reached_unless_the_mesh_keeps_to_itself(
    mesh: Mesh, namespace: Namespace
) -> None:
    assert await namespace.curl(OUTSIDE, 8080) == OK
    mesh.commit(Put(CONFIG_ENTRIES, OUT_OF_REACH))
    while await namespace.curl(OUTSIDE, 8080) == OK:
        pass
    assert await namespace.curl(virtual_ipv4(2)) == OK


async def test_a_protocol_with_requests_is_routed_and_judged_by_request(
    mesh: Mesh, namespace: Namespace
) -> None:
    mesh.commit(Put(CONFIG_ENTRIES, ServiceDefaults(name="hello", protocol="http")))
    await namespace.until(OK, virtual_ipv4(2))
    assert await namespace.curl("127.0.0.1", 9191) == OK


async def test_an_instance_is_dialled_directly_only_while_it_asks_for_that(
    mesh: Mesh, namespace: Namespace
) -> None:
    instance = "10.1.0.2"
    await namespace.run("ip", "address", "add", f"{instance}/32", "dev", "lo")
    proxy = Proxy(destination_service_name="hello", local_service_port=8080)
    asking = msgspec.structs.replace(proxy, transparent_proxy=TransparentProxyConfig(dialed_directly=True))
    mesh.register("hello", proxy=asking, address=instance, port=20002)
    await namespace.until(OK, instance, 20002)
    mesh.register("hello", proxy=proxy, address=instance, port=20002)
    while await namespace.curl(instance, 20002) == OK:
        pass
    assert await namespace.curl(virtual_ipv4(2)) == OK


async def test_a_tagged_address_leads_to_its_service_on_its_own_port_alone(
    mesh: Mesh, namespace: Namespace
) -> None:
    mesh.tag("hello", virtual=ServiceAddress(CLUSTER_IP, 80))
    await namespace.until(OK, CLUSTER_IP, 80)
    assert await namespace.curl(CLUSTER_IP, 4711) == CLOSED
    mesh.tag("refused", virtual=ServiceAddress(CLUSTER_IP, 8080))
    await namespace.until(CLOSED, CLUSTER_IP, 8080)
    assert await namespace.curl(CLUSTER_IP, 80) == OK
    mesh.tag("refused")
    await namespace.until(OK, CLUSTER_IP, 8080)


async def test_a_further_port_of_a_workload_is_in_the_mesh_too(
    mesh: Mesh, namespace: Namespace, tmp_path: Path
) -> None:
    instance, further = "10.1.0.2", {"virtual.90:9090": ServiceAddress(CLUSTER_IP, 90)}
    await namespace.run("ip", "address", "add", f"{instance}/32", "dev", "lo")
    inbound = ("-d", instance, "-p", "tcp", "!", "--dport", "20002", "-j", "DNAT")
    await namespace.run(
        "iptables", "-t", "nat", "-A", "OUTPUT", *inbound, "--to-destination", f"{instance}:20002"
    )
    proxy = Proxy(destination_service_name="hello", local_service_port=8080, mode="transparent")
    mesh.register("hello", proxy=proxy, address=instance, port=20002)
    mesh.tag("hello", virtual=ServiceAddress(CLUSTER_IP, 80), **further)
    async with _web_server(namespace, tmp_path / "www", 9090):
        await namespace.until(OK, CLUSTER_IP, 90)
        mesh.intend("hello", client="deny")
        await namespace.until(CLOSED, CLUSTER_IP, 90)
        mesh.intend("hello", client="allow")
        await namespace.until(OK, CLUSTER_IP, 90)
        directly = TransparentProxyConfig(dialed_directly=True)
        asking = msgspec.structs.replace(proxy, transparent_proxy=directly)
        mesh.register("hello", proxy=asking, address=instance, port=20002)
        mesh.tag("hello", virtual=ServiceAddress(CLUSTER_IP, 80), **further)
        await namespace.until(OK, instance, 9090)
    assert await namespace.curl(CLUSTER_IP, 90) == await namespace.curl(instance, 9090) == CLOSED
    assert await namespace.curl(CLUSTER_IP, 80) == await namespace.curl(instance, 8080) == OK


async def test_addresses_come_and_go_without_a_new_listener(
    mesh: Mesh, namespace: Namespace, tmp_path: Path
) -> None:
    admin = sidecar.admin_address("client-sidecar-proxy", tmp_path)
    async with KeptConnection.opened(namespace, virtual_ipv4(2)) as kept:
        assert await kept.get() == "200"
        replaced = await namespace.statistic(admin, "listener_manager.listener_modified")
        in_place = await namespace.statistic(admin, "listener_manager.listener_in_place_updated")
        mesh.tag("hello", virtual=ServiceAddress(CLUSTER_IP, 80))
        await namespace.until(OK, CLUSTER_IP, 80)
        mesh.tag("hello")
        await namespace.until(CLOSED, CLUSTER_IP, 80)
        assert await kept.get() == "200"
    assert await namespace.statistic(admin, "listener_manager.listener_modified") == replaced + 2
    assert await namespace.statistic(admin, "listener_manager.listener_in_place_updated") == in_place + 2


async def test_an_open_connection_outlives_changes_that_do_not_concern_it(
    mesh: Mesh, namespace: Namespace
) -> None:
    async with KeptConnection.opened(namespace, virtual_ipv4(2)) as kept:
        assert await kept.get() == "200"
        mesh.register("new", port=20004, number=4)
        mesh.rotate("client")
        mesh.rotate("hello")
        mesh.intend("new", client="deny")
        # The last change has arrived when it has an effect, and so have those before it.
        mesh.commit(Put(CONFIG_ENTRIES, OUT_OF_REACH))
        while await namespace.curl(OUTSIDE, 8080) == OK:
            pass
        assert await kept.get() == "200"


async def test_ipv6_turned_off_takes_nothing_from_ipv4(namespace: Namespace, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    await namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    async with _mesh(Mesh(), namespace, tmp_path):
        assert await namespace.curl(virtual_ipv4(2)) == OK
