"""Rules of roles and bindings. Source: pkg/apis/rbac/validation, Kubernetes 1.30."""

from __future__ import annotations

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import Causes, Object, bad, required, unsupported
from pellucid.localkube.api.rules.workloads import label_selector

GROUP = "rbac.authorization.k8s.io"


def role(value: Object) -> Causes:
    """A Role."""
    for place, rule in enumerate(value.get("rules") or ()):
        yield from _rule(rule, f"rules[{place}]", namespaced=True)


def cluster_role(value: Object) -> Causes:
    """A ClusterRole."""
    for place, rule in enumerate(value.get("rules") or ()):
        yield from _rule(rule, f"rules[{place}]", namespaced=False)
    aggregation = value.get("aggregationRule")
    if aggregation is not None:
        field = "aggregationRule.clusterRoleSelectors"
        if not aggregation.get("clusterRoleSelectors"):
            why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            yield required(field, why)
        for place, selector in enumerate(aggregation.get("clusterRoleSelectors") or ()):
            yield from label_selector(selector, f"{field}[{place}]")


def _rule(rule: Object, path: str, *, namespaced: bool) -> Causes:
    if not rule.get("verbs"):
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs") or []
    if urls:
        if namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            yield bad(f"{path}.nonResourceURLs", urls, why)
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield bad(f"{path}.nonResourceURLs", urls, why)
        return
    if not rule.get("apiGroups"):
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def role_binding(value: Object) -> Causes:
    """A RoleBinding."""
    yield from _binding(value, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding(value: Object) -> Causes:
    """A ClusterRoleBinding."""
    yield from _binding(value, ("ClusterRole",), namespaced=False)


def _binding(value: Object, kinds: tuple[str, ...], *, namespaced: bool) -> Causes:
    referred = value.get("roleRef") or {}
    if referred.get("apiGroup") != GROUP:
        yield unsupported("roleRef.apiGroup", referred.get("apiGroup", ""), (GROUP,))
    if referred.get("kind") not in kinds:
        yield unsupported("roleRef.kind", referred.get("kind", ""), kinds)
    if not referred.get("name"):
        yield required("roleRef.name")
    for place, subject in enumerate(value.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{place}]", namespaced=namespaced)


def _subject(subject: Object, path: str, *, namespaced: bool) -> Causes:
    if not subject.get("name"):
        yield required(f"{path}.name")
    kind, group = subject.get("kind"), subject.get("apiGroup", "")
    if kind == "ServiceAccount":
        if subject.get("name"):
            yield from names.subdomain_name(f"{path}.name", subject["name"])
        if group:
            yield unsupported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        if group != GROUP:
            yield unsupported(f"{path}.apiGroup", group, (GROUP,))
    else:
        yield unsupported(f"{path}.kind", kind or "", ("ServiceAccount", "User", "Group"))
