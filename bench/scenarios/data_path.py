"""What the data path adds: one keep-alive request through two Envoys, against the same request without.

- direct: client to application, over loopback;
- pass-through: two Envoys that only pass bytes on, what any pair of proxies costs;
- mesh, tcp and http: two sidecars as we configure them: mutual TLS, intentions, counters.

The rate is constant and the loop open, so nothing hides behind slow answers. Each Envoy has one worker.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.figures import Figure, percentile, skipped
from bench.load import ROOT, command, run
from bench.mesh import set_protocol
from bench.plan import Plan
from bench.programs import program, said
from bench.server import BenchError, Server, free_ports
from pellucid.dataplane.envoy_binary import find_envoy

NAME = "data-path"
CONNECTIONS = (1, 4, 16)
RATE = 500.0
SECONDS = 3.0
QUICK_SECONDS = 1.0
QUIET = ("--concurrency", "1", "--log-level", "off")
_HOST = "127.0.0.1"
_START_SECONDS = 20.0


def measure(plan: Plan) -> Iterator[Figure]:
    """Each way, with each number of connections."""
    if plan.peer:
        yield skipped(NAME, "measures our sidecars' configuration; see the lines of this mesh")
        return
    plan.say(NAME)
    app, passing, client_port, server_port = free_ports(4)
    with plan.server() as server, ExitStack() as stack:
        start = command("http_server", _HOST, app)
        said(stack.enter_context(program(*start, directory=ROOT)), "listening", app)
        _pass_through(stack, passing, app)
        _sidecars(stack, plan, server, app, client_port, server_port)
        seconds = QUICK_SECONDS if plan.quick else SECONDS
        direct = _latencies(app, seconds)
        yield from _figures("direct", direct)
        yield from _figures("pass-through", _latencies(passing, seconds), direct)
        for protocol in ("tcp", "http"):
            set_protocol(server, "bench-server", protocol)
            time.sleep(0.5)
            yield from _figures(f"mesh, {protocol}", _latencies(client_port, seconds), direct)


def _latencies(port: int, seconds: float) -> Mapping[int, list[float]]:
    """By number of connections, in ms. Raises BenchError if nobody comes to listen or answer."""
    _wait_for_answers(port)
    return {
        connections: run("open_loop", f"{_HOST}:{port}", connections, RATE, seconds)["latencies"]
        for connections in CONNECTIONS
    }


def _wait_for_answers(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            run("open_loop", f"{_HOST}:{port}", 1, 100, 0.1)
        except BenchError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _figures(
    way: str, latencies: Mapping[int, list[float]], direct: Mapping[int, list[float]] | None = None
) -> Iterator[Figure]:
    for connections, samples in latencies.items():
        where = (
            f"{connections} connections, {RATE:.0f} requests/s, 1 KB"
            if connections > 1
            else (f"1 connection, {RATE:.0f} requests/s, 1 KB")
        )
        for rank, share in (("p50", 0.5), ("p99", 0.99)):
            value = percentile(samples, share)
            kept = tuple(round(sample, 4) for sample in samples) if rank == "p50" else ()
            if direct is None:
                yield Figure(NAME, where, f"{way}, {rank}", value, "ms", samples=kept)
            else:
                added = value - percentile(direct[connections], share)
                yield Figure(NAME, where, f"{way}, {rank}, added to direct", added, "ms", samples=kept)


def _pass_through(stack: ExitStack, port: int, app: int) -> None:
    """Two Envoys in a row that pass bytes on to the application."""
    (between,) = free_ports(1)
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    for name, here, there in (("first", port, between), ("second", between, app)):
        path = directory / f"{name}.json"
        path.write_text(json.dumps(_passing_on(here, there)))
        envoy = (str(find_envoy()), "--config-path", str(path), "--disable-hot-restart", *QUIET)
        stack.enter_context(program(*envoy))


def _passing_on(here: int, there: int) -> dict[str, Any]:
    """An Envoy configuration: listen at one port, connect to another, no more."""
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "passing",
        "cluster": "there",
    }
    endpoint = {"endpoint": {"address": _address(there)}}
    cluster = {
        "name": "there",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "there", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {
        "name": "here",
        "address": _address(here),
        "filter_chains": [{"filters": [{"name": "tcp_proxy", "typed_config": proxy}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": _HOST, "port_value": port}}


def _sidecars(
    stack: ExitStack, plan: Plan, server: Server, app: int, client_port: int, server_port: int
) -> None:
    """A client's and a server's sidecar; the client's takes connections for the server at `client_port`."""
    upstream = {"DestinationName": "bench-server", "LocalBindPort": client_port}
    (unused,) = free_ports(1)
    for name, port, sidecar in (
        ("bench-server", app, {"Port": server_port}),
        ("bench-client", unused, {"Proxy": {"Upstreams": [upstream]}}),
    ):
        alias = {"Name": "the service", "AliasService": name, "Status": "passing"}
        body = {
            "Name": name,
            "Address": _HOST,
            "Port": port,
            "Connect": {"SidecarService": {**sidecar, "Checks": [alias]}},
        }
        server.request("PUT", "/v1/agent/service/register", body)
        (admin,) = free_ports(1)
        envoy = (*plan.program, "connect", "envoy", "-sidecar-for", name, "-admin-bind", f"{_HOST}:{admin}")
        stack.enter_context(program(*envoy, "--", *QUIET, environment=server.environment))
