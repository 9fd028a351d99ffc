"""CustomResourceDefinitions with structural schemas, made of the entries' own types.

The chart carries them as files; a test holds that those are what this module makes.

Source: Kubernetes docs, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from __future__ import annotations

from typing import Any

from msgspec import inspect

from pellucid.kube.controllers.config_entries.kinds import GROUP, VERSION, CustomKind
from pellucid.kube.controllers.config_entries.spec_fields import (
    NAMED_BY_DESTINATION,
    NAMESPACED,
    Struct,
    spec_fields,
)
from pellucid.model.wire import plain_type

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_ANYTHING: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_DURATION: Schema = {"x-kubernetes-int-or-string": True}
"""Text such as `5s`; a bare number counts nanoseconds, as the first releases wrote them."""
_MOMENT: Schema = {"type": "string", "format": "date-time"}

_STATUS: Schema = {
    "type": "object",
    "properties": {
        "conditions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "status"],
                "properties": {
                    "type": _TEXT,
                    "status": _TEXT,
                    "reason": _TEXT,
                    "message": _TEXT,
                    "lastTransitionTime": _MOMENT,
                },
            },
        },
        "lastSyncedTime": _MOMENT,
    },
}
_COLUMNS = (
    {
        "name": "Synced",
        "type": "string",
        "description": "Whether the mesh has what the resource says",
        "jsonPath": '.status.conditions[?(@.type=="Synced")].status',
    },
    {
        "name": "Last Synced",
        "type": "date",
        "description": "When the mesh was last given what the resource says",
        "jsonPath": ".status.lastSyncedTime",
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)


def definition(kind: CustomKind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.entry.kind],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [dict(column) for column in _COLUMNS],
                    "schema": {"openAPIV3Schema": _resource(kind)},
                }
            ],
        },
    }


def _resource(kind: CustomKind) -> Schema:
    return {
        "type": "object",
        "description": f"A {kind.entry.kind} configuration entry of the mesh.",
        "properties": {
            "apiVersion": _TEXT,
            "kind": _TEXT,
            "metadata": {"type": "object"},
            "spec": _spec(kind),
            "status": _STATUS,
        },
    }


def _spec(kind: CustomKind) -> Schema:
    schema = _of_struct(kind.entry, is_entry=True)
    if kind.entry is NAMED_BY_DESTINATION:
        destination: Schema = {"type": "object", "properties": {"name": _TEXT, "namespace": _TEXT}}
        schema["properties"] = {"destination": destination, **schema["properties"]}
    return schema


def _of_struct(struct: Struct, *, is_entry: bool = False) -> Schema:
    fields = spec_fields(struct, is_entry=is_entry)
    properties = {name: _of_type(field.type, field.extra) for name, field in fields}
    if struct in NAMESPACED:
        properties["namespace"] = _TEXT
    return {"type": "object", "properties": properties}


def _of_type(kind: inspect.Type, extra: Any) -> Schema:
    kind, own, _ = plain_type(kind)
    if "duration" in own or "duration" in extra:
        return dict(_DURATION)
    match kind:
        case inspect.StructType(cls=struct):
            return _of_struct(struct)
        case inspect.VarTupleType(item_type=item):
            return {"type": "array", "items": _of_type(item, {})}
        case inspect.DictType(value_type=inspect.AnyType()):
            return dict(_ANYTHING)
        case inspect.DictType(value_type=value):
            return {"type": "object", "additionalProperties": _of_type(value, {})}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer"} | ({} if kind.ge is None else {"minimum": kind.ge})
        case inspect.FloatType():
            return {"type": "number"}
    return dict(_TEXT)
