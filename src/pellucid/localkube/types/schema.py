"""Schemas of the built-in kinds, read one definition at a time from the `kubernetes-validate` package.

A schema node is a JSON Schema object as Kubernetes publishes it, with its `x-kubernetes-*` notes:
list types and map keys for server-side apply, merge keys and strategies for strategic merge patch.
Descriptions are left out of what is kept, for memory; `described` reads them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from pellucid.localkube.types.kinds import Resource

Schema = Mapping[str, Any]

RELEASE = "v1.37.0-local"
"""The newest schemas of the package: a superset of what older clients send."""

_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
ANY: Schema = {"x-kubernetes-preserve-unknown-fields": True}
OBJECTS_ARE = "x-objects-are"
"""Our own note: a value may be of several types; if it is an object, this is its schema."""
_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
_SPECIAL: Mapping[str, Schema] = {
    _EXTENSIONS + "JSON": ANY,
    **{
        _EXTENSIONS + "JSONSchemaPropsOr" + other: {
            "x-kubernetes-preserve-unknown-fields": True,
            OBJECTS_ARE: {"$ref": f"#/$defs/{_EXTENSIONS}JSONSchemaProps"},
        }
        for other in ("Array", "Bool", "StringArray")
    },
    _QUANTITY: {"x-kubernetes-quantity": True},
    _INT_OR_STRING: {"x-kubernetes-int-or-string": True},
}
_PACKAGES = {
    "": "core",
    "rbac.authorization.k8s.io": "rbac",
    "admissionregistration.k8s.io": "admissionregistration",
    "coordination.k8s.io": "coordination",
    "networking.k8s.io": "networking",
    "scheduling.k8s.io": "scheduling",
    "storage.k8s.io": "storage",
    "discovery.k8s.io": "discovery",
    "authentication.k8s.io": "authentication",
    "authorization.k8s.io": "authorization",
}
_METADATA: Schema = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}


def definition_name(resource: Resource) -> str:
    """The name of a built-in kind's definition, such as `io.k8s.api.apps.v1.Deployment`."""
    if resource.group == "apiextensions.k8s.io":
        return f"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.{resource.kind}"
    version = "v1" if resource.group == "policy" else resource.version
    package = _PACKAGES.get(resource.group, resource.group)
    return f"io.k8s.api.{package}.{version}.{resource.kind}"


@cache
def definition(name: str) -> Schema:
    """One definition, its references still by name. Raises KeyError if there is none."""
    special = _SPECIAL.get(name)
    if special is not None:
        return special
    kept: Schema = _undescribed(described(name))
    return kept


def described(name: str) -> dict[str, Any]:
    """One definition with its descriptions, as published. Raises KeyError."""
    *_, package, version, kind = name.split(".")
    stem = f"{kind}-{version}" if package == "core" else f"{kind}-{package}-{version}"
    place = files("kubernetes_validate") / "kubernetes-json-schema" / RELEASE / f"{stem.lower()}.json"
    try:
        text = place.read_bytes()
    except FileNotFoundError:
        raise KeyError(name) from None
    read: dict[str, Any] = msgspec.json.decode(text)
    return read


def schema_of(resource: Resource) -> Schema:
    """The schema of a built-in kind's objects."""
    return definition(definition_name(resource))


def resolved(schema: Schema) -> Schema:
    """The schema itself, or the definition it refers to."""
    reference = schema.get("$ref")
    return schema if reference is None else definition(reference_name(reference))


def reference_name(reference: str) -> str:
    """The definition a `$ref` points at."""
    return reference.rsplit("/", 1)[1]


def field(schema: Schema, name: str) -> Schema | None:
    """The schema of an object's field, with its notes where it stands; None if it may not have it."""
    node = resolved(schema)
    found = node.get("properties", {}).get(name)
    if found is not None:
        return found  # type: ignore[no-any-return]
    if node.get("x-kubernetes-embedded-resource") and name == "metadata":
        return _METADATA
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return ANY
    more = node.get("additionalProperties")
    if isinstance(more, Mapping):
        return more
    if more or is_free_form(node):
        return ANY
    return None


def is_free_form(node: Schema) -> bool:
    """An object of which nothing is said, such as RawExtension or FieldsV1."""
    return not any(
        key in node for key in ("properties", "additionalProperties", "items", "oneOf", "format")
    ) and ("object" in types(node) or not types(node))


def types(node: Schema) -> tuple[str, ...]:
    """The JSON types a value may have, without null."""
    stated = node.get("type", ())
    found = (stated,) if isinstance(stated, str) else tuple(stated)
    return tuple(name for name in found if name != "null")


def is_map(schema: Schema) -> bool:
    """A map of names to values, as labels are, rather than a structure."""
    node = resolved(schema)
    return "properties" not in node and "additionalProperties" in node


def items(schema: Schema) -> Schema:
    """The schema of a list's elements."""
    return resolved(schema).get("items", ANY)  # type: ignore[no-any-return]


def custom_schema(definition_object: Mapping[str, Any], version: str) -> Schema:
    """The schema of a custom kind's version, with the fields every object has."""
    for served in definition_object["spec"]["versions"]:
        if served["name"] == version:
            stated = served.get("schema", {}).get("openAPIV3Schema", {})
            common = {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": _METADATA,
            }
            return {"type": "object", **stated, "properties": {**stated.get("properties", {}), **common}}
    raise KeyError(version)


def _undescribed(node: Any) -> Any:
    if isinstance(node, dict):
        # A property may itself be called "description": its value is then a schema, not text.
        return {
            key: _undescribed(value)
            for key, value in node.items()
            if not (key == "description" and isinstance(value, str)) and key not in ("$schema", "$id")
        }
    if isinstance(node, list):
        return [_undescribed(value) for value in node]
    return node
