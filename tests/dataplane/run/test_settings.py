from typing import Any

import pytest

from pellucid.dataplane.redirect_settings import InvalidSettingError
from pellucid.dataplane.run.settings import (
    WorkloadSettings,
    WorkloadUpstream,
    parse_upstream,
    service_name_of,
)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"command": ()}, "command"),
        ({"service": ""}, "service"),
        ({"service": " web"}, "service"),
        ({"port": 70000}, "port"),
        ({"port": 80, "upstreams": (WorkloadUpstream("api", 80),)}, "upstream api"),
        ({"upstreams": (WorkloadUpstream("api", 0),)}, "upstream api"),
        ({"protocol": "htp"}, "protocol"),
        ({"dns_address": "127.0.0.1"}, "DNS address"),
        ({"dns_address": "127.0.0.1:dns"}, "DNS address"),
    ],
)
def test_bad_settings_are_refused_naming_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSettingError, match=field):
        WorkloadSettings(**{"command": ("x",), "service": "web", **changes})


def test_upstreams_are_read() -> None:
    assert parse_upstream("api:9191") == WorkloadUpstream("api", 9191)
    assert parse_upstream("api:9191:dc2") == WorkloadUpstream("api", 9191, "dc2")


@pytest.mark.parametrize("text", ["api", ":9191", "api:x", "api:1:dc2:more", ""])
def test_an_upstream_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="upstream"):
        parse_upstream(text)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("./Hello_World.py", "hello-world"),
        ("/usr/bin/curl", "curl"),
        ("python3.11", "python3"),
        ("...", "workload"),
    ],
)
def test_a_program_without_a_name_is_named_after_its_file(command: str, name: str) -> None:
    assert service_name_of(command) == name
