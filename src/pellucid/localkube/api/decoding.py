"""Whether an object has the shape of its kind: the check a typed decoder makes, before any rule.

Source: texts as encoding/json and sigs.k8s.io/json give them through kube-apiserver 1.30.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid.localkube.api.status import ApiError, bad_request
from pellucid.localkube.types import schema as schemas
from pellucid.localkube.types.kinds import Resource
from pellucid.localkube.types.quantities import QuantityError, canonical
from pellucid.localkube.types.schema import Schema

Object = dict[str, Any]

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_GO_TYPES = {"string": "string", "boolean": "bool", "integer": "int32", "number": "float64"}


@dataclass(frozen=True)
class _Reading:
    """Collects the paths of unknown fields; typed: whether a value of the wrong type ends the reading.

    Custom objects are read whatever their types: their schema has its own say about those later.
    """

    typed: bool
    unknown: list[str] = field(default_factory=list)

    def wrong(self, told: str, path: str, owner: str, node: Schema) -> None:
        if self.typed or path.startswith("metadata."):
            raise WrongType(_unmarshal(told, path, owner, node))


class WrongType(Exception):
    """A value that cannot be what its field is."""


def decoded(resource: Resource, given: Object, schema: Schema) -> tuple[Object, tuple[str, ...]]:
    """The object without nulls and unknown fields, and the paths of the unknown ones.

    Raises ApiError 400 when a value has the wrong JSON type.
    """
    reading = _Reading(typed=not resource.custom)
    try:
        kept = _kept(given, schema, "", resource.kind, reading)
    except WrongType as wrong:
        raise bad_request(f"{_cannot(resource)}: {wrong}") from None
    kept["apiVersion"], kept["kind"] = resource.api_version, resource.kind
    return kept, tuple(reading.unknown)


def strict_error(resource: Resource, problems: tuple[str, ...]) -> ApiError:
    """What `fieldValidation=Strict` answers to unknown fields."""
    return bad_request(f"{_cannot(resource)}: strict decoding error: {', '.join(problems)}")


def _cannot(resource: Resource) -> str:
    return f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'


def _kept(value: Any, schema: Schema, path: str, owner: str, reading: _Reading) -> Any:
    node = schemas.resolved(schema)
    if isinstance(value, dict) and schemas.OBJECTS_ARE in node:
        return _kept(value, node[schemas.OBJECTS_ARE], path, owner, reading)
    if isinstance(value, dict):
        return _kept_map(value, schema, node, path, owner, reading)
    if isinstance(value, list):
        if "array" not in schemas.types(node) and schemas.types(node):
            reading.wrong("array", path, owner, node)
            return value
        element = schemas.items(node)
        return [
            _kept(_zero(element) if one is None and reading.typed else one, element, place, owner, reading)
            for place, one in ((f"{path}[{number}]", one) for number, one in enumerate(value))
        ]
    _check_scalar(value, node, path, owner, reading)
    if node.get("x-kubernetes-quantity") and value is not None:
        return _amount(value)
    if reading.typed and node.get("format") == "byte" and isinstance(value, str):
        _check_base64(value)
    return value


def _zero(element: Schema) -> Any:
    """What a typed decoder makes of a null in a list; null where the element has no type of its own."""
    stated = schemas.types(schemas.resolved(element))
    zeros: dict[str, Any] = {"object": {}, "array": [], "string": "", "integer": 0, "boolean": False}
    return zeros.get(stated[0]) if stated else None


def _amount(value: Any) -> str:
    """A quantity is a text of one form, but a number is understood."""
    text = value if isinstance(value, str) else f"{value}"
    try:
        return canonical(text)
    except QuantityError as error:
        raise WrongType(str(error)) from None


def _check_base64(text: str) -> None:
    compact = text.replace("\n", "").replace("\r", "")
    matched = _BASE64.match(compact)
    end = matched.end() if matched else 0
    if end != len(compact):
        raise WrongType(f"illegal base64 data at input byte {end}")
    if end % 4:
        raise WrongType(f"illegal base64 data at input byte {end // 4 * 4}")


def _kept_map(
    value: Mapping[str, Any], schema: Schema, node: Schema, path: str, owner: str, reading: _Reading
) -> Object:
    stated = schemas.types(node)
    if (stated and "object" not in stated) or "x-kubernetes-int-or-string" in node:
        reading.wrong("object", path, owner, node)
        return dict(value)
    if schemas.is_free_form(node) and not node.get("x-kubernetes-embedded-resource"):
        return dict(value)
    if "$ref" in schema:
        owner = schemas.reference_name(schema["$ref"]).rsplit(".", 1)[1]
    kept: Object = {}
    for name, one in value.items():
        place = f"{path}.{name}" if path else name
        found = schemas.field(node, name)
        if found is None:
            reading.unknown.append(place)
        elif one is not None:
            kept[name] = _kept(one, found, place, owner, reading)
        elif schemas.resolved(found).get("nullable") or found is schemas.ANY:
            kept[name] = None
    return kept


def _check_scalar(value: Any, node: Schema, path: str, owner: str, reading: _Reading) -> None:
    stated = schemas.types(node)
    if node.get("x-kubernetes-int-or-string"):
        stated = ("integer", "string")
    if node.get("x-kubernetes-quantity"):
        stated = ("number", "string")
    if not stated or value is None:
        return
    match value:
        case bool():
            fits, told = "boolean" in stated, "bool"
        case int():
            fits, told = bool({"integer", "number"} & set(stated)), "number"
        case float():
            fits, told = "number" in stated, "number"
        case _:
            fits, told = "string" in stated, "string"
    if not fits:
        reading.wrong(told, path, owner, node)


def _unmarshal(told: str, path: str, owner: str, node: Schema) -> str:
    stated = schemas.types(node)
    wanted = _GO_TYPES.get(stated[0], stated[0]) if stated else "value"
    if node.get("format") in ("int64", "int32"):
        wanted = node["format"]
    if "array" in stated:
        element = schemas.items(node)
        named = schemas.reference_name(element["$ref"]) if "$ref" in element else ""
        wanted = "[]" + ".".join(named.split(".")[-2:]) if named else "[]string"
    if "object" in stated:
        wanted = "map[string]string" if schemas.is_map(node) else owner
    plain = ".".join(step.split("[")[0] for step in path.split("."))
    return f"json: cannot unmarshal {told} into Go struct field {owner}.{plain} of type {wanted}"
