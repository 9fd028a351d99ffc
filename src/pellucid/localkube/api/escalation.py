"""Nobody grants what they do not have: a role's rules must be held by who writes or binds it.

Source: Kubernetes docs, "Using RBAC Authorization - Privilege escalation prevention and bootstrapping".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import msgspec

from pellucid.localkube.api.access import MASTERS, Access, Attributes
from pellucid.localkube.api.admission import Review, User
from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.status import forbidden, not_found
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Resource,
)

_LISTS = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
_SHOWN = (
    ("APIGroups", "apiGroups"),
    ("Resources", "resources"),
    ("ResourceNames", "resourceNames"),
    ("NonResourceURLs", "nonResourceURLs"),
    ("Verbs", "verbs"),
)


class Escalation:
    """Looks at every role and binding about to be stored."""

    def __init__(self, resources: Resources, access: Access) -> None:
        self._resources = resources
        self._access = access

    def check(self, review: Review) -> None:
        """Raises ApiError 403 for what the caller may not grant, 404 for a role that is not there."""
        user, value = review.options.user, review.object
        if value is None or MASTERS in user.groups:
            return
        if review.resource.stored in (ROLES.stored, CLUSTER_ROLES.stored):
            if value.get("rules") != (review.old or {}).get("rules"):
                self._check(review, value.get("rules") or [], "escalate", review.resource, review.name)
        elif review.resource.stored in (ROLE_BINDINGS.stored, CLUSTER_ROLE_BINDINGS.stored):
            role = value["roleRef"]
            kind = CLUSTER_ROLES if role["kind"] == "ClusterRole" else ROLES
            if self._resources.peek(kind, review.namespace, role["name"]) is None:
                raise not_found(kind, role["name"])
            self._check(review, self._access.role_rules(role, review.namespace), "bind", kind, role["name"])

    def _check(self, review: Review, granted: Sequence[Object], verb: str, role: Resource, name: str) -> None:
        user = review.options.user
        place = review.namespace if role.namespaced or review.resource.namespaced else ""
        if self._access.allowed(user, Attributes(verb, role.group, role.plural, "", place, name)):
            return
        held = list(self._access.rules(user, review.namespace))
        lacking = [one for rule in granted for one in _single(rule) if not _covered(one, held)]
        if lacking:
            raise forbidden(review.resource, review.name, _attempt(user, lacking))


def _attempt(user: User, lacking: Sequence[Object]) -> str:
    groups = msgspec.json.encode(list(user.groups)).decode().replace(",", " ")
    listed = "\n".join(dict.fromkeys(_told(one) for one in lacking))
    return (
        f'user "{user.name}" (groups={groups}) is attempting to grant RBAC permissions not currently held:\n'
        f"{listed}"
    )


def _told(rule: Object) -> str:
    parts = [f"{go}:{msgspec.json.encode(rule[name]).decode()}" for go, name in _SHOWN if rule.get(name)]
    return f"{{{', '.join(parts)}}}"


def _single(rule: Object) -> Iterator[Object]:
    """The rule as rules of one verb on one resource (or path) each."""
    present = [(name, rule[name]) for name in _LISTS if rule.get(name)]
    for choice in product(*(values for _, values in present)):
        yield {name: [one] for (name, _), one in zip(present, choice, strict=True)}


def _covered(single: Object, held: Sequence[Object]) -> bool:
    return any(_covers(rule, single) for rule in held)


def _covers(rule: Object, single: Object) -> bool:
    if not _has(rule.get("verbs") or (), single["verbs"][0]):
        return False
    if "nonResourceURLs" in single:
        wanted = single["nonResourceURLs"][0]
        return any(
            one in ("*", wanted) or (one.endswith("*") and wanted.startswith(one[:-1]))
            for one in rule.get("nonResourceURLs") or ()
        )
    resource = (single.get("resources") or [""])[0]
    resources = rule.get("resources") or ()
    below = f"*/{resource.split('/', 1)[1]}" if "/" in resource else resource
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups") or (), (single.get("apiGroups") or [""])[0])
        and (_has(resources, resource) or below in resources)
        and (not names or (single.get("resourceNames") or [""])[0] in names)
    )


def _has(listed: Sequence[str], wanted: str) -> bool:
    return wanted in listed or "*" in listed
