"""The resource types a sidecar is served, and the order in which they are.

Source: the xDS protocol specification, "Aggregated Discovery Service", "Eventual consistency".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

_PREFIX = "type.googleapis.com/envoy"


class ResourceType(StrEnum):
    """A type by its URL, in the order that never leaves a reference dangling."""

    CLUSTER = f"{_PREFIX}.config.cluster.v3.Cluster"
    ENDPOINT = f"{_PREFIX}.config.endpoint.v3.ClusterLoadAssignment"
    SECRET = f"{_PREFIX}.extensions.transport_sockets.tls.v3.Secret"
    LISTENER = f"{_PREFIX}.config.listener.v3.Listener"
    ROUTE = f"{_PREFIX}.config.route.v3.RouteConfiguration"


KNOWN_TYPES = {str(resource_type): resource_type for resource_type in ResourceType}

WILDCARD_TYPES = (ResourceType.CLUSTER, ResourceType.LISTENER)
"""Types of which a first request without names asks for all."""

TRAFFIC_TYPES = (ResourceType.LISTENER, ResourceType.ROUTE)
"""What sends traffic somewhere: it waits until the destinations it may refer to have been taken."""

REFERRERS: Mapping[ResourceType, tuple[ResourceType, ...]] = {
    ResourceType.CLUSTER: TRAFFIC_TYPES,
    ResourceType.ENDPOINT: (ResourceType.CLUSTER,),
    ResourceType.SECRET: (ResourceType.CLUSTER, ResourceType.LISTENER),
    ResourceType.LISTENER: (),
    ResourceType.ROUTE: (ResourceType.LISTENER,),
}
"""What may refer to a type: a resource is removed only after these have been brought up to date."""
