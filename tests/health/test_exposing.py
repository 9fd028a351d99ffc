"""Checks aimed at a proxy's port instead of the service's own."""

import pytest

from pellucid.health.exposing import through_proxy
from pellucid.model.checks import CheckDefinition
from tests.health.definitions import check


@pytest.mark.parametrize(
    ("own", "through"),
    [
        (check(http="http://10.0.0.1:80/health?x=1"), check(http="http://10.0.0.9:21500/health?x=1")),
        (check(http="https://web.internal/"), check(http="https://10.0.0.9:21500/")),
        (check(grpc="10.0.0.1:50051/web"), check(grpc="10.0.0.9:21500/web")),
        (check(grpc="10.0.0.1:50051"), check(grpc="10.0.0.9:21500")),
        (check(tcp="10.0.0.1:80"), check(tcp="10.0.0.1:80")),
    ],
)
def test_only_the_address_changes(own: CheckDefinition, through: CheckDefinition) -> None:
    assert through_proxy(own, "10.0.0.9", 21500) == through


def test_an_ipv6_proxy_is_written_in_brackets() -> None:
    assert through_proxy(check(grpc="h:1/s"), "fd00::9", 21500).grpc == "[fd00::9]:21500/s"
