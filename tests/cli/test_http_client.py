"""Reaching the agent: over TCP, TLS and a unix socket, and what is said when it cannot be reached."""

from __future__ import annotations

import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pellucid.cli import http_client
from pellucid.cli.client_errors import Unreachable
from pellucid.cli.http_client import ConsulClient
from pellucid.cli.http_settings import HttpSettings
from tests.cli.conftest import ReplayingAgent, Result
from tests.self_signed import self_signed

Cli = Callable[..., Result]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_refused_connection_is_reported_as_go_does(cli: Cli) -> None:
    port = free_port()
    result = cli("config", "write", "-http-addr", f"127.0.0.1:{port}", "-", stdin='Kind = "mesh"')
    assert result == Result(
        1,
        "",
        f'Error writing config entry mesh/mesh: Put "http://127.0.0.1:{port}/v1/config": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused\n",
    )


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(Unreachable, match=r"dial tcp: lookup nowhere\.invalid: no such host"):
        ConsulClient(HttpSettings("http", "nowhere.invalid:8500")).get("/v1/agent/self")


def test_a_host_that_no_name_can_be_is_no_host() -> None:
    with pytest.raises(Unreachable, match="no such host"):
        ConsulClient(HttpSettings("http", "a..b:8500")).get("/v1/agent/self")


def test_a_port_that_is_no_number_is_named() -> None:
    with pytest.raises(Unreachable, match="invalid address 'localhost:http!': use host:port"):
        ConsulClient(HttpSettings("http", "localhost:http!")).get("/v1/agent/self")


def test_secrets_travel_in_headers_only(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x016")
    result = cli("catalog", "datacenters", "-token=s3cret", environment={"CONSUL_HTTP_AUTH": "me:pa55"})
    request = agent.requests[0]
    assert request.headers["X-Consul-Token"] == "s3cret"
    assert request.headers["Authorization"] == "Basic bWU6cGE1NQ=="
    assert request.query == {}
    assert "s3cret" not in result.out + result.err


def test_what_the_agent_adds_for_people_is_shown_on_stderr(cli: Cli, agent: ReplayingAgent) -> None:
    agent.headers["X-Pellucid-Advice"] = "think again"
    agent.replay("x016", "x033")
    assert cli("catalog", "datacenters") == Result(0, "dc1\n", "think again\n")
    assert cli("catalog", "services").err.endswith("(No path to datacenter)\nthink again\n")


def test_names_are_quoted_in_paths(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/config/service-defaults/a b?c", "{}")
    assert cli("config", "read", "-kind=service-defaults", "-name=a b?c").code == 0


def test_an_answer_that_is_not_json_is_doubted(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/catalog/services", "<html>")
    assert "the answer is not JSON; is this address a Consul HTTP API?" in cli("catalog", "services").err


def test_a_huge_answer_is_cut_off(cli: Cli, agent: ReplayingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_RESPONSE_BYTES", 10)
    agent.answer("GET", "/v1/catalog/services", "{" + " " * 20 + "}")
    assert "the answer is larger than 10 bytes" in cli("catalog", "services").err


def test_a_server_that_hangs_up_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        client = ConsulClient(HttpSettings("http", f"127.0.0.1:{server.getsockname()[1]}"))
        with pytest.raises(Unreachable, match=r"EOF|connection reset by peer"):
            client.get("/v1/agent/self")
        thread.join()


def test_a_server_that_never_answers_runs_into_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = ConsulClient(HttpSettings("http", f"127.0.0.1:{server.getsockname()[1]}"))
        with pytest.raises(Unreachable, match="context deadline exceeded"):
            client.get("/v1/agent/self")


class _Fixed(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'["dc1"]')

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read their own output."""

    def address_string(self) -> str:
        return "local"


def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def unix_agent(tmp_path: Path) -> Iterator[Path]:
    server = socketserver.UnixStreamServer(str(tmp_path / "agent.sock"), _Fixed)
    for _ in _serving(server):
        yield tmp_path / "agent.sock"


def test_a_unix_socket_is_an_address(cli: Cli, unix_agent: Path) -> None:
    assert cli("catalog", "datacenters", f"-http-addr=unix://{unix_agent}").out == "dc1\n"


def test_a_missing_unix_socket_is_named(cli: Cli, tmp_path: Path) -> None:
    result = cli("catalog", "datacenters", f"-http-addr=unix://{tmp_path}/none")
    assert f"dial unix {tmp_path}/none: connect: no such file or directory" in result.err


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and server.dc1.consul, with its key, in one PEM file."""
    made = self_signed("127.0.0.1", "server.dc1.consul")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(made.certificate + made.key)
    return file


@pytest.fixture
def tls_agent(certificate: Path) -> Iterator[str]:
    """An HTTPS agent that asks for a client certificate of its own authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Fixed)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for _ in _serving(server):
        yield f"https://127.0.0.1:{server.server_port}"


def test_https_with_a_known_authority(cli: Cli, tls_agent: str, certificate: Path) -> None:
    words = ("catalog", "datacenters", "-http-addr", tls_agent)
    assert cli(*words, f"-ca-file={certificate}").out == "dc1\n"
    assert cli(*words, environment={"CONSUL_CACERT": str(certificate)}).out == "dc1\n"
    client = (f"-client-cert={certificate}", f"-client-key={certificate}")
    assert cli(*words, f"-ca-file={certificate}", *client).out == "dc1\n"


def test_https_checks_the_name_that_is_asked_for(cli: Cli, tls_agent: str, certificate: Path) -> None:
    words = ("catalog", "datacenters", "-http-addr", tls_agent, f"-ca-file={certificate}")
    assert cli(*words, "-tls-server-name=server.dc1.consul").out == "dc1\n"
    wrong = cli(*words, "-tls-server-name=other")
    assert wrong.code == 1
    assert "x509: Hostname mismatch" in wrong.err


def test_https_with_an_unknown_authority_is_refused(cli: Cli, tls_agent: str) -> None:
    result = cli("catalog", "datacenters", "-http-addr", tls_agent)
    assert result.code == 1
    assert "x509: self-signed certificate" in result.err


def test_certificate_checks_can_be_switched_off(cli: Cli, tls_agent: str) -> None:
    result = cli(
        "catalog", "datacenters", "-http-addr", tls_agent, environment={"CONSUL_HTTP_SSL_VERIFY": "false"}
    )
    assert result.out == "dc1\n"


def test_a_missing_authority_file_is_named(cli: Cli, tls_agent: str) -> None:
    result = cli("catalog", "datacenters", "-http-addr", tls_agent, "-ca-file=/none.pem")
    assert "Error loading CA certificates from /none.pem: no such file or directory" in result.err
