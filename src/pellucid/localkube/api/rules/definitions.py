"""Rules of CustomResourceDefinitions.

Source: apiextensions-apiserver's pkg/apis/apiextensions/validation, Kubernetes 1.30.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    Shown,
    bad,
    duplicate,
    forbidden,
    one_of,
    required,
    unsupported,
)
from pellucid.localkube.api.status import Cause
from pellucid.localkube.types.custom import custom_breaches
from pellucid.localkube.types.custom_rules import wrong_rules

TYPES = ("array", "boolean", "integer", "number", "object", "string")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")


def definition(value: Object) -> Causes:
    """A CustomResourceDefinition."""
    spec = value.get("spec") or {}
    stated = spec.get("names") or {}
    expected = f"{stated.get('plural', '')}.{spec.get('group', '')}"
    if value["metadata"].get("name") != expected:
        why = 'must be spec.names.plural+"."+spec.group'
        yield bad("metadata.name", value["metadata"].get("name", ""), why)
    if not spec.get("group"):
        yield required("spec.group")
    elif len(spec["group"].split(".")) < 2:
        yield bad("spec.group", spec["group"], "should be a domain with at least one dot")
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield unsupported("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
    for name in ("plural", "singular", "kind", "listKind"):
        if not stated.get(name):
            yield required(f"spec.names.{name}")
        else:
            yield from names.service_name(f"spec.names.{name}", stated[name].lower())
    yield from _versions(spec)
    yield from _conversion(spec.get("conversion") or {})


def _versions(spec: Object) -> Causes:
    versions = spec.get("versions") or ()
    seen: set[str] = set()
    for place, version in enumerate(versions):
        field, name = f"spec.versions[{place}]", version.get("name", "")
        yield from names.service_name(f"{field}.name", name)
        if name in seen:
            yield duplicate(f"{field}.name", name)
        seen.add(name)
        stated = (version.get("schema") or {}).get("openAPIV3Schema")
        if not stated:
            yield required(f"{field}.schema.openAPIV3Schema", "schemas are required")
        else:
            yield from _root(stated, f"{field}.schema.openAPIV3Schema")
        yield from _scale((version.get("subresources") or {}).get("scale"), f"{field}.subresources.scale")
        for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
            yield from _column(column, f"{field}.additionalPrinterColumns[{number}]")
    if sum(1 for version in versions if version.get("storage")) != 1:
        told = Shown(", ".join(f'{{"name":"{version.get("name", "")}"}}' for version in versions))
        yield bad("spec.versions", told, "must have exactly one version marked as storage version")


def _scale(stated: Object | None, field: str) -> Causes:
    if stated is None:
        return
    for name, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        path = stated.get(name, "")
        if not path:
            yield required(f"{field}.{name}")
        elif not path.startswith(root):
            yield bad(f"{field}.{name}", path, f"should be a json path under {root[:-1]}")


def _column(stated: Object, field: str) -> Causes:
    for name in ("name", "type", "jsonPath"):
        if not stated.get(name):
            yield required(f"{field}.{name}")
    if stated.get("type"):
        yield from one_of(f"{field}.type", stated["type"], COLUMN_TYPES)


def _conversion(stated: Object) -> Causes:
    strategy, webhook = stated.get("strategy", "None"), stated.get("webhook") or {}
    yield from one_of("spec.conversion.strategy", strategy, ("None", "Webhook"))
    if strategy == "Webhook":
        if not webhook.get("clientConfig"):
            why = "required when strategy is set to Webhook"
            yield required("spec.conversion.webhookClientConfig", why)
        if not webhook.get("conversionReviewVersions"):
            yield required("spec.conversion.conversionReviewVersions")


def _root(schema: Mapping[str, Any], path: str) -> Causes:
    if not schema.get("type"):
        yield required(f"{path}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        yield bad(f"{path}.type", schema["type"], "must be object at the root")
    yield from _schema(schema, path)
    for found in wrong_rules(schema, path):
        yield Cause(*found)


def _schema(schema: Mapping[str, Any], path: str) -> Causes:
    """A structural schema. Source: Kubernetes docs, "Specifying a structural schema"."""
    kind = schema.get("type")
    if kind:
        yield from one_of(f"{path}.type", kind, TYPES)
    if schema.get("properties") and schema.get("additionalProperties"):
        why = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", why)
    if kind == "array" and not schema.get("items"):
        yield required(f"{path}.items", "must be specified")
    if schema.get("x-kubernetes-list-type") == "map" and not schema.get("x-kubernetes-list-map-keys"):
        why = "must not be empty if x-kubernetes-list-type is map"
        yield required(f"{path}.x-kubernetes-list-map-keys", why)
    if schema.get("pattern"):
        yield from _pattern(schema["pattern"], f"{path}.pattern")
    if schema.get("default") is not None:
        for found in custom_breaches(schema["default"], schema, f"{path}.default"):
            yield Cause(*found)
    for name, inner in (schema.get("properties") or {}).items():
        yield from _typed(inner, f"{path}.properties[{name}]", "object fields")
    for name, where in (("items", "array items"), ("additionalProperties", "object fields")):
        if isinstance(schema.get(name), Mapping):
            yield from _typed(schema[name], f"{path}.{name}", where)


def _typed(schema: Mapping[str, Any], path: str, where: str) -> Causes:
    untyped = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not any(schema.get(one) for one in untyped):
        yield required(f"{path}.type", f"must not be empty for specified {where}")
    yield from _schema(schema, path)


def _pattern(pattern: str, field: str) -> Causes:
    try:
        re.compile(pattern)
    except re.error as error:
        yield bad(field, pattern, f"must be a valid regular expression, but isn't: {error}")
