"""Bytes on the wire that kubectl's own tests do not pin down."""

from __future__ import annotations

import zlib

import pytest

from pellucid.localkube.http.protobuf import MAGIC, decode_object
from pellucid.localkube.http.spdy import DICTIONARY


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2, len(content))) + content


def _body(kind: str, raw: bytes) -> bytes:
    meta = _field(1, b"v1") + _field(2, kind.encode())
    return MAGIC + _field(1, meta) + _field(2, raw)


def test_an_object_is_read_with_its_maps() -> None:
    entry = _field(1, b"key") + _field(2, b"value")
    raw = _field(1, _field(1, b"c")) + _field(2, entry)
    assert decode_object(_body("ConfigMap", raw)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"key": "value"},
    }


def test_what_is_not_understood_is_refused_rather_than_dropped() -> None:
    with pytest.raises(ValueError, match="field 9 of ConfigMap is not read from protobuf; send JSON"):
        decode_object(_body("ConfigMap", _field(9, b"x")))
    with pytest.raises(ValueError, match="the kind 'Gadget' is not read from protobuf"):
        decode_object(_body("Gadget", b""))


@pytest.mark.parametrize("cut", range(5, 21))
def test_a_body_cut_short_is_an_error(cut: int) -> None:
    whole = _body("ConfigMap", _field(1, _field(1, b"some-name")))
    with pytest.raises((ValueError, IndexError)):
        decode_object(whole[:cut])


def test_the_spdy_dictionary_is_the_one_of_the_draft() -> None:
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2
