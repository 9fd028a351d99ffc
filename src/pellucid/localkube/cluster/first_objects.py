"""What a new cluster's API holds before anyone has asked for anything."""

from __future__ import annotations

from typing import Any

from pellucid.localkube.api.bootstrap import bootstrap
from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.cluster.definition import API_PORT
from pellucid.localkube.controllers.volumes import standard_storage_class
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.types.kinds import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    SERVICES,
    STORAGE_CLASSES,
    Resource,
)

Object = dict[str, Any]


async def create_first_objects(resources: Resources, plan: AddressPlan) -> None:
    """Create each of them that is not there, namespaces and roles first."""
    await bootstrap(resources)
    for resource, namespace, item in first_objects(plan):
        try:
            await resources.create(resource, namespace, item)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise


def first_objects(plan: AddressPlan) -> tuple[tuple[Resource, str, Object], ...]:
    """Resource, namespace and object of each, in the order in which they can be created."""
    return (
        (STORAGE_CLASSES, "", standard_storage_class()),
        *((resource, "default", item) for resource, item in kubernetes_service(plan)),
        (SERVICES, "kube-system", _dns(str(plan.dns))),
    )


def kubernetes_service(plan: AddressPlan) -> tuple[tuple[Resource, Object], ...]:
    """The API's own Service and its endpoints, in the namespace `default`."""
    address = plan.node(0).v4
    return (
        (SERVICES, _kubernetes(str(plan.services_v4[1]))),
        (ENDPOINTS, _kubernetes_endpoints(address)),
        (ENDPOINT_SLICES, _kubernetes_slice(address)),
    )


def _kubernetes(address: str) -> Object:
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": API_PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {"type": "ClusterIP", "clusterIP": address, "ports": ports},
    }


def _kubernetes_endpoints(address: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "subsets": [
            {
                "addresses": [{"ip": address}],
                "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
            }
        ],
    }


def _kubernetes_slice(address: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
    }


def _dns(address: str) -> Object:
    """The DNS server runs on the node itself, at the service's own address; the service makes it known."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true"},
        },
        "spec": {"type": "ClusterIP", "clusterIP": address, "ports": ports},
    }
