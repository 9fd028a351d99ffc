"""What the endpoints controller is told when it starts."""

from __future__ import annotations

import msgspec

from pellucid.kube.cluster_version import Release
from pellucid.kube.server_client import ServerAddress
from pellucid.kube.sidecar_ports import SCRAPE_PORT

SLICES_SINCE: Release = (1, 21)
"""The first Kubernetes release with EndpointSlices that are more than a beta."""


class ControllerSettings(msgspec.Struct, frozen=True):
    """server: where registrations go; the rest are defaults for pods that don't say themselves."""

    server: ServerAddress
    kubernetes: Release = SLICES_SINCE
    """The cluster's, which decides how EndpointSlices are asked for."""
    metrics_enabled: bool = False
    prometheus_scrape_port: int = SCRAPE_PORT
    full_comparison_s: float = 300.0
    """Seconds between comparisons of the whole catalog with all pods."""
