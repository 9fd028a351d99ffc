from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import UnixStreamServer
from threading import Thread

import pytest

from pellucid.dataplane.run.agent_api import AgentAddress, AgentError, call, register_service


class Api(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "test"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"a": 1}')

    def do_PUT(self) -> None:
        self.send_response(400 if "refused" in self.path else 200)
        self.send_header("X-Pellucid-Workload-Credential", "secret")
        self.end_headers()
        self.wfile.write(b"Missing service name" if "refused" in self.path else b"")


@contextmanager
def serving(server: HTTPServer | UnixStreamServer) -> Iterator[None]:
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def test_over_tcp_and_over_a_unix_socket(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), Api)
    with serving(server):
        address = AgentAddress(address=f"127.0.0.1:{server.server_port}")
        assert call(address, "GET", "/v1/agent/self").json() == {"a": 1}
    with serving(UnixStreamServer(str(tmp_path / "http.sock"), Api)):
        address = AgentAddress(scheme="unix", address=str(tmp_path / "http.sock"))
        assert call(address, "GET", "/v1/agent/self").json() == {"a": 1}


def test_registration_gives_the_credential() -> None:
    server = HTTPServer(("127.0.0.1", 0), Api)
    with serving(server):
        assert register_service(AgentAddress(address=f"127.0.0.1:{server.server_port}"), {}) == "secret"


def test_a_refusal_carries_the_agents_words() -> None:
    server = HTTPServer(("127.0.0.1", 0), Api)
    with (
        serving(server),
        pytest.raises(AgentError, match="answered 400 to PUT /refused: Missing service name"),
    ):
        call(AgentAddress(address=f"127.0.0.1:{server.server_port}"), "PUT", "/refused", {})


def test_nobody_there_is_told_with_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(AgentError, match=f"no agent answers at http://{address}"):
            call(AgentAddress(address=address), "GET", "/v1/agent/self")


def test_an_address_never_shows_its_token() -> None:
    assert "a-token" not in repr(AgentAddress(token="a-token"))
