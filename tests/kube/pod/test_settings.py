"""What a sidecar must be told, and how it says what is missing."""

from __future__ import annotations

import pytest

from pellucid.dataplane.redirect_settings import InvalidSettingError
from pellucid.kube.pod.settings import Server, pod_of, server_of

ENVIRONMENT = {
    "POD_NAME": "hello-1",
    "POD_NAMESPACE": "shop",
    "CONSUL_HTTP_ADDR": "https://consul-server.mesh.svc:8501",
    "CONSUL_GRPC_ADDR": "consul-server.mesh.svc:8502",
    "PELLUCID_SERVER_CA": "PEM",
}


def test_the_injectors_variables_name_pod_and_server() -> None:
    assert pod_of(ENVIRONMENT) == "shop/hello-1"
    assert server_of(ENVIRONMENT) == Server(
        "consul-server.mesh.svc", 8501, "consul-server.mesh.svc", 8502, "PEM"
    )


@pytest.mark.parametrize("missing", sorted(ENVIRONMENT))
def test_a_missing_variable_is_named(missing: str) -> None:
    with pytest.raises(InvalidSettingError, match=missing):
        server_of({name: value for name, value in ENVIRONMENT.items() if name != missing})


@pytest.mark.parametrize("address", ["nowhere", "https://x", "x:0", "x:port", "https://x/path:80"])
def test_an_address_without_host_or_port_is_named(address: str) -> None:
    with pytest.raises(InvalidSettingError, match="CONSUL_HTTP_ADDR"):
        server_of({**ENVIRONMENT, "CONSUL_HTTP_ADDR": address})


def test_an_ipv6_address_is_taken_out_of_its_brackets() -> None:
    assert server_of({**ENVIRONMENT, "CONSUL_HTTP_ADDR": "https://[fd00::1]:8501"}).host == "fd00::1"
