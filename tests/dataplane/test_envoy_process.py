"""A real Envoy under supervision, configured by its bootstrap alone."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from pellucid.dataplane.envoy_admin import AdminError, EnvoyAdmin
from pellucid.dataplane.envoy_binary import envoy_command, find_envoy
from pellucid.dataplane.envoy_lifecycle import Phase
from pellucid.dataplane.envoy_process import EnvoyFailedError, EnvoyProcess, spawn_here

SECRET = "a-secret-in-the-bootstrap"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def bootstrap(admin_socket: Path, inbound_port: int, backend_port: int) -> dict[str, Any]:
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "in",
        "cluster": "app",
    }

    def address(port: int) -> dict[str, Any]:
        return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}

    listener = {
        "name": "in",
        "traffic_direction": "INBOUND",
        **address(inbound_port),
        "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
    }
    endpoint = {"lb_endpoints": [{"endpoint": address(backend_port)}]}
    app = {"name": "app", "load_assignment": {"cluster_name": "app", "endpoints": [endpoint]}}
    return {
        "node": {"id": "x", "cluster": "x", "metadata": {"secret": SECRET}},
        "admin": {"address": {"pipe": {"path": str(admin_socket)}}},
        "static_resources": {"listeners": [listener], "clusters": [app]},
    }


class Supervised:
    def __init__(self, directory: Path) -> None:
        self.inbound_port = free_port()
        self.backend_port = free_port()
        self._admin_socket = directory / "admin.sock"
        self.admin = EnvoyAdmin(self._connect)
        self.envoy = EnvoyProcess(self.admin, self._admin_socket.exists, self.inbound_port)

    async def start(self, text: str | None = None) -> None:
        config = bootstrap(self._admin_socket, self.inbound_port, self.backend_port)
        text = msgspec.json.encode(config).decode() if text is None else text
        quiet = ("-l", "warning", "--concurrency", "1")
        await self.envoy.start(spawn_here, lambda path: envoy_command(find_envoy(), path, quiet), text)

    async def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, str(self._admin_socket))
        return connection


@pytest.fixture
async def supervised(tmp_path: Path) -> AsyncIterator[Supervised]:
    supervised = Supervised(tmp_path)
    yield supervised
    await supervised.envoy.stop()


def envoys() -> list[psutil.Process]:
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "--config-path" in child.cmdline()]


async def test_it_serves_when_started_and_is_gone_when_stopped(supervised: Supervised) -> None:
    await supervised.start()
    assert supervised.envoy.phase is Phase.SERVING
    assert await supervised.admin.is_ready()
    await supervised.envoy.stop()
    assert supervised.envoy.phase is Phase.GONE
    assert envoys() == []


async def test_the_bootstrap_is_in_no_argument_no_environment_and_no_file(supervised: Supervised) -> None:
    await supervised.start()
    _, dump = await supervised.admin.request("GET", "/config_dump")
    assert SECRET in dump
    (envoy,) = envoys()
    assert SECRET not in " ".join(envoy.cmdline())
    config = Path(f"/proc/{envoy.pid}/fd/{envoy.cmdline()[2].rpartition('/')[2]}")
    assert os.readlink(config).startswith("/memfd:")


async def test_an_unexpected_end_is_told_with_envoys_last_words(supervised: Supervised) -> None:
    with pytest.raises(EnvoyFailedError, match="ended with exit code 1 while starting") as caught:
        await supervised.start('{"no_such_field": 1}')
    assert "no_such_field" in str(caught.value)


async def test_a_killed_envoy_is_noticed(supervised: Supervised) -> None:
    await supervised.start()
    envoys()[0].kill()
    await supervised.envoy.wait_gone()
    assert "killed by signal 9 while serving" in str(supervised.envoy.failure())


@asynccontextmanager
async def open_connection(supervised: Supervised) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection from outside that is through to the program behind Envoy."""
    accepted = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", supervised.backend_port):
        _, writer = await asyncio.open_connection("127.0.0.1", supervised.inbound_port)
        await accepted.wait()
        yield writer
        writer.close()


async def test_draining_waits_for_open_connections(supervised: Supervised) -> None:
    await supervised.start()
    async with open_connection(supervised) as connection:
        draining = asyncio.create_task(supervised.envoy.drain(within_s=60))
        for _ in range(5):
            assert await supervised.admin.inbound_connections(supervised.inbound_port) == 1
        assert not draining.done()
        connection.close()
        await draining
    assert supervised.envoy.phase is Phase.DRAINED


async def test_draining_ends_in_time_though_a_connection_does_not(supervised: Supervised) -> None:
    await supervised.start()
    async with open_connection(supervised):
        await supervised.envoy.drain(within_s=0.1)
        assert supervised.envoy.phase is Phase.DRAINED


async def test_an_admin_interface_that_is_not_there_is_an_error_not_a_hang() -> None:
    async def refused() -> socket.socket:
        raise ConnectionRefusedError

    admin = EnvoyAdmin(refused)
    assert not await admin.is_ready()
    with pytest.raises(AdminError, match="does not answer"):
        await admin.drain_inbound()
