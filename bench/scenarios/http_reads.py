"""HTTP reads a second, loaded by `wrk` with 32 connections."""

from __future__ import annotations

from collections.abc import Iterator

from bench import consul_figures as consul
from bench.figures import Figure, skipped
from bench.mesh import PORT, service_name, set_protocol
from bench.plan import Plan
from bench.server import BenchError, Server
from bench.wrk import available, requests_per_second

NAME = "http"
CONNECTIONS = 32
SECONDS = 5
QUICK_SECONDS = 1
INSTANCES = 20
SERVICES = 20


def measure(plan: Plan) -> Iterator[Figure]:
    """The three reads that clients make most."""
    plan.say(NAME)
    if not available():
        yield skipped(NAME, "wrk is not installed (Debian: apt-get install wrk)")
        return
    with plan.server() as server:
        _fill(server)
        name = service_name(0)
        for what, path, reference in (
            (f"health/service of {INSTANCES} instances", f"/v1/health/service/{name}", consul.HEALTH_READS),
            (f"catalog/services, {SERVICES} services", "/v1/catalog/services", consul.CATALOG_READS),
            ("one config entry", f"/v1/config/service-defaults/{name}", None),
        ):
            seconds = QUICK_SECONDS if plan.quick else SECONDS
            size = len(server.request("GET", path))
            try:
                rate = requests_per_second(
                    f"http://{server.http_address}{path}", connections=CONNECTIONS, seconds=seconds
                )
            except ValueError as error:
                raise BenchError(str(error)) from error
            yield Figure(
                NAME, "", what, rate, "/s", less_is_better=False, consul=reference, note=f"{size} bytes"
            )


def _fill(server: Server) -> None:
    for number in range(SERVICES):
        for instance in range(INSTANCES if number == 0 else 1):
            server.request(
                "PUT",
                "/v1/agent/service/register",
                {
                    "ID": f"{service_name(number)}-{instance}",
                    "Name": service_name(number),
                    "Address": "10.0.0.1",
                    "Port": PORT,
                    "Tags": ["v1"],
                    "Check": {"TTL": "1h", "Status": "passing"},
                },
            )
    set_protocol(server, service_name(0), "http")
