"""Values become JSON objects with Go's names, order and omissions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pellucid.model.durations import Duration, Nanoseconds
from pellucid.model.encoding import json_object
from pellucid.model.wire import AlwaysWritten, go_name


class Inner(msgspec.Struct, frozen=True):
    port: int = 0


class Outer(msgspec.Struct, frozen=True):
    name: AlwaysWritten[str] = ""
    note: str = ""
    wait: Duration = 0
    pause: Nanoseconds = 0
    weight: float = 0.0
    limit: int | None = None
    inner: Inner = Inner()
    maybe: Inner | None = None
    tags: tuple[str, ...] = ()
    hosts: AlwaysWritten[tuple[str, ...]] = ()
    config: AlwaysWritten[Mapping[str, Any] | None] = None


def test_empty_fields_are_left_out_but_structs_and_marked_fields_are_not() -> None:
    assert json_object(Outer()) == {"Name": "", "Inner": {}, "Hosts": None, "Config": None}


def test_keys_are_in_the_order_of_the_struct() -> None:
    value = Outer(name="a", note="n", tags=("t",), maybe=Inner(1))
    assert list(json_object(value)) == ["Name", "Note", "Inner", "Maybe", "Tags", "Hosts", "Config"]


def test_a_field_that_may_be_none_is_written_whenever_it_is_not() -> None:
    assert json_object(Outer(limit=0, maybe=Inner(), config={})) == {
        "Name": "",
        "Limit": 0,
        "Inner": {},
        "Maybe": {},
        "Hosts": None,
        "Config": {},
    }


def test_durations_are_text_or_nanoseconds_as_their_field_says() -> None:
    written = json_object(Outer(wait=15_000_000_000, pause=15_000_000_000))
    assert (written["Wait"], written["Pause"]) == ("15s", 15_000_000_000)


def test_a_whole_fraction_is_written_as_an_integer() -> None:
    assert repr(json_object(Outer(weight=90.0))["Weight"]) == "90"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("name", "Name"),
        ("connect_timeout_ms", "ConnectTimeoutMs"),
        ("envoy_listener_json", "EnvoyListenerJSON"),
        ("external_sni", "ExternalSNI"),
        ("ca_file", "CAFile"),
        ("source_ip", "SourceIP"),
        ("http", "HTTP"),
        ("legacy_id", "LegacyID"),
        ("source_ns", "SourceNS"),
    ],
)
def test_words_that_go_writes_in_capitals(name: str, key: str) -> None:
    assert go_name(name) == key
