"""The ports of a pod's sidecar, on which the injector, the registration and the sidecar itself agree."""

from __future__ import annotations

from pellucid.dataplane.envoy_settings import DEFAULT_ADMIN_PORT
from pellucid.dataplane.redirect_settings import DEFAULT_INBOUND_PORT, DEFAULT_OUTBOUND_PORT

ADMIN_PORT = DEFAULT_ADMIN_PORT
"""Envoy's administration, on loopback."""
OUTBOUND_PORT = DEFAULT_OUTBOUND_PORT
INBOUND_PORT = DEFAULT_INBOUND_PORT
"""Where other sidecars call."""
MERGED_METRICS_PORT = 20100
SCRAPE_PORT = 20200
PROBE_PORTS = range(20300, 20600)
"""Where Envoy lets the kubelet's probes through, each to one path."""
STATUS_PORT = 21000
"""Where the sidecar says how it is."""
RESERVED_PORTS = range(INBOUND_PORT, STATUS_PORT + 1)
"""No Service's traffic: of these redirection takes the first, and leaves the others alone."""
