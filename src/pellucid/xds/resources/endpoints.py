"""Endpoints: where the instances of a cluster are, and how well.

Source: Consul 1.10 agent/xds/endpoints.go.
"""

from __future__ import annotations

from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from pellucid.xds.resources.messages import socket_address
from pellucid.xds.view import Endpoint, Endpoints


def load_assignment(view: Endpoints) -> endpoint_pb2.ClusterLoadAssignment:
    """The instances of a cluster. It is sent even without any: Envoy waits 15 s for one that is missing."""
    group = endpoint_components_pb2.LocalityLbEndpoints(
        lb_endpoints=[_endpoint(endpoint) for endpoint in view.endpoints]
    )
    return endpoint_pb2.ClusterLoadAssignment(cluster_name=view.cluster, endpoints=[group])


def _endpoint(view: Endpoint) -> endpoint_components_pb2.LbEndpoint:
    status = health_check_pb2.HEALTHY if view.healthy else health_check_pb2.UNHEALTHY
    endpoint = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=socket_address(view.address, view.port)),
        health_status=status,
    )
    endpoint.load_balancing_weight.value = view.weight
    return endpoint
