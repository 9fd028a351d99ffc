"""Names the mesh gives to services on the wire: SPIFFE ids, SNI, cluster and target names.

Pure string formats shared by `identity`, `rules` and `xds`, so that the certificate,
the cluster and the rule always agree on who is who.

Source: Consul 1.10 docs, "Connect - Certificate Authority" and agent/connect sni and uri formats.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

import msgspec

DEFAULT_NAMESPACE = "default"
"""The one namespace of an open-source Consul."""

WILDCARD = "*"
"""Matches every service in an intention."""

SERVER_SERVICE = "consul"
"""The service name under which servers list themselves in the catalog."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class SpiffeServiceId(msgspec.Struct, frozen=True):
    """Who a workload is: a service in a datacenter of a trust domain."""

    trust_domain: str
    datacenter: str
    service: str
    namespace: str = DEFAULT_NAMESPACE

    def uri(self) -> str:
        """The URI SAN carried by the workload's certificate."""
        return (
            f"spiffe://{self.trust_domain}/ns/{quote(self.namespace, safe='')}"
            f"/dc/{quote(self.datacenter, safe='')}/svc/{quote(self.service, safe='')}"
        )


class SpiffeAgentId(msgspec.Struct, frozen=True):
    """Who an agent is: a node in a datacenter of a trust domain."""

    trust_domain: str
    datacenter: str
    node: str

    def uri(self) -> str:
        """The URI SAN carried by the agent's certificate."""
        return (
            f"spiffe://{self.trust_domain}/agent/client/dc/{quote(self.datacenter, safe='')}"
            f"/id/{quote(self.node, safe='')}"
        )


class SpiffeError(ValueError):
    """The URI is not a SPIFFE id of a form this mesh uses."""


def parse_spiffe(uri: str) -> SpiffeServiceId | SpiffeAgentId | str:
    """Read a SPIFFE URI: a service id, an agent id, or the bare trust domain of a signing id.

    Path parts are percent-decoded; an admin-partition prefix (`/ap/<name>`) is accepted and ignored.
    Raises SpiffeError with Consul's texts.
    """
    parts = urlsplit(uri)
    if parts.scheme != "spiffe":
        raise SpiffeError("SPIFFE ID must have 'spiffe' scheme")
    path = [unquote(part) for part in parts.path.split("/")[1:]] if parts.path else []
    if path[:1] == ["ap"] and len(path) > 2:
        path = path[2:]
    match path:
        case ["ns", namespace, "dc", datacenter, "svc", service] if service:
            return SpiffeServiceId(parts.netloc, datacenter, service, namespace)
        case ["agent", "client", "dc", datacenter, "id", node]:
            return SpiffeAgentId(parts.netloc, datacenter, node)
        case [] | [""]:
            return parts.netloc
    raise SpiffeError(f"SPIFFE ID is not in the expected format: {uri}")


def trust_domain_of(cluster_id: str) -> str:
    """The trust domain of a cluster id; the `.consul` suffix does not follow the DNS domain."""
    return f"{cluster_id.lower()}.consul"


def target_id(service: str, datacenter: str, subset: str = "", namespace: str = DEFAULT_NAMESPACE) -> str:
    """The id of a discovery-chain target: `[<subset>.]<service>.<namespace>.<datacenter>`."""
    prefix = f"{subset}." if subset else ""
    return f"{prefix}{service}.{namespace}.{datacenter}"


def service_sni(service: str, datacenter: str, trust_domain: str, subset: str = "") -> str:
    """The SNI of a service's sidecars, which is also the name of the cluster that reaches them."""
    return f"{target_id(service, datacenter, subset)}.internal.{trust_domain}"


def is_uuid(text: str) -> bool:
    """True for a UUID as Consul writes the ids of nodes and clusters."""
    return _UUID.fullmatch(text) is not None
