"""What Envoy is started with in a pod: who it is, and the way to the server, by TLS and by name."""

from __future__ import annotations

from pellucid.dataplane.envoy_settings import BootstrapConfig, BootstrapSettings, NamedAddress, XdsServer
from pellucid.kube.pod.login import Registration
from pellucid.kube.pod.settings import SidecarSettings


def bootstrap_settings(settings: SidecarSettings, registration: Registration) -> BootstrapSettings:
    """The bootstrap of the pod's Envoy, with the credential of its registration."""
    server, metrics = settings.server, settings.metrics
    address = NamedAddress(server.xds_host, server.xds_port)
    return BootstrapSettings(
        proxy_id=registration.sidecar.id,
        proxy_cluster=registration.service,
        proxy_source_service=registration.service,
        xds=XdsServer(address, server.authority_pem, server.xds_host),
        token=registration.sidecar.credential,
        prometheus_backend_port=metrics.merged_port or None,
        prometheus_scrape_path=metrics.scrape_path,
        service_tags=bool(metrics.bind_address),
        config=BootstrapConfig(envoy_prometheus_bind_addr=metrics.bind_address),
    )
