"""The mesh's server as a pod meets it: over real TLS, saying what a test wants."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from pellucid.kube.pod.settings import Server
from tests.self_signed import self_signed

ANSWER = {
    "Node": "worker-virtual",
    "Services": [
        {"ID": "hello-1-hello", "Name": "hello", "Kind": "", "Credential": "secret"},
        {
            "ID": "hello-1-hello-sidecar-proxy",
            "Name": "hello-sidecar-proxy",
            "Kind": "connect-proxy",
            "Credential": "secret",
        },
    ],
}


@dataclass
class LoginServer:
    """Answers logins with what it is told to, in order; the last one again and again."""

    directory: Path
    answers: list[tuple[int, str]] = field(default_factory=lambda: [(200, json.dumps(ANSWER))])
    bodies: list[Any] = field(default_factory=list)
    status: int = 200
    text: str = ""
    """What it answers when asked by GET."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """By GET: where, and with which token."""
    clock_ahead: timedelta = timedelta()
    """How far this server's clock is from that of the pod."""

    def __enter__(self) -> LoginServer:
        pair = self_signed("localhost", now=datetime.now(UTC) + self.clock_ahead)
        self.authority = pair.certificate.decode()
        (self.directory / "token").write_text("the pod's token\n")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = pair.serving(self.directory)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def address(self, host: str = "localhost", authority: str = "") -> Server:
        port = int(self._server.server_address[1])
        return Server(host, port, host, port, authority or self.authority)

    @property
    def token(self) -> Path:
        return self.directory / "token"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                length = int(self.headers["Content-Length"])
                server.bodies.append(json.loads(self.rfile.read(length)))
                status, text = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers["X-Consul-Token"]))
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(server.text)))
                self.end_headers()
                self.wfile.write(server.text.encode())

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(time.time() + server.clock_ahead.total_seconds())

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
