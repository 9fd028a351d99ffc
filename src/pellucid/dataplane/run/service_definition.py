"""How a workload on the fabric is made known to the agent.

The agent cannot reach into the fabric to check on a workload. Its supervisor can look, so both service and
sidecar have TTL checks; and should supervisor and guardian vanish at once, the TTL runs out and the agent
forgets them.
Source: Consul 1.10 docs, "Register Service", "Sidecar Service Registration".
"""

from __future__ import annotations

from typing import Any

import msgspec

from pellucid.dataplane.namespace.fabric_addresses import FabricPlace
from pellucid.dataplane.run.settings import INBOUND_PORT, WorkloadSettings, WorkloadUpstream

TTL_S = 30
_FORGET_AFTER = "1m"

Json = dict[str, Any]


class WorkloadIds(msgspec.Struct, frozen=True):
    """The ids of one workload's service, sidecar and checks."""

    service: str

    @property
    def proxy(self) -> str:
        return f"{self.service}-sidecar-proxy"

    @property
    def service_check(self) -> str:
        return f"run:{self.service}"

    @property
    def proxy_check(self) -> str:
        return f"run:{self.proxy}"


def workload_ids(settings: WorkloadSettings, place: FabricPlace) -> WorkloadIds:
    """The id asked for, or one that tells two programs of one service apart."""
    return WorkloadIds(settings.service_id or f"{settings.service}-{str(place.ipv4).replace('.', '-')}")


def service_definition(settings: WorkloadSettings, place: FabricPlace) -> Json:
    """The service with its sidecar, as registered."""
    ids = workload_ids(settings, place)
    return {
        "ID": ids.service,
        "Name": settings.service,
        "Address": str(place.ipv4),
        "Port": settings.port,
        "Tags": list(settings.tags),
        "TaggedAddresses": _addresses(place, settings.port),
        "Checks": [_ttl_check(ids.service_check, f"{settings.service} listening")],
        "Connect": {
            "SidecarService": {
                "Port": INBOUND_PORT,
                "Address": str(place.ipv4),
                "TaggedAddresses": _addresses(place, INBOUND_PORT),
                "Proxy": _proxy(settings),
                "Checks": [
                    _ttl_check(ids.proxy_check, "Proxy Public Listener"),
                    {"Name": "Destination Alias", "AliasService": ids.service},
                ],
            }
        },
    }


def _addresses(place: FabricPlace, port: int) -> Json:
    return {
        "lan_ipv4": {"Address": str(place.ipv4), "Port": port},
        "lan_ipv6": {"Address": str(place.ipv6), "Port": port},
    }


def _ttl_check(check_id: str, name: str) -> Json:
    return {
        "CheckID": check_id,
        "Name": name,
        "TTL": f"{TTL_S}s",
        "Status": "critical",
        "DeregisterCriticalServiceAfter": _FORGET_AFTER,
    }


def _proxy(settings: WorkloadSettings) -> Json:
    proxy: Json = {
        "Mode": "transparent",
        "LocalServiceAddress": "127.0.0.1",
        "Upstreams": [_upstream(upstream) for upstream in settings.upstreams],
        "Config": {"protocol": settings.protocol} if settings.protocol else {},
    }
    if settings.port:
        proxy["LocalServicePort"] = settings.port
    return proxy


def _upstream(upstream: WorkloadUpstream) -> Json:
    described: Json = {"DestinationName": upstream.name, "LocalBindPort": upstream.local_port}
    if upstream.datacenter:
        described["Datacenter"] = upstream.datacenter
    return described
