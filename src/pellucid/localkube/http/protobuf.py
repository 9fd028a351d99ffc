"""Kubernetes' protobuf bodies, read into the JSON they stand for. Nothing is ever answered in it.

Newer typed clients send what they create as `k8s\\0` and an Unknown message: type and raw object.
A table gives each message's field numbers. Source: generated.proto files of k8s.io/api 1.33.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pellucid.localkube.http.protobuf_fields import MESSAGES, TOP_LEVEL

MAGIC = b"k8s\x00"

_BOOKKEEPING = frozenset({("ObjectMeta", 4), ("ObjectMeta", 17), ("SelfSubjectReview", 2)})
"""selfLink, managedFields, and a status that is numbered otherwise than most."""

Object = dict[str, Any]


def decode_object(body: bytes) -> Object:
    """The object in a body. Raises ValueError, KeyError for a kind not in the table."""
    if not body.startswith(MAGIC):
        raise ValueError("it does not start as Kubernetes protobuf does")
    api_version = kind = ""
    raw = b""
    for number, value in _fields(body[len(MAGIC) :]):
        if number == 1 and isinstance(value, bytes):
            named = {n: v.decode() for n, v in _fields(value) if isinstance(v, bytes)}
            api_version, kind = named.get(1, ""), named.get(2, "")
        elif number == 2 and isinstance(value, bytes):
            raw = value
    if kind not in TOP_LEVEL:
        raise ValueError(f"the kind {kind!r} is not read from protobuf; send JSON")
    return {"apiVersion": api_version, "kind": kind, **_message(raw, kind)}


def _varint(body: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(body):
        tag, place = _varint(body, place)
        match tag & 7:
            case 0:
                value, place = _varint(body, place)
                yield tag >> 3, value
            case 2:
                length, place = _varint(body, place)
                if place + length > len(body):
                    raise ValueError("it ends in the middle of a field")
                yield tag >> 3, body[place : place + length]
                place += length
            case wire:
                raise ValueError(f"wire type {wire} does not occur in Kubernetes objects")


def _message(body: bytes, name: str) -> Object:
    table = MESSAGES[name]
    result: Object = {}
    for number, value in _fields(body):
        entry = table.get(number)
        if entry is None:
            _check_ignorable(name, number, value)
            continue
        field, kind = entry
        if kind.startswith("inline:") and isinstance(value, bytes):
            result.update(_message(value, kind.removeprefix("inline:")))
        elif kind.startswith("[]"):
            result.setdefault(field, []).append(_value(value, kind[2:]))
        elif kind.startswith("map:") and isinstance(value, bytes):
            key, inner = _entry(value, kind.removeprefix("map:"))
            result.setdefault(field, {})[key] = inner
        else:
            decoded = _value(value, kind)
            if kind.endswith("?") or not _is_absent(decoded):
                result[field] = decoded
    return result


def _is_absent(value: Any) -> bool:
    """Go writes scalars without a pointer even when they are zero, where JSON leaves them out."""
    return value is None or value == "" or value is False or (value == 0 and isinstance(value, int))


def _check_ignorable(message: str, number: int, value: int | bytes) -> None:
    """What the table does not know may be dropped only if it is empty, a status or bookkeeping."""
    status = number == 3 and message in TOP_LEVEL
    if value and not status and (message, number) not in _BOOKKEEPING:
        raise ValueError(f"field {number} of {message} is not read from protobuf; send JSON")


def _entry(body: bytes, kind: str) -> tuple[str, Any]:
    key, value = "", _value(b"", kind)
    for number, one in _fields(body):
        if number == 1 and isinstance(one, bytes):
            key = one.decode()
        elif number == 2:
            value = _value(one, kind)
    return key, value


def _value(value: int | bytes, kind: str) -> Any:
    match kind:
        case "int" | "int?":
            number = int.from_bytes(value, "big") if isinstance(value, bytes) else value
            return number - (1 << 64) if number >= 1 << 63 else number
        case "bool" | "bool?":
            return bool(value)
    if not isinstance(value, bytes):
        raise ValueError(f"a field of kind {kind} holds a number")
    match kind:
        case "string":
            return value.decode()
        case "bytes":
            return base64.b64encode(value).decode()
        case "Time":
            return _time(value)
        case "Quantity":
            amount = dict(_fields(value)).get(1, b"0")
            return amount.decode() if isinstance(amount, bytes) else str(amount)
        case "IntOrString":
            parts = dict(_fields(value))
            text = parts.get(3, b"")
            return text.decode() if parts.get(1) == 1 and isinstance(text, bytes) else parts.get(2, 0)
        case "RawJson":
            raw = dict(_fields(value)).get(1, b"{}")
            return msgspec.json.decode(raw) if isinstance(raw, bytes) else {}
    return _message(value, kind)


def _time(body: bytes) -> str | None:
    parts: Mapping[int, int | bytes] = dict(_fields(body))
    seconds = parts.get(1, 0)
    if not isinstance(seconds, int) or not seconds:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
