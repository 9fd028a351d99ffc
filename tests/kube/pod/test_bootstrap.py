"""What a pod's Envoy is started with, by what its sidecar was told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.kube.pod.bootstrap import bootstrap_settings
from pellucid.kube.pod.login import Instance, Registration
from pellucid.kube.pod.settings import Metrics, Server, SidecarSettings

REGISTRATION = Registration(
    "worker-virtual",
    (
        Instance("hello-1-hello", "hello", "", "secret"),
        Instance("hello-1-hello-sidecar-proxy", "hello-sidecar-proxy", "connect-proxy", "secret"),
    ),
)


def sidecar(bind_address: str = "") -> SidecarSettings:
    server = Server("server.mesh.svc", 8501, "server.mesh.svc", 8502, "PEM")
    return SidecarSettings("shop/hello-1", server, Path("token"), metrics=Metrics(bind_address))


def test_envoy_is_the_registered_proxy_and_finds_the_server_by_its_name() -> None:
    made = bootstrap_settings(sidecar(), REGISTRATION)
    assert (made.proxy_id, made.proxy_cluster) == ("hello-1-hello-sidecar-proxy", "hello")
    assert (made.token, made.xds.ca_pem, made.xds.server_name) == ("secret", "PEM", "server.mesh.svc")


@pytest.mark.parametrize(("bind_address", "tagged"), [("", False), ("0.0.0.0:20200", True)])
def test_counters_are_told_apart_by_service_where_they_are_collected(bind_address: str, tagged: bool) -> None:
    made = bootstrap_settings(sidecar(bind_address), REGISTRATION)
    assert made.service_tags is tagged
