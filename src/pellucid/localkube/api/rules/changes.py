"""What may not be changed once it is there. Source: the update validations of Kubernetes 1.30."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    Shown,
    bad,
    forbidden,
    shown_selector,
)
from pellucid.localkube.types.kinds import Resource
from pellucid.localkube.types.quantities import QuantityError, quantity

IMMUTABLE = "field is immutable"
_POD_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
    "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)
_STATEFUL_TEXT = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
    "are forbidden"
)
_CLAIM_TEXT = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
    "claims"
)


def changes(resource: Resource, old: Object, new: Object) -> Causes:
    """Everything that a change of an object may not do."""
    check = _CHECKS.get(resource.stored)
    if check is not None:
        yield from check(old, new)


def _specs(old: Object, new: Object) -> tuple[Object, Object]:
    return old.get("spec") or {}, new.get("spec") or {}


def _selector(old: Object, new: Object) -> Causes:
    before, after = _specs(old, new)
    if before.get("selector") != after.get("selector"):
        yield bad("spec.selector", shown_selector(after.get("selector") or {}), IMMUTABLE)


def _job(old: Object, new: Object) -> Causes:
    before, after = _specs(old, new)
    yield from _selector(old, new)
    for name in ("completions", "completionMode", "template", "podFailurePolicy", "backoffLimitPerIndex"):
        waiting = (
            name == "template" and before.get("suspend") and not (old.get("status") or {}).get("startTime")
        )
        if before.get(name) != after.get(name) and not waiting:
            yield bad(f"spec.{name}", after.get(name), IMMUTABLE)


def _stateful_set(old: Object, new: Object) -> Causes:
    movable = {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
    before, after = _specs(old, new)
    if any(before.get(name) != after.get(name) for name in (set(before) | set(after)) - movable):
        yield forbidden("spec", _STATEFUL_TEXT)


def _data(old: Object, new: Object) -> Causes:
    if old.get("type") != new.get("type"):
        yield bad("type", new.get("type", ""), IMMUTABLE)
    if not old.get("immutable"):
        return
    for name in ("data", "binaryData"):
        if (old.get(name) or {}) != (new.get(name) or {}):
            yield forbidden(name, "field is immutable when `immutable` is set")
    if not new.get("immutable"):
        yield forbidden("immutable", "field is immutable when `immutable` is set")


def _binding(old: Object, new: Object) -> Causes:
    referred = new.get("roleRef") or {}
    if old.get("roleRef") != referred:
        pairs = (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))
        told = ", ".join(f'{go}:"{referred.get(name, "")}"' for go, name in pairs)
        yield bad("roleRef", Shown(f"rbac.RoleRef{{{told}}}"), "cannot change roleRef")


def _claim(old: Object, new: Object) -> Causes:
    before, after = _specs(old, new)
    bound = (old.get("status") or {}).get("phase") == "Bound"
    movable = {"resources", "volumeAttributesClassName"} if bound else set()
    # Binding names the volume, and the default class if the claim left it open.
    movable |= {name for name in ("volumeName", "storageClassName") if before.get(name) is None}
    if any(before.get(name) != after.get(name) for name in (set(before) | set(after)) - movable):
        yield forbidden("spec", _CLAIM_TEXT)
    elif _requested(after) < _requested(before):
        yield forbidden("spec.resources.requests.storage", "field can not be less than previous value")


def _requested(spec: Mapping[str, Any]) -> float:
    stated = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
    try:
        return float(quantity(str(stated)))
    except QuantityError:
        return 0.0


def _storage_class(old: Object, new: Object) -> Causes:
    for name in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"):
        if old.get(name) != new.get(name):
            yield forbidden(name, f"updates to {name} are forbidden.")


def _priority_class(old: Object, new: Object) -> Causes:
    if old.get("value") != new.get("value"):
        yield forbidden("value", "may not be changed in an update.")


def _pod(old: Object, new: Object) -> Causes:
    before, after = _specs(old, new)
    movable = {"activeDeadlineSeconds", "terminationGracePeriodSeconds", "ephemeralContainers", "tolerations"}
    if not before.get("nodeName"):
        movable |= {"nodeName"}
    kept = [one for one in before.get("tolerations") or () if one not in (after.get("tolerations") or ())]
    if kept or _fixed(before, movable) != _fixed(after, movable):
        yield forbidden("spec", _POD_TEXT)


def _fixed(spec: Object, movable: set[str]) -> Object:
    kept = {key: value for key, value in spec.items() if key not in movable}
    for group in ("containers", "initContainers"):
        kept[group] = [
            {key: value for key, value in one.items() if key not in ("image", "resources", "resizePolicy")}
            for one in spec.get(group) or ()
        ]
    return kept


def _definition(old: Object, new: Object) -> Causes:
    before, after = _specs(old, new)
    for path in (("group",), ("scope",), ("names", "plural"), ("names", "kind")):
        one, other = _at(before, path), _at(after, path)
        if one != other:
            yield bad(f"spec.{'.'.join(path)}", other, IMMUTABLE)
    stored = (old.get("status") or {}).get("storedVersions") or ()
    listed = [version.get("name") for version in after.get("versions") or ()]
    for place, name in enumerate(stored):
        if name not in listed:
            why = "must appear in spec.versions"
            yield bad(f"status.storedVersions[{place}]", name, why)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = (value or {}).get(step)
    return value


_CHECKS: Mapping[tuple[str, str], Callable[[Object, Object], Causes]] = {
    ("", "pods"): _pod,
    ("", "configmaps"): _data,
    ("", "secrets"): _data,
    ("", "persistentvolumeclaims"): _claim,
    ("apps", "deployments"): _selector,
    ("apps", "replicasets"): _selector,
    ("apps", "daemonsets"): _selector,
    ("apps", "statefulsets"): _stateful_set,
    ("batch", "jobs"): _job,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("storage.k8s.io", "storageclasses"): _storage_class,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
}
