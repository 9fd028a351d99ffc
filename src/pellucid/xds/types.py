"""The resource types a sidecar is served, and the order in which they are.

Source: the xDS protocol specification, "Aggregated Discovery Service", "Eventual consistency".
"""

from __future__ import annotations

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

TRAFFIC_TYPES = (ResourceType.LISTENER, ResourceType.ROUTE)
"""What sends traffic somewhere: it waits until what it may refer to has been taken."""

DESTINATION_TYPES = (ResourceType.CLUSTER, ResourceType.ENDPOINT)
"""Where traffic can be sent."""
