"""What every cluster has from the start: its namespaces and its built-in roles.

Source: Kubernetes docs, "Using RBAC Authorization - Default roles and role bindings".
"""

from __future__ import annotations

from typing import Any

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import (
    BUILT_IN,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    Resource,
)

Object = dict[str, Any]

INITIAL_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_DEFAULTS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]


def _rule(verbs: list[str], groups: list[str], resources: list[str]) -> Object:
    return {"verbs": verbs, "apiGroups": groups, "resources": resources}


def _namespaced(but: frozenset[Resource]) -> list[Object]:
    """One rule per group for everything in a namespace, subresources included."""
    groups: dict[str, list[str]] = {}
    for one in BUILT_IN:
        if one.namespaced and one not in but and "list" in one.verbs:
            listed = groups.setdefault(one.group, [])
            listed.append(one.plural)
            listed += [f"{one.plural}/{sub.name}" for sub in one.all_subresources() if sub.name != "token"]
    return [_rule([], [group], sorted(set(listed))) for group, listed in groups.items()]


def _with(verbs: list[str], rules: list[Object]) -> list[Object]:
    return [{**rule, "verbs": verbs} for rule in rules]


def _roles() -> dict[str, list[Object]]:
    access = frozenset({ROLES, ROLE_BINDINGS})
    everything = [_rule(["*"], ["*"], ["*"]), {"verbs": ["*"], "nonResourceURLs": ["*"]}]
    reviews = [
        _rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]),
        _rule(["create"], ["authorization.k8s.io"], ["subjectaccessreviews"]),
    ]
    return {
        "cluster-admin": everything,
        "system:aggregate-to-admin": _with(_READ + _WRITE, _namespaced(frozenset())),
        "system:aggregate-to-edit": _with(_READ + _WRITE, _namespaced(access)),
        "system:aggregate-to-view": _with(_READ, _namespaced(access | {SECRETS})),
        "system:auth-delegator": reviews,
    }


def _aggregated(name: str, rules: list[Object]) -> Object:
    """One of the roles for people: the union of all that are labelled to be part of it."""
    selector = {"matchLabels": {f"{_AGGREGATE}{name}": "true"}}
    return {
        "metadata": {"name": name, "labels": _DEFAULTS},
        "aggregationRule": {"clusterRoleSelectors": [selector]},
        "rules": rules,
    }


async def bootstrap(resources: Resources) -> None:
    """Make what is missing; what is there stays as it is."""
    for name in INITIAL_NAMESPACES:
        await _ensure(resources, NAMESPACES, {"metadata": {"name": name}})
    for name, rules in _roles().items():
        part = name.removeprefix("system:aggregate-to-")
        part_of = {f"{_AGGREGATE}{part}": "true"} if part != name else {}
        role = {"metadata": {"name": name, "labels": {**_DEFAULTS, **part_of}}, "rules": rules}
        await _ensure(resources, CLUSTER_ROLES, role)
        if part_of:
            await _ensure(resources, CLUSTER_ROLES, _aggregated(part, rules))
    binding = {
        "metadata": {"name": "cluster-admin", "labels": _DEFAULTS},
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "Group", "name": "system:masters"}],
    }
    await _ensure(resources, CLUSTER_ROLE_BINDINGS, binding)


async def _ensure(resources: Resources, resource: Resource, wanted: Object) -> None:
    if resources.peek(resource, "", wanted["metadata"]["name"]) is not None:
        return
    try:
        await resources.create(resource, "", wanted)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
