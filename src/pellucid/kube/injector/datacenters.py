"""Explicit upstreams of other datacenters need a mesh gateway, so the mesh must say where there is one.

Source: consul-k8s 0.25, connect-inject/handler.go; its error texts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from pellucid.kube.annotations import CONNECT_SERVICE_UPSTREAMS, UpstreamAnnotation, parse_upstreams
from pellucid.kube.pods import Object, containers_of, named_ports
from pellucid.kube.server_client import ServerClient, ServerRefused, ServerUnavailable

WITHIN_S = 2.0
"""How long the server is asked; the API server waits for us meanwhile."""
PROXY_DEFAULTS = "/v1/config/proxy-defaults/global"
_MODES = ("local", "remote")

MeshProblem = Callable[[Object], Awaitable[str]]
"""What the mesh's configuration lacks for a pod; empty if nothing."""

log = structlog.get_logger("pellucid.kube.injector")


def mesh_problem(server: ServerClient) -> MeshProblem:
    """Asks the server. One that is away, or does not say, is no reason to refuse a pod."""

    async def problem(pod: Object) -> str:
        distant = distant_upstreams(pod)
        if not distant:
            return ""
        try:
            async with asyncio.timeout(WITHIN_S):
                return gateway_problem(distant[0], await server.get_if_found(PROXY_DEFAULTS))
        except (ServerUnavailable, ServerRefused, TimeoutError) as reason:
            log.warning("upstreams of other datacenters are not checked", reason=str(reason) or "no answer")
            return ""

    return problem


def distant_upstreams(pod: Object) -> tuple[UpstreamAnnotation, ...]:
    """The pod's explicit upstreams that name a datacenter. Raises InvalidAnnotationError."""
    text = (pod["metadata"].get("annotations") or {}).get(CONNECT_SERVICE_UPSTREAMS, "")
    upstreams = parse_upstreams(text, named_ports(containers_of(pod["spec"])))
    return tuple(upstream for upstream in upstreams if upstream.datacenter)


def gateway_problem(upstream: UpstreamAnnotation, proxy_defaults: Mapping[str, Any] | None) -> str:
    """Why traffic for the upstream would not find its way; proxy_defaults: None if there are none."""
    item = f"{upstream.name}:{upstream.local_bind_port}:{upstream.datacenter}"
    if proxy_defaults is None:
        return f'upstream "{item}" is invalid: there is no ProxyDefaults config to set mesh gateway mode'
    if (proxy_defaults.get("MeshGateway") or {}).get("Mode") not in _MODES:
        return (
            f'upstream "{item}" is invalid: ProxyDefaults mesh gateway mode is neither "local" nor "remote"'
        )
    return ""
