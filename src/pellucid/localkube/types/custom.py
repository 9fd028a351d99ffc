"""Custom objects against their structural schema: defaults and validation.

Source: Kubernetes docs, "Extend the Kubernetes API with CustomResourceDefinitions"; OpenAPI 3.0.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from pellucid.localkube.types.schema import Schema

Found = tuple[str, str, str]
"""Field, message, reason."""


def with_custom_defaults(value: Any, schema: Schema) -> Any:
    """The value with the schema's defaults filled in, at every depth. Changes the given one."""
    if isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                with_custom_defaults(value[name], inner)
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping):
            for inner_value in value.values():
                with_custom_defaults(inner_value, more)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for one in value:
            with_custom_defaults(one, schema["items"])
    return value


def custom_breaches(value: Any, schema: Schema, path: str = "") -> Iterator[Found]:
    """Everything in which a value breaks its schema."""
    if value is None:
        if not schema.get("nullable") and schema.get("type"):
            yield _wrong_type(path, "null", str(schema["type"]))
        return
    told = _told(value)
    wanted = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if told not in ("integer", "string"):
            yield _wrong_type(path, told, "integer,string")
            return
    elif wanted and told != wanted and not (wanted == "number" and told == "integer"):
        yield _wrong_type(path, told, wanted)
        return
    if "enum" in schema and value not in schema["enum"]:
        listed = ", ".join(_json(one) for one in schema["enum"])
        message = f"Unsupported value: {_json(value)}: supported values: {listed}"
        yield path, message, "FieldValueNotSupported"
    for check in _CHECKS.get(told, ()):
        yield from check(value, schema, path)
    yield from _combinations(value, schema, path)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _told(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _invalid(path: str, value: Any, why: str) -> Found:
    return path, f"Invalid value: {_json(value)}: {path} in body {why}", "FieldValueInvalid"


def _wrong_type(path: str, told: str, wanted: str) -> Found:
    message = f'Invalid value: "{told}": {path} in body must be of type {wanted}: "{told}"'
    return path, message, "FieldValueTypeInvalid"


def _object(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[Found]:
    for name in schema.get("required", ()):
        if name not in value:
            yield (f"{path}.{name}" if path else name), "Required value", "FieldValueRequired"
    properties = schema.get("properties") or {}
    more = schema.get("additionalProperties")
    for name, inner in value.items():
        if path == "" and name in ("metadata", "apiVersion", "kind"):
            continue
        found = properties.get(name, more if isinstance(more, Mapping) else None)
        if found is not None:
            yield from custom_breaches(inner, found, f"{path}.{name}" if path else name)
    if len(value) > schema.get("maxProperties", len(value)):
        yield _invalid(path, len(value), f"should have at most {schema['maxProperties']} properties")
    if len(value) < schema.get("minProperties", 0):
        yield _invalid(path, len(value), f"should have at least {schema['minProperties']} properties")


def _array(value: list[Any], schema: Schema, path: str) -> Iterator[Found]:
    if len(value) > schema.get("maxItems", len(value)):
        message = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        yield path, message, "FieldValueTooMany"
    if len(value) < schema.get("minItems", 0):
        yield _invalid(path, len(value), f"should have at least {schema['minItems']} items")
    if isinstance(schema.get("items"), Mapping):
        for place, one in enumerate(value):
            yield from custom_breaches(one, schema["items"], f"{path}[{place}]")
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") in ("map", "set"):
        seen: list[Any] = []
        for place, one in enumerate(value):
            identity = {key: one.get(key) for key in keys} if keys and isinstance(one, dict) else one
            if identity in seen:
                yield f"{path}[{place}]", f"Duplicate value: {_json(identity)}", "FieldValueDuplicate"
            seen.append(identity)


def _string(value: str, schema: Schema, path: str) -> Iterator[Found]:
    if len(value) > schema.get("maxLength", len(value)):
        message = f"Too long: may not be more than {schema['maxLength']} bytes"
        yield path, message, "FieldValueTooLong"
    if len(value) < schema.get("minLength", 0):
        yield _invalid(path, value, f"should be at least {schema['minLength']} chars long")
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, value):
        yield _invalid(path, value, f"should match '{pattern}'")


def _number(value: float, schema: Schema, path: str) -> Iterator[Found]:
    if "minimum" in schema and value < schema["minimum"]:
        yield _invalid(path, value, f"should be greater than or equal to {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        yield _invalid(path, value, f"should be less than or equal to {schema['maximum']}")
    if schema.get("exclusiveMinimum") and value == schema.get("minimum"):
        yield _invalid(path, value, f"should be greater than {schema['minimum']}")
    if schema.get("exclusiveMaximum") and value == schema.get("maximum"):
        yield _invalid(path, value, f"should be less than {schema['maximum']}")
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield _invalid(path, value, f"should be a multiple of {schema['multipleOf']}")


_CHECKS: Mapping[str, tuple[Callable[[Any, Schema, str], Iterator[Found]], ...]] = {
    "object": (_object,),
    "array": (_array,),
    "string": (_string,),
    "integer": (_number,),
    "number": (_number,),
}


def _combinations(value: Any, schema: Schema, path: str) -> Iterator[Found]:
    def matching(name: str) -> int:
        return sum(1 for one in schema[name] if not any(custom_breaches(value, one, path)))

    if "allOf" in schema:
        for one in schema["allOf"]:
            yield from custom_breaches(value, one, path)
    if "anyOf" in schema and not schema.get("x-kubernetes-int-or-string") and not matching("anyOf"):
        yield _invalid(path, value, "must validate at least one schema (anyOf)")
    if "oneOf" in schema and matching("oneOf") != 1:
        yield _invalid(path, value, "must validate one and only one schema (oneOf)")
    if "not" in schema and not any(custom_breaches(value, schema["not"], path)):
        yield _invalid(path, value, "must not validate the schema (not)")
