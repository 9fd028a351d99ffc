"""Role-based access control: who may do what.

Source: Kubernetes docs, "Using RBAC Authorization".
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pellucid.localkube.api.admission import User
from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)

MASTERS = "system:masters"


class Attributes(msgspec.Struct, frozen=True):
    """What somebody is about to do: a verb on a resource, or on a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def qualified(self) -> str:
        """`pods` or `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Access:
    """Decides by the roles and bindings the cluster has now."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def allowed(self, user: User, wanted: Attributes) -> bool:
        """Whether any rule bound to the user or one of its groups allows it."""
        return MASTERS in user.groups or self.granted_by(user, wanted) is not None

    def granted_by(self, user: User, wanted: Attributes) -> str | None:
        """The binding and role that allow it, in words; None if none do."""
        for binding, subject, rule in self._bound(user, wanted.namespace):
            if _allows(rule, wanted):
                role, meta = binding["roleRef"], binding["metadata"]
                place = meta.get("namespace")
                kind = "RoleBinding" if place else "ClusterRoleBinding"
                name = f"{meta['name']}/{place}" if place else meta["name"]
                to = f'{subject["kind"]} "{_subject_name(subject)}"'
                return f'RBAC: allowed by {kind} "{name}" of {role["kind"]} "{role["name"]}" to {to}'
        return None

    def rules(self, user: User, namespace: str) -> Iterator[Object]:
        """Every rule that applies to a user, cluster-wide and in a namespace."""
        return (rule for _, _, rule in self._bound(user, namespace))

    def _bound(self, user: User, namespace: str) -> Iterator[tuple[Object, Object, Object]]:
        """Binding, subject and rule of all that is bound to a user."""
        bindings = list(self._resources.select(CLUSTER_ROLE_BINDINGS)[1])
        if namespace:
            bindings += self._resources.select(ROLE_BINDINGS, namespace)[1]
        for binding in bindings:
            subjects = (one for one in binding.get("subjects") or () if _is(user, one, namespace))
            subject = next(subjects, None)
            if subject is not None:
                for rule in self.role_rules(binding["roleRef"], namespace):
                    yield binding, subject, rule

    def role_rules(self, role: Object, namespace: str) -> list[Object]:
        """The rules of the role a binding refers to; none if there is no such role."""
        resource = CLUSTER_ROLES if role["kind"] == "ClusterRole" else ROLES
        found = self._resources.peek(resource, namespace, role["name"])
        return [] if found is None else list(found.get("rules") or ())


def _subject_name(subject: Object) -> str:
    place = subject.get("namespace")
    return f"{subject['name']}/{place}" if place else str(subject["name"])


def refusal(user: User, wanted: Attributes) -> str:
    """Why not, as the API says it."""
    if wanted.path:
        return f'User "{user.name}" cannot {wanted.verb} path "{wanted.path}"'
    place = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    return (
        f'User "{user.name}" cannot {wanted.verb} resource "{wanted.qualified}" in API group '
        f'"{wanted.group}" {place}'
    )


def _is(user: User, subject: Object, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            of = subject.get("namespace", namespace)
            return user.name == f"system:serviceaccount:{of}:{subject['name']}"
    return False


def _allows(rule: Object, wanted: Attributes) -> bool:
    verbs = rule.get("verbs") or ()
    if wanted.verb not in verbs and "*" not in verbs:
        return False
    if wanted.path:
        return any(
            path == wanted.path or (path.endswith("*") and wanted.path.startswith(path[:-1]))
            for path in rule.get("nonResourceURLs") or ()
        )
    groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
    if wanted.group not in groups and "*" not in groups:
        return False
    possible = {wanted.qualified, "*"} | ({f"*/{wanted.subresource}"} if wanted.subresource else set())
    if not possible & set(resources):
        return False
    names = rule.get("resourceNames") or ()
    return not names or wanted.name in names
