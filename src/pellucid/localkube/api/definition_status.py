"""The status of a CustomResourceDefinition: whether its names are free, and whether it is served.

Source: apiextensions-apiserver's naming and establishing controllers, Kubernetes 1.30.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pellucid.localkube.api.objects import Object
from pellucid.localkube.types.kinds import BUILT_IN


def with_status(definition: Object, others: Iterable[Object], now: str) -> Object:
    """The definition with its status. others: the other definitions. now: RFC 3339."""
    spec, before = definition.get("spec") or {}, definition.get("status") or {}
    taken = list(_conflicts(spec, others))
    reason, message = taken[0] if taken else ("NoConflicts", "no conflicts found")
    accepted = _condition("NamesAccepted", not taken, reason, message)
    if taken and not _is_established(before):
        established = _condition("Established", False, "NotAccepted", "not all names are accepted")
    else:
        text = "the initial names have been accepted"
        established = _condition("Established", True, "InitialNamesAccepted", text)
    had = {one["type"]: one for one in before.get("conditions") or ()}
    current = [accepted, established]
    if "deletionTimestamp" in definition["metadata"]:
        text = "CustomResource deletion is in progress"
        current.append(_condition("Terminating", True, "InstanceDeletionInProgress", text))
    told = {one["type"] for one in current}
    kept = [one for kind, one in had.items() if kind not in told]
    storage = [one["name"] for one in spec.get("versions") or () if one.get("storage")]
    stored = before.get("storedVersions") or []
    status = {
        **before,
        "conditions": [*(_since(one, had.get(one["type"]), now) for one in current), *kept],
        "acceptedNames": before.get("acceptedNames", {}) if taken else spec.get("names") or {},
        "storedVersions": [*stored, *(name for name in storage if name not in stored)],
    }
    return {**definition, "status": status}


def _is_established(status: Object) -> bool:
    conditions = status.get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _conflicts(spec: Object, others: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """Reason and message for every name that another kind of the group has."""
    names, kinds, plurals = spec.get("names") or {}, set[str](), set[str]()
    for other in others:
        if other["spec"].get("group") == spec.get("group"):
            accepted = (other.get("status") or {}).get("acceptedNames") or {}
            kinds |= {accepted.get("kind", ""), accepted.get("listKind", "")}
            plurals |= {accepted.get("plural", ""), accepted.get("singular", "")}
            plurals |= set(accepted.get("shortNames") or ())
    for one in BUILT_IN:
        if one.group == spec.get("group"):
            kinds.add(one.kind)
            plurals.add(one.plural)
    stated = (
        ("PluralConflict", plurals, [names.get("plural")]),
        ("SingularConflict", plurals, [names.get("singular")]),
        ("ShortNamesConflict", plurals, names.get("shortNames") or []),
        ("KindConflict", kinds, [names.get("kind")]),
        ("ListKindConflict", kinds, [names.get("listKind")]),
    )
    for reason, taken, wanted in stated:
        for name in wanted:
            if name and name in taken:
                yield reason, f'"{name}" is already in use'


def _condition(kind: str, true: bool, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True" if true else "False", "reason": reason, "message": message}


def _since(condition: Object, before: Object | None, now: str) -> Object:
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime", now) if same and before is not None else now
    return {**condition, "lastTransitionTime": since}
