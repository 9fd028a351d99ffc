"""From views to Envoy's messages: pure builders, one module for each part of a proxy's configuration."""

from __future__ import annotations

from typing import Any

from pellucid.xds import view as views
from pellucid.xds.resources import clusters, endpoints, outbound_listener, public_listener, routes, secrets
from pellucid.xds.shared import SharedResource, share

View = (
    views.LocalApp
    | views.InnerCluster
    | views.OriginalDestination
    | views.UpstreamCluster
    | views.PassthroughCluster
    | views.Endpoints
    | views.PublicListener
    | views.AllowedSources
    | views.ExposedPath
    | views.UpstreamListener
    | views.OutboundListener
    | views.PublicRoutes
    | views.UpstreamRoutes
    | views.Certificate
    | views.TrustBundle
)


def build(view: View) -> SharedResource:
    """The resource of a view, serialised. Raises EscapeHatchError if an operator's JSON is none."""
    message = message_of(view)
    name: str = message.cluster_name if isinstance(view, views.Endpoints) else message.name
    return share(name, message)


def message_of(view: View) -> Any:
    """The message of a view. Raises EscapeHatchError if an operator's JSON is none."""
    match view:
        case views.LocalApp():
            return clusters.local_app(view)
        case views.InnerCluster():
            return clusters.allowed_sources(view)
        case views.OriginalDestination():
            return clusters.original_destination()
        case views.UpstreamCluster():
            return clusters.upstream(view)
        case views.PassthroughCluster():
            return clusters.passthrough(view)
        case views.Endpoints():
            return endpoints.load_assignment(view)
        case views.PublicListener():
            return public_listener.public_listener(view)
        case views.AllowedSources():
            return public_listener.allowed_sources(view)
        case views.ExposedPath():
            return public_listener.exposed_path(view)
        case views.UpstreamListener():
            return outbound_listener.upstream_listener(view)
        case views.OutboundListener():
            return outbound_listener.outbound_listener(view)
        case views.PublicRoutes():
            return routes.public(view)
        case views.UpstreamRoutes():
            return routes.upstream(view)
        case views.Certificate():
            return secrets.certificate(view)
        case views.TrustBundle():
            return secrets.trust_bundle(view)
