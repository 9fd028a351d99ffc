"""The rules a well-formed object must also keep, and what each breach is called.

Source: the validation packages of Kubernetes 1.30 (pkg/apis/*/validation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pellucid.localkube.api.rules import (
    access_control,
    data,
    definitions,
    names,
    pods,
    services,
    webhooks,
    workloads,
)
from pellucid.localkube.api.rules.causes import Causes, Object, required
from pellucid.localkube.api.rules.changes import changes
from pellucid.localkube.api.status import Cause
from pellucid.localkube.types import schema as schemas
from pellucid.localkube.types.kinds import Resource
from pellucid.localkube.types.schema import Schema

_ZERO_IS_FINE = frozenset({"endpoints"})
"""Required by the schema, but Go clients leave them out when they are empty."""


def breaches(resource: Resource, value: Object, schema: Schema, old: Object | None = None) -> list[Cause]:
    """Everything wrong with an object about to be stored."""
    found = list(names.metadata(resource, value["metadata"]))
    specific = _KINDS.get(resource.stored)
    if specific is not None:
        found += specific(value)
    elif not resource.custom:
        found += _missing(value, schema, "")
    if old is not None:
        found += changes(resource, old, value)
    return found


def _missing(value: Any, schema: Schema, path: str) -> Causes:
    """Required fields, by the schema, that have no value: for kinds that have no rules of their own here."""
    node = schemas.resolved(schema)
    if isinstance(value, dict):
        for name in node.get("required", ()):
            if name not in _ZERO_IS_FINE and value.get(name) in (None, ""):
                yield required(f"{path}.{name}" if path else name)
        for name, inner in value.items():
            found = schemas.field(node, name)
            if found is not None and not (path == "" and name in ("status", "metadata")):
                yield from _missing(inner, found, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        element = schemas.items(node)
        for place, inner in enumerate(value):
            yield from _missing(inner, element, f"{path}[{place}]")


_KINDS: Mapping[tuple[str, str], Callable[[Object], Causes]] = {
    ("", "pods"): pods.pod,
    ("", "services"): services.service,
    ("", "configmaps"): data.config_map,
    ("", "secrets"): data.secret,
    ("", "persistentvolumeclaims"): data.claim,
    ("", "persistentvolumes"): data.volume,
    ("apps", "deployments"): workloads.deployment,
    ("apps", "replicasets"): workloads.replica_set,
    ("apps", "statefulsets"): workloads.stateful_set,
    ("apps", "daemonsets"): workloads.daemon_set,
    ("batch", "jobs"): workloads.job,
    ("batch", "cronjobs"): workloads.cron_job,
    ("policy", "poddisruptionbudgets"): workloads.disruption_budget,
    ("autoscaling", "horizontalpodautoscalers"): workloads.autoscaler,
    ("networking.k8s.io", "ingresses"): services.ingress,
    ("rbac.authorization.k8s.io", "roles"): access_control.role,
    ("rbac.authorization.k8s.io", "clusterroles"): access_control.cluster_role,
    ("rbac.authorization.k8s.io", "rolebindings"): access_control.role_binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): access_control.cluster_role_binding,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): webhooks.configuration,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): webhooks.configuration,
    ("apiextensions.k8s.io", "customresourcedefinitions"): definitions.definition,
}
