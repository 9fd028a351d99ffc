"""Discovery: which groups, versions, resources and verbs there are, in both forms.

Source: Kubernetes docs, "API Discovery"; the aggregated form is apidiscovery.k8s.io/v2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.localkube.types.kinds import Resource

Object = dict[str, Any]

AGGREGATED = ("v2", "v2beta1")


def aggregated_version(accept: str) -> str:
    """The version of the aggregated form a client prefers; empty if it takes only the plain one."""
    for part in accept.split(","):
        named = (item.strip().partition("=") for item in part.split(";")[1:])
        fields = {name: value for name, _, value in named}
        if fields.get("as") == "APIGroupDiscoveryList" and fields.get("v") in AGGREGATED:
            return fields["v"]
        if not fields and part.strip() in ("application/json", "*/*"):
            return ""
    return ""


def by_group(resources: Iterable[Resource]) -> dict[str, dict[str, list[Resource]]]:
    """Group -> version -> resources, in the order given."""
    groups: dict[str, dict[str, list[Resource]]] = {}
    for resource in resources:
        groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    return groups


def aggregated(resources: Sequence[Resource], version: str, *, core: bool) -> Object:
    """The whole of `/api` or `/apis` in one answer."""
    items = []
    for group, versions in by_group(resources).items():
        if (group == "") is core:
            described = [
                {"version": name, "freshness": "Current", "resources": [_described(one) for one in served]}
                for name, served in versions.items()
            ]
            metadata: Object = {"name": group} if group else {}
            items.append({"metadata": metadata, "versions": described})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def _described(resource: Resource) -> Object:
    described: Object = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular_name,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        described["shortNames"] = list(resource.short_names)
    if resource.categories:
        described["categories"] = list(resource.categories)
    subresources = [
        {
            "subresource": one.name,
            "responseKind": _kind(one.group, one.version, one.kind),
            "verbs": list(one.verbs),
        }
        for one in resource.all_subresources()
    ]
    if subresources:
        described["subresources"] = subresources
    return described


def versions(address: str) -> Object:
    """`/api` in the plain form."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group(name: str, served: Iterable[str]) -> Object:
    """`/apis/<group>` in the plain form, the preferred version first."""
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in served]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(resources: Sequence[Resource]) -> Object:
    """`/apis` in the plain form."""
    named = [group(name, served) for name, served in by_group(resources).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}


def resource_list(api_version: str, resources: Iterable[Resource]) -> Object:
    """`/api/v1` or `/apis/<group>/<version>`."""
    listed: list[Object] = []
    for resource in resources:
        entry: Object = {
            "name": resource.plural,
            "singularName": resource.singular_name,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        listed.append(entry)
        for one in resource.all_subresources():
            below: Object = {
                "name": f"{resource.plural}/{one.name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": one.kind,
                "verbs": list(one.verbs),
            }
            if (one.group, one.version) != (resource.group, resource.version):
                below = {**below, "group": one.group, "version": one.version}
            listed.append(below)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": listed,
    }
