"""The rules a custom kind's schema states in CEL (`x-kubernetes-validations`).

Source: Kubernetes docs, "Extend the Kubernetes API with CustomResourceDefinitions - Validation rules".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import cel

from pellucid.localkube.types import schema as schemas
from pellucid.localkube.types.expressions import (
    Expression,
    ExpressionError,
    escaped,
    expression,
    undefined_field,
)
from pellucid.localkube.types.schema import Schema

Found = tuple[str, str, str]
"""Field, message, reason."""

RULES = "x-kubernetes-validations"
_SELF, _BOTH = frozenset({"self"}), frozenset({"self", "oldSelf"})
_REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
_NOTHING = object()
_CHAIN = re.compile(r"(?<![\w.])self((?:\.[A-Za-z_]\w*(?![\w(]))+)")


def has_rules(schema: Schema) -> bool:
    """Whether there is any rule, at any depth."""
    return bool(schema.get(RULES)) or any(has_rules(one) for _, one in _below(schema))


def rule_breaches(value: Any, old: Any, schema: Schema, path: str = "") -> Iterator[Found]:
    """Every rule a value does not keep. old: the value before, None if there was none."""
    yield from _breaches(value, _NOTHING if old is None else old, schema, path)


def _breaches(value: Any, old: Any, schema: Schema, path: str) -> Iterator[Found]:
    if value is None:
        return
    if schema.get(RULES):
        own, before = shown(value, schema), _NOTHING if old is _NOTHING else shown(old, schema)
        for rule in schema[RULES]:
            yield from _breach(rule, own, before, schema, path)
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, one in value.items():
            inner = properties.get(name, more if isinstance(more, Mapping) else None)
            if inner is not None and not (path == "" and name == "metadata"):
                earlier = old.get(name, _NOTHING) if isinstance(old, dict) else _NOTHING
                yield from _breaches(one, earlier, inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for place, one in enumerate(value):
            yield from _breaches(one, _counterpart(one, old, schema), schema["items"], f"{path}[{place}]")


def _counterpart(one: Any, old: Any, schema: Schema) -> Any:
    """The element of a list before that is the same one: only lists that are maps can tell."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if (
        schema.get("x-kubernetes-list-type") != "map"
        or not isinstance(old, list)
        or not isinstance(one, dict)
    ):
        return _NOTHING
    wanted = [one.get(key) for key in keys or ()]
    return next((other for other in old if [other.get(key) for key in keys or ()] == wanted), _NOTHING)


def _breach(rule: Mapping[str, Any], own: Any, before: Any, schema: Schema, path: str) -> Iterator[Found]:
    program = expression(rule["rule"], _BOTH)
    variables = {"self": own}
    if "oldSelf" in program.variables:
        if rule.get("optionalOldSelf"):
            variables["oldSelf"] = (
                cel.OptionalValue.none() if before is _NOTHING else cel.OptionalValue.of(before)
            )
        elif before is _NOTHING:
            return
        else:
            variables["oldSelf"] = before
    kind = str(schema.get("type", "object"))
    try:
        kept = program.value(variables)
    except ExpressionError as error:
        yield path, f'Invalid value: "{kind}": {error} evaluating rule: {rule["rule"]}', _REASONS[0]
        return
    if kept is not True:
        yield _told(rule, variables, kind, path)


def _told(rule: Mapping[str, Any], variables: Mapping[str, Any], kind: str, path: str) -> Found:
    message = _message(rule, variables)
    field = path + rule["fieldPath"] if rule.get("fieldPath") else path
    reason = rule.get("reason") or _REASONS[0]
    match reason:
        case "FieldValueForbidden":
            text = f"Forbidden: {message}"
        case "FieldValueRequired":
            text = f"Required value: {message}"
        case "FieldValueDuplicate":
            text = f'Duplicate value: "{kind}"'
        case _:
            text = f'Invalid value: "{kind}": {message}'
    return field.removeprefix("."), text, reason


def _message(rule: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    if rule.get("messageExpression"):
        try:
            said = expression(rule["messageExpression"], _BOTH).value(variables)
        except ExpressionError:
            said = None
        if isinstance(said, str) and said.strip() and "\n" not in said:
            return said
    return str(rule.get("message") or f"failed rule: {rule['rule'].strip()}")


def shown(value: Any, schema: Schema) -> Any:
    """A value as expressions see it: names escaped, times and durations as such, numbers as doubles."""
    if isinstance(value, dict):
        properties, more = schema.get("properties"), schema.get("additionalProperties")
        if properties:
            return {
                escaped(name): shown(one, properties.get(name, {}))
                for name, one in value.items()
                if one is not None
            }
        inner = more if isinstance(more, Mapping) else {}
        return {name: shown(one, inner) for name, one in value.items()}
    if isinstance(value, list):
        return [shown(one, schema.get("items") or {}) for one in value]
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and schema.get("format") in ("date-time", "duration"):
        function = "timestamp" if schema["format"] == "date-time" else "duration"
        try:
            return Expression(f"{function}(self)", _SELF).value({"self": value})
        except ExpressionError:
            return value
    return value


# Compiling the rules of a definition


def wrong_rules(schema: Schema, path: str) -> Iterator[Found]:
    """Every rule that cannot be one, by the place of its schema in the definition."""
    for place, rule in enumerate(schema.get(RULES) or ()):
        yield from _wrong_rule(rule, schema, f"{path}.{RULES}[{place}]")
    for step, inner in _below(schema):
        yield from wrong_rules(inner, f"{path}.{step}")


def _below(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for name, inner in (schema.get("properties") or {}).items():
        yield f"properties[{name}]", inner
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), Mapping):
            yield name, schema[name]


def _wrong_rule(rule: Mapping[str, Any], schema: Schema, path: str) -> Iterator[Found]:
    text = rule.get("rule") or ""
    if not text.strip():
        yield f"{path}.rule", "Required value: rule is not specified", "FieldValueRequired"
        return
    if rule.get("reason") and rule["reason"] not in _REASONS:
        listed = ", ".join(f'"{one}"' for one in _REASONS)
        message = f'Unsupported value: "{rule["reason"]}": supported values: {listed}'
        yield f"{path}.reason", message, "FieldValueNotSupported"
    try:
        expression(text, _BOTH)
        _check_fields(text, schema)
    except ExpressionError as error:
        yield f"{path}.rule", f"Invalid value: {_shown_rule(rule)}: compilation failed: {error}", _REASONS[0]
    if rule.get("messageExpression"):
        try:
            expression(rule["messageExpression"], _BOTH)
        except ExpressionError as error:
            why = f"messageExpression compilation failed: {error}"
            yield f"{path}.messageExpression", f"Invalid value: {_shown_rule(rule)}: {why}", _REASONS[0]


def _check_fields(text: str, schema: Schema) -> None:
    """Raises ExpressionError for a field of `self` that the schema does not have."""
    for chain in _CHAIN.findall(text):
        node: Schema = schema
        path = "self"
        for name in chain[1:].split("."):
            if not node.get("properties") or node.get("x-kubernetes-preserve-unknown-fields"):
                break
            known = {escaped(one): inner for one, inner in node["properties"].items()}
            if name not in known and not _is_root_field(name, schema, node):
                raise undefined_field(text, path, name)
            node, path = known.get(name, schemas.ANY), f"{path}.{name}"


def _is_root_field(name: str, schema: Schema, node: Schema) -> bool:
    return node is schema and name in ("apiVersion", "kind", "metadata")


def _shown_rule(rule: Mapping[str, Any]) -> str:
    def quoted(name: str) -> str:
        text = str(rule.get(name) or "").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{text}"'

    return (
        f"apiextensions.ValidationRule{{Rule:{quoted('rule')}, Message:{quoted('message')}, "
        f"MessageExpression:{quoted('messageExpression')}, "
        f"Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:{quoted('fieldPath')}, "
        "OptionalOldSelf:(*bool)(nil)}"
    )
