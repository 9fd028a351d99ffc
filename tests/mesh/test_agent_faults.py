"""What goes wrong around an agent: said clearly, and never worse than it has to be."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from dnslib import DNSRecord

from tests.mesh.applications import served
from tests.mesh.callers import is_let_in
from tests.mesh.mesh import (
    PATIENCE_S,
    PELLUCID,
    Agent,
    eventually,
    free_ports,
    listens,
    running_agent,
    sidecar,
    stop_with,
)
from tests.mesh.test_bad_proxies import CLUSTER, proxy

STOP_PROMISED_S = 2.0
"""The promise: SIGTERM ends an agent in this time, whatever is open."""


def failing(*words: str) -> str:
    """What an agent that cannot start says, on standard error, before it ends with code 1."""
    done = subprocess.run(
        [*PELLUCID, "agent", *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


def test_sigterm_ends_an_agent_in_time_with_streams_and_blocking_queries_open() -> None:
    with running_agent() as agent:
        agent.register("web", sidecar_port=21_920)
        blocked = threading.Thread(target=_wait_long, args=(agent,))
        blocked.start()
        with proxy(agent, "web-sidecar-proxy") as stream, proxy(agent, "nobody") as waiting:
            stream.ask(CLUSTER)
            stream.next()
            waiting.ask(CLUSTER)
            eventually(lambda: agent.metric("xds.server.streams") == 2, "both streams are there")
            began = time.monotonic()
            assert stop_with(agent.program.process) == 0
            assert time.monotonic() - began < STOP_PROMISED_S
        blocked.join(PATIENCE_S)
        assert not blocked.is_alive()
        assert not any("Traceback" in line.text for line in agent.program.lines)


def _wait_long(agent: Agent) -> None:
    index = agent.request("GET", "/v1/catalog/services").headers["X-Consul-Index"]
    with suppress(OSError, http.client.HTTPException):
        agent.request("GET", f"/v1/catalog/services?index={index}&wait=5m", timeout=2 * PATIENCE_S)


def test_sighup_reads_the_configuration_anew_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    service = tmp_path / "services.hcl"
    service.write_text('service { name = "one" port = 1 }')
    with running_agent(f"-config-dir={tmp_path}") as agent:
        service.write_text('service { name = "two" port = 2 }')
        agent.program.process.send_signal(signal.SIGHUP)
        eventually(lambda: "two" in agent.get("/v1/agent/services"), "the new service is there")
        assert "one" not in agent.get("/v1/agent/services")
        service.write_text("service { nam = 3 }")
        agent.program.process.send_signal(signal.SIGHUP)
        agent.program.wait_for(lambda line: "was not reloaded" in line)
        agent.program.wait_for(lambda line: 'service[0].nam (line 1: did you mean "name"?)' in line)
        assert "two" in agent.get("/v1/agent/services")


@pytest.mark.parametrize("door", ["HTTP", "xDS", "DNS", "mesh DNS"])
def test_a_port_that_is_taken_is_named(door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free = free_ports(4)
        ports = {"HTTP": free[0], "xDS": free[1], "DNS": free[2], "mesh DNS": free[3], door: port}
        said = failing(
            "-dev",
            f"-http-port={ports['HTTP']}",
            f"-grpc-port={ports['xDS']}",
            f"-dns-port={ports['DNS']}",
            f"-hcl=pellucid {{ mesh_dns_port = {ports['mesh DNS']} }}",
        )
    assert f"cannot listen for {door}" in said
    assert f"127.0.0.1:{port}" in said


def test_a_second_agent_on_a_data_directory_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    data = f"-data-dir={tmp_path / 'data'}"
    with running_agent(data, "-bind=127.0.0.1") as first:
        said = failing(data, "-bind=127.0.0.1", *_free_ports_as_flags())
        assert f"data directory {tmp_path / 'data'} is in use by another agent" in said
        first.register("web")
        assert "web" in first.get("/v1/catalog/services")


def _free_ports_as_flags() -> tuple[str, ...]:
    http_port, dns, mesh_dns = free_ports(3)
    return f"-http-port={http_port}", f"-dns-port={dns}", f"-hcl=pellucid {{ mesh_dns_port = {mesh_dns} }}"


@contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[Path]:
    path.mkdir()
    options = ["-o", f"size={kilobytes}k"]
    subprocess.run(["mount", "-t", "tmpfs", *options, "small-disk", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(filler: Path) -> None:
    """Write until nothing fits any more, whatever others write meanwhile."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.root
def test_on_a_full_disk_writes_say_so_and_everything_else_goes_on(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 2048) as disk,
        running_agent(f"-data-dir={disk / 'data'}", "-bind=127.0.0.1") as agent,
        served(agent, "echo", "echo.py") as echo,
    ):
        agent.register("a")
        identity = agent.identity("a", tmp_path)
        fill(disk / "filler")
        body = {"Kind": "proxy-defaults", "Name": "global", "Config": {"long": "x" * 20_000}}
        refused = agent.request("PUT", "/v1/config", body)
        assert refused.status == 500
        assert "no space left in data directory" in refused.text
        assert agent.request("GET", "/v1/config/proxy-defaults/global").status == 404
        assert "echo" in agent.get("/v1/catalog/services")
        assert is_let_in(identity, echo.port)
        with sidecar(agent, "echo") as another:
            eventually(lambda: "public_listener" in another.admin("/config_dump"), "xDS goes on")
        (disk / "filler").unlink()
        agent.put("/v1/config", body)
        assert agent.get("/v1/config/proxy-defaults/global")["Name"] == "global"


def test_on_a_machine_with_ipv6_alone_everything_works(tmp_path: Path) -> None:
    with running_agent("-bind=::1", host="::1") as agent:
        for port in (agent.http_port, agent.grpc_port):
            assert listens(port, "::1")
            assert not listens(port, "127.0.0.1")
        agent.register("web", sidecar_port=21_930)
        assert "web" in agent.cli("catalog", "services")
        asked = DNSRecord.question("web.virtual.consul", "AAAA")
        answer = DNSRecord.parse(asked.send("::1", agent.dns_port, ipv6=True, timeout=PATIENCE_S))
        assert str(answer.a.rdata).startswith("fd")
        with sidecar(agent, "web") as envoy:
            eventually(lambda: "public_listener" in envoy.admin("/config_dump"), "xDS works")


def test_with_a_thousand_services_a_proxy_gets_its_configuration() -> None:
    with running_agent() as agent:
        services = [
            {
                "Node": f"n{number}",
                "Address": "127.0.0.1",
                "Service": {
                    "ID": f"s{number}-proxy",
                    "Service": f"s{number}-proxy",
                    "Kind": "connect-proxy",
                    "Port": 20_000,
                    "Proxy": {"DestinationServiceName": f"s{number}"},
                },
            }
            for number in range(1000)
        ]
        connection = http.client.HTTPConnection("127.0.0.1", agent.http_port, timeout=PATIENCE_S)
        for service in services:
            connection.request("PUT", "/v1/catalog/register", json.dumps(service))
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"true\n")
        agent.put("/v1/config", {"Kind": "proxy-defaults", "Name": "global", "TransparentProxy": True})
        agent.register("caller", sidecar_port=21_940)
        with proxy(agent, "caller-sidecar-proxy") as caller:
            caller.ask(CLUSTER)
            clusters = {resource.name.partition(".")[0] for resource in caller.next().resources}
        assert clusters >= {f"s{number}" for number in range(1000)}
        assert len(agent.get("/v1/catalog/services")) > 1000


def test_in_an_empty_mesh_every_question_has_an_answer(fresh_agent: Agent) -> None:
    assert set(fresh_agent.get("/v1/catalog/services")) == {"consul"}
    assert fresh_agent.get("/v1/agent/services") == {}
    assert fresh_agent.get("/v1/connect/intentions") == []
    assert fresh_agent.get("/v1/health/connect/nothing") == []
    assert fresh_agent.try_cli("intention", "list").stderr == "There are no intentions.\n"
    answer = DNSRecord.parse(
        DNSRecord.question("nothing.service.consul").send("127.0.0.1", fresh_agent.dns_port)
    )
    assert (answer.header.rcode, answer.rr) == (3, [])
