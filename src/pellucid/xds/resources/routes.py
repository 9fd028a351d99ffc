"""Routes: where requests go, and for those that arrive, who may send them.

Source: Consul 1.10 agent/xds/routes.go; Envoy v3 API, `RBACPerRoute`.
"""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2

from pellucid.xds.resources.filters import HTTP_RBAC
from pellucid.xds.resources.messages import milliseconds, packed
from pellucid.xds.resources.rbac import rules
from pellucid.xds.view import ALLOWED_SOURCES, PublicRoutes, UpstreamRoutes

PUBLIC_ROUTES = "public_listener"


def public(view: PublicRoutes) -> route_pb2.RouteConfiguration:
    """Every request to the application, if its sender may."""
    route = to_cluster(ALLOWED_SOURCES)
    if view.request_timeout_ms is not None:
        route.route.timeout.CopyFrom(milliseconds(view.request_timeout_ms))
    per_route = http_rbac_pb2.RBACPerRoute(rbac=http_rbac_pb2.RBAC(rules=rules(view.rules)))
    route.typed_per_filter_config[HTTP_RBAC].CopyFrom(packed(per_route))
    return configuration(PUBLIC_ROUTES, PUBLIC_ROUTES, [route])


def upstream(view: UpstreamRoutes) -> route_pb2.RouteConfiguration:
    """Every request to the upstream's instances."""
    return configuration(view.name, view.host, [to_cluster(view.cluster)])


def to_cluster(cluster: str, path: str = "") -> route_components_pb2.Route:
    """A route for all paths, or for exactly one."""
    match = (
        route_components_pb2.RouteMatch(path=path) if path else route_components_pb2.RouteMatch(prefix="/")
    )
    return route_components_pb2.Route(match=match, route=route_components_pb2.RouteAction(cluster=cluster))


def configuration(
    name: str, host: str, routes: list[route_components_pb2.Route]
) -> route_pb2.RouteConfiguration:
    """Routes for whatever host a request names."""
    virtual_host = route_components_pb2.VirtualHost(name=host, domains=["*"], routes=routes)
    return route_pb2.RouteConfiguration(name=name, virtual_hosts=[virtual_host])
