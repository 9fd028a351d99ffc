"""From views to Envoy's messages: pure builders, one module for each part of a proxy's configuration."""

from __future__ import annotations

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
    match view:
        case views.LocalApp():
            return share(view.name, clusters.local_app(view))
        case views.InnerCluster():
            return share(views.ALLOWED_SOURCES, clusters.allowed_sources(view))
        case views.OriginalDestination():
            return share(views.ORIGINAL_DESTINATION, clusters.original_destination())
        case views.UpstreamCluster():
            return share(view.name, clusters.upstream(view))
        case views.PassthroughCluster():
            return share(view.name, clusters.passthrough(view))
        case views.Endpoints():
            return share(view.cluster, endpoints.load_assignment(view))
        case views.PublicListener():
            return share(view.name, public_listener.public_listener(view))
        case views.AllowedSources():
            return share(views.ALLOWED_SOURCES, public_listener.allowed_sources(view))
        case views.ExposedPath():
            return share(view.name, public_listener.exposed_path(view))
        case views.UpstreamListener():
            return share(view.name, outbound_listener.upstream_listener(view))
        case views.OutboundListener():
            return share(view.name, outbound_listener.outbound_listener(view))
        case views.PublicRoutes():
            return share(routes.PUBLIC_ROUTES, routes.public(view))
        case views.UpstreamRoutes():
            return share(view.name, routes.upstream(view))
        case views.Certificate():
            return share(views.LEAF_SECRET, secrets.certificate(view))
        case views.TrustBundle():
            return share(views.ROOTS_SECRET, secrets.trust_bundle(view))
