"""Where the components of the Helm chart listen, as their flags say it."""

from __future__ import annotations

import pytest

from pellucid.cli.command import CommandFailed
from pellucid.cli.go_flags import Flag, FlagValues
from pellucid.cli.kube_replica import place

LISTEN = Flag("listen", "Where.", placeholder="address")


def listening_at(text: str) -> tuple[str, int]:
    return place(FlagValues((LISTEN,), {"listen": text}), "listen")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [(":8080", "", 8080), ("127.0.0.1:1", "127.0.0.1", 1), ("[::1]:65535", "::1", 65535)],
)
def test_a_host_is_optional_and_a_port_is_not(text: str, host: str, port: int) -> None:
    assert listening_at(text) == (host, port)


@pytest.mark.parametrize("text", ["", "8080x", ":0", ":65536", ":８０", "host:"])
def test_what_is_no_address_is_told_by_flag(text: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        listening_at(text)
    assert failed.value.text == f"==> -listen: {text!r} is no address; write it as :8080"
