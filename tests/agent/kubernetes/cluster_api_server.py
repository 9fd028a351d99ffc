"""A Kubernetes API reduced to what the agent asks of one: token reviews and config maps, over real TLS."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.self_signed import self_signed

MAPS = "/api/v1/namespaces/mesh/configmaps"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


STARTED = time.time()


def token(name: str, expires_in: float = 3600.0) -> str:
    """Looks like a token, and says when it ends."""
    claims = json.dumps({"exp": STARTED + expires_in}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.{name}"


@dataclass
class ClusterApiServer:
    """Its answers, and what it was asked. Use as a context manager."""

    directory: Path
    reviews: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The status of each token's review."""
    config_maps: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    down: bool = False
    bearers: list[str] = field(default_factory=list)
    """The tokens it was asked with."""

    def knows(self, token: str, account: str, *, audience: str = "mesh", pod: tuple[str, str] | None) -> None:
        """A token is good. account: namespace:name. pod: name and uid, if it is bound to one."""
        extra = {}
        if pod is not None:
            prefix = "authentication.kubernetes.io/pod"
            extra = {f"{prefix}-name": [pod[0]], f"{prefix}-uid": [pod[1]]}
        self.reviews[token] = {
            "authenticated": True,
            "audiences": [audience],
            "user": {"username": f"system:serviceaccount:{account}", "extra": extra},
        }

    def __enter__(self) -> ClusterApiServer:
        pair = self_signed("127.0.0.1")
        (self.directory / "ca.crt").write_bytes(pair.certificate)
        (self.directory / "token").write_text("the agent's own\n")
        (self.directory / "namespace").write_text("mesh")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = pair.serving(self.directory)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """What the API says."""
        self.asked.append((method, path, body))
        if self.down:
            return 503, {"message": "etcd is away"}
        if path == REVIEWS:
            status = self.reviews.get(body["spec"]["token"], {"error": "invalid bearer token"})
            return 201, {**body, "status": status}
        name = path.removeprefix(MAPS).lstrip("/")
        if method == "POST":
            self.config_maps[body["metadata"]["name"]] = body
            return 201, body
        if name not in self.config_maps:
            return 404, {"message": f'configmaps "{name}" not found'}
        if method == "PATCH":
            self.config_maps[name]["data"].update(body["data"])
        return 200, self.config_maps[name]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                server.bearers.append(self.headers["Authorization"])
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, answer = server.answer(self.command, self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = _do  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
