"""OpenAPI as kubectl needs it: v3 per group and version for `apply`, `explain` and validation.

Source: Kubernetes docs, "OpenAPI V3". The v2 document is the smallest that old clients take: they have
the built-in kinds compiled in and only want to see that there is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from pellucid.localkube.types.kinds import Resource
from pellucid.localkube.types.schema import definition_name, described, reference_name

Object = dict[str, Any]

V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V2 = bytes.fromhex("0a03322e3012060a016b1201314200")
"""Document{swagger "2.0", info{title, version}, paths{}} in protobuf."""

_SCHEMA = "#/components/schemas/"
_SPECIAL: Mapping[str, Object] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
}


def place(resource: Resource) -> str:
    """Where a resource's document is: `api/v1`, `apis/apps/v1`."""
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def index(resources: Iterable[Resource], token: Callable[[str], str]) -> Object:
    """`/openapi/v3`: every document with a token that moves when it does."""
    places = dict.fromkeys(place(one) for one in resources)
    return {
        "paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={token(path)}"} for path in places}
    }


def token_of(text: str) -> str:
    """A document's token."""
    return hashlib.sha256(text.encode()).hexdigest()[:32].upper()


def document(resources: Iterable[Resource], custom: Callable[[Resource], Object]) -> Object:
    """One group-version's document. custom: the schema of a custom resource."""
    paths: Object = {}
    schemas: Object = {}
    for resource in resources:
        name = _schema_name(resource)
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        scope = "namespaces/{namespace}/" if resource.namespaced else ""
        path = f"/{place(resource)}/{scope}{resource.plural}/{{name}}"
        paths[path] = _operations(kind, name, resource)
        if resource.custom:
            referred: set[str] = set()
            shown = _published(dict(custom(resource)), referred)
            schemas[name] = {**shown, "x-kubernetes-group-version-kind": [kind]}
            _add_definitions(schemas, referred)
        else:
            _add_definitions(schemas, {name})
            schemas[name] = {**_any_version(schemas[name]), "x-kubernetes-group-version-kind": [kind]}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.30.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _any_version(schema: Object) -> Object:
    """A kind's schema as it is published: apiVersion and kind are any text there."""
    properties = dict(schema.get("properties") or {})
    for name in ("apiVersion", "kind"):
        if name in properties:
            properties[name] = {key: one for key, one in properties[name].items() if key != "enum"}
    return {**schema, "properties": properties}


def _schema_name(resource: Resource) -> str:
    if resource.custom:
        return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
    return definition_name(resource)


def _operations(kind: Object, name: str, resource: Resource) -> Object:
    parameters = [
        {"name": one, "in": "query", "schema": {"type": "string"}}
        for one in ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")
    ]
    answer = {"200": {"description": "OK", "content": {"application/json": {"schema": _reference(name)}}}}
    marked = {"x-kubernetes-group-version-kind": kind, "responses": answer}
    operations: Object = {}
    for verb, method in (("get", "get"), ("update", "put"), ("patch", "patch"), ("delete", "delete")):
        if verb in resource.verbs:
            operations[method] = {"x-kubernetes-action": method, "parameters": parameters, **marked}
    if not operations:
        operations["post"] = {"x-kubernetes-action": "post", "parameters": parameters, **marked}
    return operations


def _reference(name: str) -> Object:
    return {"$ref": _SCHEMA + name}


def _add_definitions(schemas: Object, wanted: set[str]) -> None:
    """The definitions and all they refer to."""
    pending = [name for name in wanted if name not in schemas]
    while pending:
        name = pending.pop()
        if name in schemas:
            continue
        found = _SPECIAL.get(name)
        schemas[name] = {} if found is None else found
        if found is None:
            referred: set[str] = set()
            schemas[name] = _published(described(name), referred)
            pending += [other for other in referred if other not in schemas]


def _published(node: Any, referred: set[str]) -> Any:
    """A definition as OpenAPI 3 says it: references here, and no list of types."""
    if isinstance(node, list):
        return [_published(one, referred) for one in node]
    if not isinstance(node, dict):
        return node
    published: Object = {}
    for key, value in node.items():
        if key == "$ref" and isinstance(value, str):
            name = reference_name(value)
            referred.add(name)
            published["allOf"] = [_reference(name)]
        elif key == "type" and isinstance(value, list):
            published["type"] = next(one for one in value if one != "null")
        elif key not in ("$schema", "$id"):
            published[key] = _published(value, referred)
    return published


def encoded(value: Object) -> bytes:
    """A document as JSON."""
    return msgspec.json.encode(value)
