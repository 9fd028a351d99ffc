"""Parts of requests that several families read the same way."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pellucid.api.query_options import parse_bool
from pellucid.api.request import Request
from pellucid.api.response import HttpError
from pellucid.derive.catalog import MetaFilter
from pellucid.model import go_json
from pellucid.model.go_text import quote

T = TypeVar("T", bound=msgspec.Struct)


def named(request: Request, missing: str) -> str:
    """What follows the endpoint's prefix, which must not be empty: HttpError 400 `missing` otherwise."""
    if not request.below:
        raise HttpError(400, missing)
    return request.below


def node_meta(request: Request) -> MetaFilter:
    """The `?node-meta=key:value` pairs; one without a colon asks for an empty value."""
    pairs = (given.partition(":") for given in request.parameters.all("node-meta"))
    return tuple((key, value) for key, _, value in pairs)


def filter_of(request: Request) -> str:
    """The `?filter=` expression, or the empty string."""
    return request.parameters.get("filter")


def decoded_body(request: Request, wanted: type[T], *, unknown_fields: bool = False) -> T:
    """The JSON body as a struct. Raises HttpError 400 in the words most families use."""
    try:
        return go_json.decode(request.body, wanted, unknown_fields=unknown_fields)
    except go_json.GoJsonError as error:
        raise HttpError(400, f"Request decode failed: {error}") from error


def required_switch(request: Request, name: str) -> bool:
    """A boolean parameter that must be there. Raises HttpError 400."""
    text = request.parameters.get(name)
    if not text:
        raise HttpError(400, f"Missing value for {name}")
    value = parse_bool(text)
    if value is None:
        raise HttpError(400, f"Invalid value for {name}: {quote(text)}")
    return value
