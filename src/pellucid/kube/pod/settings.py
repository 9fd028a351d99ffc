"""What a pod's sidecar is told: by the injector's flags, and by the downward API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from pellucid.dataplane.redirect_settings import InvalidSettingError, parse_port
from pellucid.kube.pods import DATA_DIRECTORY
from pellucid.kube.probe_targets import ProbeTarget

_ENVIRONMENT = ("POD_NAME", "POD_NAMESPACE", "CONSUL_HTTP_ADDR", "CONSUL_GRPC_ADDR", "PELLUCID_SERVER_CA")


class Server(msgspec.Struct, frozen=True):
    """Where the mesh's server is, and the authority (PEM) whose certificate it must show."""

    host: str
    port: int
    xds_host: str
    xds_port: int
    authority_pem: str


class Metrics(msgspec.Struct, frozen=True):
    """Where Envoy's counters are scraped, and which of the application's are put beside them.

    bind_address: empty for no scraping; merged_port: on loopback, 0 for Envoy's alone; application_port: 0
    for none.
    """

    bind_address: str = ""
    scrape_path: str = "/metrics"
    merged_port: int = 0
    application_port: int = 0
    application_path: str = "/metrics"


class SidecarSettings(msgspec.Struct, frozen=True):
    """One pod's sidecar."""

    pod: str
    """namespace/name, for people."""
    server: Server
    token_file: Path
    status_port: int = 21000
    drain_seconds: float = 10.0
    ends_after_seconds: float = 0.0
    """So long after the last process of the others the sidecar ends; 0: only when it is told to."""
    completion_note: Path = Path(DATA_DIRECTORY, "others-let-come")
    envoy_arguments: tuple[str, ...] = ()
    metrics: Metrics = Metrics()
    probes: tuple[ProbeTarget, ...] = ()
    """What the kubelet may have asked of the application."""


def server_of(environment: Mapping[str, str]) -> Server:
    """The server that the injector named. Raises InvalidSettingError naming the variable."""
    _require(environment)
    host, port = _place("CONSUL_HTTP_ADDR", environment["CONSUL_HTTP_ADDR"])
    xds_host, xds_port = _place("CONSUL_GRPC_ADDR", environment["CONSUL_GRPC_ADDR"])
    return Server(host, port, xds_host, xds_port, environment["PELLUCID_SERVER_CA"])


def pod_of(environment: Mapping[str, str]) -> str:
    """namespace/name. Raises InvalidSettingError naming the variable."""
    _require(environment)
    return f"{environment['POD_NAMESPACE']}/{environment['POD_NAME']}"


def _require(environment: Mapping[str, str]) -> None:
    for name in _ENVIRONMENT:
        if not environment.get(name):
            raise InvalidSettingError(
                name, "", "its value; the injector sets it, so run this in a pod of the mesh"
            )


def _place(name: str, text: str) -> tuple[str, int]:
    bare = text.removeprefix("https://").rstrip("/")
    host, colon, port = bare.rpartition(":")
    if not colon or not host or "/" in host:
        raise InvalidSettingError(
            name, text, "a host and port, such as consul-consul-server-api.default.svc:8501"
        )
    return host.strip("[]"), parse_port(name, port)
