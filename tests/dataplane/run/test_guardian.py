"""The guardian's orders, and that it carries them out when its supervisor is killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import msgspec
import pytest

from pellucid.dataplane.run.agent_api import AgentAddress
from pellucid.dataplane.run.guardian import AT_EASE, Orders, watch

ORDERS = Orders(AgentAddress(address="127.0.0.1:8500"), ("web-sidecar-proxy", "web"))


def test_the_newest_orders_count() -> None:
    other = Orders(AgentAddress(), ("api",))
    assert watch([msgspec.json.encode(other), msgspec.json.encode(ORDERS)]) == ORDERS


def test_at_ease_there_is_nothing_to_do() -> None:
    assert watch([msgspec.json.encode(ORDERS), AT_EASE]) is None
    assert watch([]) is None


@contextmanager
def agent(*, unknown: frozenset[str] = frozenset()) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """An agent's deregistration, remembering calls with their tokens."""
    calls: list[tuple[str, str | None]] = []

    class Api(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_PUT(self) -> None:
            calls.append((self.path, self.headers["X-Consul-Token"]))
            found = self.path.rpartition("/")[2] not in unknown
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(b"" if found else b"Unknown service")

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", calls
        server.shutdown()


@pytest.mark.parametrize("unknown", [frozenset(), frozenset({"web-sidecar-proxy"})])
def test_when_the_pipe_breaks_the_orders_are_carried_out(unknown: frozenset[str]) -> None:
    with agent(unknown=unknown) as (address, calls):
        orders = Orders(AgentAddress(address=address, token="a-token"), ORDERS.service_ids)
        guardian = subprocess.Popen(
            [sys.executable, "-m", "pellucid.dataplane.run.guardian"], stdin=subprocess.PIPE
        )
        assert guardian.stdin is not None
        guardian.stdin.write(msgspec.json.encode(orders) + b"\n")
        guardian.stdin.close()
        assert guardian.wait() == 0
    assert calls == [
        ("/v1/agent/service/deregister/web-sidecar-proxy", "a-token"),
        ("/v1/agent/service/deregister/web", "a-token"),
    ]
