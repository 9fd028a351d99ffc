"""What a handler answers with, and how Consul writes it: JSON, texts, errors.

Source: Consul 1.10 agent/http.go; Go standard library, package `encoding/json`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

Headers = tuple[tuple[str, str], ...]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer, or one whose body comes in pieces (`stream`)."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    """Empty: no such header, as on Consul's empty answers."""
    headers: Headers = ()
    stream: AsyncIterator[bytes] | None = None
    close: bool = False
    """End the connection after this answer."""


EMPTY = Response()


class HttpError(Exception):
    """Ends a request with an error answer; `text` is the body."""

    def __init__(self, status: int, text: str, headers: Headers = ()) -> None:
        self.status, self.text, self.headers = status, text, headers
        super().__init__(text)

    def response(self) -> Response:
        """The answer it stands for; an empty text makes an empty body without a content type."""
        if not self.text:
            return Response(self.status, headers=self.headers)
        return text_response(self.text, self.status, headers=self.headers)


def bad_request(reason: str) -> HttpError:
    """The error type that Consul prefixes; plain checks in handlers are `HttpError(400, ...)`."""
    return HttpError(400, f"Bad request: {reason}")


def text_response(
    text: str, status: int = 200, *, content_type: str = TEXT, headers: Headers = ()
) -> Response:
    """A plain text answer."""
    return Response(status, text.encode("utf-8", "replace"), content_type, headers)


def json_response(value: Any, status: int = 200, *, headers: Headers = ()) -> Response:
    """A JSON answer; dicts keep their order, so maps must come sorted (see `sorted_map`)."""
    return Response(status, json_bytes(value), JSON, headers)


def json_bytes(value: Any) -> bytes:
    """Compact JSON with Go's escapes: `<`, `>`, `&` and the two line separators never appear raw."""
    written = _encode(value)
    for raw, escaped in _GO_ESCAPES:
        if raw in written:
            written = written.replace(raw, escaped)
    return written


# All of these can stand in JSON only inside strings.
_GO_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def indented(body: bytes) -> bytes:
    """The same JSON as `?pretty` shows it: four spaces and a final newline."""
    return msgspec.json.format(body, indent=4) + b"\n"


def sorted_map(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A map in the order Go writes it: by key, and so are the maps inside."""
    return {key: _sorted_value(mapping[key]) for key in sorted(mapping)}


def _sorted_value(value: Any) -> Any:
    match value:
        case Mapping():
            return sorted_map(value)
        case list() | tuple():
            return [_sorted_value(item) for item in value]
    return value


def go_list(items: Iterable[Any]) -> list[Any] | None:
    """A Go slice that was never set is `null`."""
    return list(items) or None
