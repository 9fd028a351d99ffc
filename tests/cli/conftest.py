"""What a CLI test needs: a way to run a command line, and an agent on loopback that replays answers.

`recorded_exchanges.jsonl` holds answers that a Consul 1.10 server gave (the reply of x010 without its
DebugConfig); a test picks them by their id, or gives an answer of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from pellucid.cli.command import Terminal
from pellucid.cli.dispatching import dispatch

RECORDED = {
    exchange["id"]: exchange
    for exchange in map(
        json.loads, (Path(__file__).parent / "recorded_exchanges.jsonl").read_text().splitlines()
    )
}


@dataclass(frozen=True)
class Result:
    """What a command line left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Request:
    """What the agent was asked."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: str

    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class ReplayingAgent:
    """A loopback HTTP server that gives the answers it was told to give, and keeps what it was asked."""

    address: str
    requests: list[Request] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every answer."""
    _answers: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)

    def replay(self, *identifiers: str) -> None:
        """Answer as Consul did in these recorded exchanges."""
        for identifier in identifiers:
            exchange = RECORDED[identifier]
            self.answer(exchange["method"], exchange["path"], exchange["body"], exchange["status"])

    def answer(self, method: str, path: str, body: str = "", status: int = 200) -> None:
        """Answer every request for `path`, whatever its query."""
        self._answers[method, path] = (status, body.encode())

    def answer_to(self, request: Request) -> tuple[int, bytes]:
        self.requests.append(request)
        return self._answers.get((request.method, request.path), (404, b""))


@pytest.fixture
def agent() -> Iterator[ReplayingAgent]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.agent = ReplayingAgent(f"127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.agent  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cli(agent: ReplayingAgent) -> Callable[..., Result]:
    """Run a command line against the replaying agent, in this process, with streams of its own."""

    def run(
        *words: str,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        program: str = "pellucid",
        colour: bool = False,
    ) -> Result:
        out, err = StringIO(), StringIO()
        base = {"CONSUL_HTTP_ADDR": agent.address}
        terminal = Terminal(StringIO(stdin), out, err, colour)
        code = dispatch(program, words, base | dict(environment or {}), terminal)
        return Result(code, out.getvalue(), err.getvalue())

    return run


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _reply(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        request = Request(
            self.command,
            unquote(url.path),
            parse_qs(url.query, keep_blank_values=True),
            dict(self.headers),
            self.rfile.read(length).decode(),
        )
        status, body = self.server.agent.answer_to(request)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.agent.headers.items():  # type: ignore[attr-defined]
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = _reply  # noqa: N815 - http.server finds them by name

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read their own output."""
