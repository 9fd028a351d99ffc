"""Network addresses as text."""

from __future__ import annotations

import pytest

from pellucid.model.addresses import host_and_port


@pytest.mark.parametrize(
    ("host", "text"), [("10.0.0.1", "10.0.0.1:80"), ("fd00::1", "[fd00::1]:80"), ("web", "web:80")]
)
def test_only_an_ipv6_address_needs_brackets(host: str, text: str) -> None:
    assert host_and_port(host, 80) == text
