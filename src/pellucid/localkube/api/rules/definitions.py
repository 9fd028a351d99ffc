"""Rules of CustomResourceDefinitions.

Source: apiextensions-apiserver's pkg/apis/apiextensions/validation, Kubernetes 1.30.
"""

from __future__ import annotations

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    Shown,
    bad,
    duplicate,
    required,
    unsupported,
)


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


def _versions(spec: Object) -> Causes:
    versions = spec.get("versions") or ()
    seen: set[str] = set()
    for place, version in enumerate(versions):
        field, name = f"spec.versions[{place}]", version.get("name", "")
        yield from names.service_name(f"{field}.name", name)
        if name in seen:
            yield duplicate(f"{field}.name", name)
        seen.add(name)
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(f"{field}.schema.openAPIV3Schema", "schemas are required")
    if sum(1 for version in versions if version.get("storage")) != 1:
        told = Shown(", ".join(f'{{"name":"{version.get("name", "")}"}}' for version in versions))
        yield bad("spec.versions", told, "must have exactly one version marked as storage version")
