"""`/v1/agent/*` about the agent itself: who it is, whom it knows, what it measures, what it is told to do.

Source: Consul 1.10 docs, "Agent HTTP API"; agent/agent_endpoint.go.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Mapping
from typing import Any

from pellucid.api.context import ApiContext
from pellucid.api.handlers.parameters import required_switch
from pellucid.api.outcome import Commit, Outcome
from pellucid.api.query_options import check_namespace
from pellucid.api.registrations import check_removed, in_maintenance, maintenance_check_id
from pellucid.api.request import Request
from pellucid.api.response import (
    EMPTY,
    TEXT,
    HttpError,
    Response,
    bad_request,
    json_response,
)
from pellucid.derive.agent_views import local_checks, local_services
from pellucid.model.checks import CheckStatus

SUPPORTED_ENVOY_VERSIONS = ("1.18.3", "1.17.3", "1.16.4", "1.15.5")
"""What clients of Consul 1.10 look for; the real Envoy that is run is newer."""

LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERR", "ERROR")
JOIN_SECONDS = 2.0
DEFAULT_SERF_PORT = 8301
ALIVE = 1


def self_description(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/self`"""
    agent = context.agent
    described = {
        "Config": {
            "Datacenter": agent.datacenter,
            "PrimaryDatacenter": agent.datacenter,
            "NodeName": agent.node_name,
            "NodeID": agent.node_id,
            "Revision": "",
            "Server": True,
            "Version": agent.version,
        },
        "DebugConfig": {"GRPCPort": agent.xds_port, **context.settings.debug_configuration},
        "Coord": {"Vec": [0] * 8, "Error": 1.5, "Adjustment": 0, "Height": 1e-05},
        "Member": lan_member(context),
        "Stats": _stats(context),
        "Meta": {"consul-network-segment": ""},
    }
    if agent.xds_port > 0:
        supported = {"SupportedProxies": {"envoy": list(SUPPORTED_ENVOY_VERSIONS)}, "Port": agent.xds_port}
        described["xDS"] = supported
    return json_response(described)


def _stats(context: ApiContext) -> Mapping[str, Mapping[str, str]]:
    """Counters by part; every value is text."""
    agent, db = context.agent, context.engine.db
    checks = local_checks(db, agent.node_name)
    critical = sum(check.status is CheckStatus.CRITICAL for check in checks)
    revision = str(context.log.revision)
    leader = f"{agent.address}:{agent.server_port}"
    return {
        "agent": {
            "check_monitors": "0",
            "check_ttls": str(sum(check.type == "ttl" for check in checks)),
            "checks": str(len(checks)),
            "critical_checks": str(critical),
            "services": str(len(local_services(db, agent.node_name))),
        },
        "build": {"prerelease": "", "revision": "", "version": agent.version},
        "consul": {
            "acl": "disabled",
            "bootstrap": "true",
            "known_datacenters": "1",
            "leader": "true",
            "leader_addr": leader,
            "server": "true",
        },
        "raft": {
            "applied_index": revision,
            "commit_index": revision,
            "fsm_pending": "0",
            "last_contact": "0",
            "last_log_index": revision,
            "num_peers": "0",
            "protocol_version": "3",
            "state": "Leader",
        },
        "runtime": {
            "arch": platform.machine(),
            "cpu_count": str(os.cpu_count() or 1),
            "max_procs": str(os.cpu_count() or 1),
            "os": platform.system().lower(),
            "version": f"python{platform.python_version()}",
        },
        "serf_lan": {"members": "1", "failed": "0", "left": "0"},
        "serf_wan": {"members": "1", "failed": "0", "left": "0"},
    }


def host(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/host`"""
    size, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free = os.sysconf("SC_AVPHYS_PAGES")
    disk = os.statvfs("/")
    described = {
        "Memory": {"total": size * page, "available": free * page},
        "CPU": [{"cpu": number} for number in range(os.cpu_count() or 1)],
        "Host": {
            "hostname": context.agent.node_name,
            "os": platform.system().lower(),
            "kernelVersion": platform.release(),
            "kernelArch": platform.machine(),
        },
        "Disk": {
            "path": "/",
            "total": disk.f_blocks * disk.f_frsize,
            "free": disk.f_bavail * disk.f_frsize,
        },
        "CollectionTime": int(context.now() * 1e9),
        "Errors": None,
    }
    return json_response(described)


def members(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/members`; `?wan` lists servers of all datacenters."""
    wan = bool(request.parameters.get("wan"))
    segment = request.parameters.get("segment")
    if wan and segment not in ("", "_all"):
        raise HttpError(400, "Cannot provide a segment with wan=true")
    if segment not in ("", "_all"):
        return json_response([])
    if wan:
        return json_response([_wan_member(context)])
    return json_response([lan_member(context)])


def lan_member(context: ApiContext) -> dict[str, Any]:
    """This agent as a member of its datacenter."""
    agent = context.agent
    tags = {
        "acls": "0",
        "build": f"{agent.version}:",
        "dc": agent.datacenter,
        "ft_fs": "1",
        "ft_si": "1",
        "id": agent.node_id,
        "port": str(agent.server_port),
        "raft_vsn": "3",
        "role": "consul",
        "segment": "",
        "vsn": "2",
        "vsn_max": "3",
        "vsn_min": "2",
        "wan_join_port": str(agent.serf_wan_port),
    }
    return _member(agent.node_name, agent.address, agent.serf_lan_port, tags)


def _wan_member(context: ApiContext) -> dict[str, Any]:
    agent = context.agent
    tags = {key: value for key, value in lan_member(context)["Tags"].items() if key != "wan_join_port"}
    return _member(f"{agent.node_name}.{agent.datacenter}", agent.address, agent.serf_wan_port, tags)


def _member(name: str, address: str, port: int, tags: Mapping[str, str]) -> dict[str, Any]:
    return {
        "Name": name,
        "Addr": address,
        "Port": port,
        "Tags": dict(tags),
        "Status": ALIVE,
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    }


def metrics(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/metrics`, as JSON or in Prometheus' format."""
    if not _wants_prometheus(request):
        return json_response(context.metrics.summary())
    if not context.settings.prometheus_enabled:
        raise HttpError(415, "Prometheus is not enabled since its retention time is not positive")
    return Response(200, context.metrics.exposition(), "text/plain; version=0.0.4; charset=utf-8")


def _wants_prometheus(request: Request) -> bool:
    if request.parameters.get("format") == "prometheus":
        return True
    accepted = [part.strip().replace(" ", "") for part in request.headers.get("accept", "").split(",")]
    return any(
        part.startswith(("application/openmetrics-text", "text/plain;version=0.4.0")) for part in accepted
    )


def maintenance(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/maintenance?enable=`"""
    node = context.agent.node_name
    if required_switch(request, "enable"):
        return Commit(in_maintenance(node, None, request.parameters.get("reason")))
    return Commit(check_removed(node, maintenance_check_id(None)))


def reload(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/reload`"""

    async def reloaded() -> Response:
        await context.reload()
        return EMPTY

    return reloaded()


def leave(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/leave`"""

    async def left() -> Response:
        await context.leave()
        return EMPTY

    return left()


def join(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/join/:address`

    There is no gossip here, so nobody can be joined; the error says how far it got.
    """
    address = request.below
    return _join(address)


async def _join(address: str) -> Response:
    host, _, port_text = address.rpartition(":") if address.count(":") == 1 else (address, "", "")
    port = int(port_text) if port_text.isdecimal() else DEFAULT_SERF_PORT
    place = f"{host}:{port}"
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        reason = "this server does not form clusters by gossip"
    except ConnectionRefusedError:
        reason = f"dial tcp {place}: connect: connection refused"
    except (OSError, TimeoutError):
        reason = f"dial tcp {place}: i/o timeout"
    raise HttpError(500, f"1 error occurred:\n\t* Failed to join {host}: {reason}\n\n")


def force_leave(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/force-leave/:node`. The only member is this agent, which cannot be forced out."""
    name = request.below
    raise HttpError(500, f"agent: No node found with name '{name}'")


def monitor(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/monitor?loglevel=&logjson`: the log as it is written."""
    check_namespace(request)
    level = request.parameters.get("loglevel") or "INFO"
    if level.upper() not in LOG_LEVELS:
        raise bad_request(f"Unknown log level: {level}")
    as_json = "logjson" in request.parameters
    return Response(200, b"", TEXT, stream=context.log_lines(level.upper(), as_json))
