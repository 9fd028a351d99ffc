"""The real Envoy, for tests: does it take these resources?"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.bootstrap.internal_listener.v3 import internal_listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2

from pellucid.dataplane.envoy_binary import find_envoy
from pellucid.identity.authority import Authority, SubjectNames, new_root
from pellucid.identity.leaves import issue
from pellucid.xds.resources import clusters, filters, secrets
from pellucid.xds.resources.messages import packed, socket_address
from pellucid.xds.view import Certificate, LocalApp, TrustBundle

ENVOY = find_envoy()
NOW = 1_700_000_000.0
SERVER_CLUSTER = "local_agent"


def bootstrap(server: int | str, proxy_id: str = "web-sidecar-proxy") -> Any:
    """A bootstrap that gets everything from an ADS server: a port of the loopback address, or a socket."""
    start = bootstrap_pb2.Bootstrap()
    start.node.id, start.node.cluster = proxy_id, "web"
    start.admin.address.CopyFrom(socket_address("127.0.0.1", 0))
    inner = start.bootstrap_extensions.add(name="envoy.bootstrap.internal_listener")
    inner.typed_config.CopyFrom(packed(internal_listener_pb2.InternalListener()))
    start.static_resources.clusters.append(_server(server))
    for source in (start.dynamic_resources.lds_config, start.dynamic_resources.cds_config):
        source.ads.SetInParent()
        source.resource_api_version = 2
    ads = start.dynamic_resources.ads_config
    ads.api_type, ads.transport_api_version = ads.DELTA_GRPC, 2
    ads.grpc_services.add().envoy_grpc.cluster_name = SERVER_CLUSTER
    return start


def refusal(resources: Iterable[Any], directory: Path) -> str:
    """What Envoy says against these resources, placed in its bootstrap; empty if it takes them all."""
    start = bootstrap(1)
    start.static_resources.secrets.extend(_secrets())
    for resource in resources:
        _place(start, resource)
    path = directory / "bootstrap.pb"
    path.write_bytes(start.SerializeToString())
    run = subprocess.run(
        [ENVOY, "--mode", "validate", "-c", path, "-l", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if run.returncode == 0 else run.stderr


def _place(start: Any, resource: Any) -> None:
    match resource:
        case cluster_pb2.Cluster():
            start.static_resources.clusters.append(_with_static_secrets(resource))
        case listener_pb2.Listener():
            start.static_resources.listeners.append(resource)
        case secret_pb2.Secret():
            start.static_resources.secrets.append(resource)
        case endpoint_pb2.ClusterLoadAssignment():
            cluster = start.static_resources.clusters.add(name=f"static {resource.cluster_name}")
            cluster.load_assignment.CopyFrom(resource)
        case route_pb2.RouteConfiguration():
            start.static_resources.listeners.append(_serving(resource))


def _with_static_secrets(cluster: Any) -> Any:
    """The same, its secrets expected in the bootstrap: Envoy crashes when a static cluster waits for ADS."""
    copy = cluster_pb2.Cluster()
    copy.CopyFrom(cluster)
    context = tls_pb2.UpstreamTlsContext()
    if copy.transport_socket.typed_config.Unpack(context):
        common = context.common_tls_context
        common.tls_certificate_sds_secret_configs[0].ClearField("sds_config")
        common.combined_validation_context.validation_context_sds_secret_config.ClearField("sds_config")
        copy.transport_socket.typed_config.CopyFrom(packed(context))
    return copy


def _secrets() -> Iterable[secret_pb2.Secret]:
    root = new_root("11111111-2222-3333-4444-555555555555", serial_number=1, now=NOW)
    authority = Authority(root)
    names = SubjectNames(authority.service_uri("web"))
    leaf = issue(authority, names, service="web", serial_number=2, now=NOW, ttl_s=72 * 3600)
    yield secrets.certificate(Certificate(leaf.cert_chain_pem, leaf.private_key_pem))
    yield secrets.trust_bundle(TrustBundle(root.root_cert))


def _serving(routes: Any) -> listener_pb2.Listener:
    """A listener whose only purpose is to have these routes looked at."""
    manager = http_connection_manager_pb2.HttpConnectionManager(stat_prefix="routes", route_config=routes)
    public = filters.public_requests("http", "")
    with_filters = http_connection_manager_pb2.HttpConnectionManager()
    public.typed_config.Unpack(with_filters)
    manager.http_filters.extend(with_filters.http_filters)
    listener = listener_pb2.Listener(name=f"routes {routes.name}", address=socket_address("127.0.0.1", 1))
    chain = listener.filter_chains.add()
    chain.filters.append(filters.network_filter("envoy.filters.network.http_connection_manager", manager))
    return listener


def _server(server: int | str) -> cluster_pb2.Cluster:
    at = {"socket_path": server} if isinstance(server, str) else {"port": server}
    return clusters.local_app(msgspec.convert({"name": SERVER_CLUSTER, "protocol": "http2", **at}, LocalApp))
