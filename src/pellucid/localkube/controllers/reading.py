"""Reading Kubernetes objects: names, owners, labels, selectors, conditions, counts that may be percentages.

Objects are the plain JSON values of the API and never changed in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


def name_of(item: Object) -> str:
    """`metadata.name`."""
    return str(item["metadata"]["name"])


def namespace_of(item: Object) -> str:
    """`metadata.namespace`; empty for a cluster-scoped object."""
    return str(item["metadata"].get("namespace", ""))


def uid_of(item: Object) -> str:
    """`metadata.uid`."""
    return str(item["metadata"].get("uid", ""))


def labels_of(item: Object) -> Mapping[str, str]:
    """`metadata.labels`, empty when absent."""
    return item["metadata"].get("labels") or {}


def annotations_of(item: Object) -> Mapping[str, str]:
    """`metadata.annotations`, empty when absent."""
    return item["metadata"].get("annotations") or {}


def spec_of(item: Object) -> Mapping[str, Any]:
    """`spec`, empty when absent."""
    return item.get("spec") or {}


def status_of(item: Object) -> Mapping[str, Any]:
    """`status`, empty when absent."""
    return item.get("status") or {}


def is_deleting(item: Object) -> bool:
    """Whether deletion has begun: `metadata.deletionTimestamp` is set."""
    return bool(item["metadata"].get("deletionTimestamp"))


def version_of(item: Object) -> int:
    """`metadata.resourceVersion` as the number it is in this cluster's own store."""
    return int(item["metadata"].get("resourceVersion") or 0)


def parse_time(text: str | None) -> datetime | None:
    """An RFC 3339 time with or without fraction; None for an absent one."""
    if not text:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as `metav1.Time` is written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def created_at(item: Object) -> str:
    """`metadata.creationTimestamp` as text, which sorts as time does."""
    return str(item["metadata"].get("creationTimestamp") or "")


def controller_of(item: Object) -> Mapping[str, Any] | None:
    """The owner reference whose `controller` is true."""
    for reference in item["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def owner_reference(owner: Object) -> Object:
    """A controlling, deletion-blocking reference to `owner`."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector (matchLabels and matchExpressions) matches; an absent one matches nothing."""
    if selector is None:
        return False
    return all(
        labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()
    ) and all(_expression_holds(expression, labels) for expression in selector.get("matchExpressions") or ())


def _expression_holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def condition(item: Object, kind: str) -> Mapping[str, Any] | None:
    """The condition of type `kind` in `status.conditions`."""
    for entry in status_of(item).get("conditions") or ():
        if entry.get("type") == kind:
            return dict(entry)
    return None


def with_condition(conditions: Iterable[Object], new: Object, now: datetime) -> list[Object]:
    """`conditions` with `new` in the place of the one of its type, or at the end.

    `lastTransitionTime` moves only when the status changes and `lastUpdateTime` (kept where the kind has
    it, which `new` shows by naming it) when anything does, so an equal condition stays equal.
    """
    kept = list(conditions)
    for position, old in enumerate(kept):
        if old["type"] != new["type"]:
            continue
        same = all(old.get(key) == new.get(key) for key in ("status", "reason", "message"))
        if same:
            return kept
        moved = old.get("status") != new["status"]
        since = format_time(now) if moved else old.get("lastTransitionTime", format_time(now))
        kept[position] = new | {"lastTransitionTime": since}
        return kept
    return [*kept, new | {"lastTransitionTime": format_time(now)}]


def without_condition(conditions: Iterable[Object], kind: str) -> list[Object]:
    """`conditions` less the one of type `kind`."""
    return [entry for entry in conditions if entry["type"] != kind]


def scaled(value: int | str, total: int, *, up: bool) -> int:
    """An IntOrString count of `total`: a number as it is, a percentage rounded up or down."""
    if isinstance(value, int):
        return value
    share = int(value.rstrip("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)
