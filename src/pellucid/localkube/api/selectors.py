"""Label and field selectors.

Source: Kubernetes docs, "Labels and Selectors" and "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pellucid.localkube.api.status import ApiError, bad_request
from pellucid.localkube.types.kinds import Resource

Object = dict[str, Any]
Labels = Mapping[str, str]
LabelTest = Callable[[Labels], bool]
ObjectTest = Callable[[Object], bool]

_KEY, _VALUE = r"[-A-Za-z0-9_./]+", r"[-A-Za-z0-9_.]*"
_SET = re.compile(rf"^({_KEY})\s+(in|notin)\s+\(([-A-Za-z0-9_.,\s]*)\)$")
_EQUALITY = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*({_VALUE})$")
_EXISTENCE = re.compile(rf"^(!?)\s*({_KEY})$")

_FIELDS: Mapping[tuple[str, str], frozenset[str]] = {
    ("", "pods"): frozenset(
        {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        }
    ),
    ("", "events"): frozenset(
        {
            *(
                f"involvedObject.{name}"
                for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
            ),
            "reason",
            "reportingComponent",
            "source",
            "type",
        }
    ),
    ("", "secrets"): frozenset({"type"}),
    ("", "namespaces"): frozenset({"status.phase"}),
    ("", "nodes"): frozenset({"spec.unschedulable"}),
    ("", "services"): frozenset({"spec.clusterIP", "spec.type"}),
    ("batch", "jobs"): frozenset({"status.successful"}),
    ("apps", "replicasets"): frozenset({"status.replicas"}),
}


def label_test(text: str) -> LabelTest:
    """The test a label selector stands for. Raises ApiError 400."""
    tests = [_label_requirement(part, text) for part in _split(text)]
    return lambda labels: all(test(labels) for test in tests)


def selector_test(selector: Mapping[str, Any] | None) -> LabelTest:
    """The test of a LabelSelector object; none at all matches nothing, an empty one everything."""
    if selector is None:
        return lambda labels: False
    wanted = selector.get("matchLabels") or {}
    expressions = [_expression(one) for one in selector.get("matchExpressions") or ()]
    return lambda labels: (
        all(labels.get(key) == value for key, value in wanted.items())
        and all(test(labels) for test in expressions)
    )


def object_test(resource: Resource, label_selector: str = "", field_selector: str = "") -> ObjectTest:
    """The test both selectors of a request stand for. Raises ApiError 400."""
    by_label = label_test(label_selector) if label_selector else None
    fields = [_field_requirement(resource, part) for part in _split(field_selector)]

    def test(found: Object) -> bool:
        if by_label is not None and not by_label(found["metadata"].get("labels") or {}):
            return False
        return all(one(found) for one in fields)

    return test


def _split(text: str) -> list[str]:
    """The comma-separated requirements, minding the commas of sets."""
    parts = re.split(r",(?![^(]*\))", text)
    return [part.strip() for part in parts if part.strip()]


def _label_requirement(part: str, whole: str) -> LabelTest:
    if found := _SET.match(part):
        key, operator, listed = found.groups()
        values = frozenset(value.strip() for value in listed.split(","))
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUALITY.match(part):
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTENCE.match(part):
        absent, key = found.groups()
        return (lambda labels: key not in labels) if absent else (lambda labels: key in labels)
    raise _unparsable(whole, part)


def _unparsable(whole: str, part: str) -> ApiError:
    return bad_request(f"unable to parse requirement: found '{part}' in label selector \"{whole}\"")


def _expression(expression: Mapping[str, Any]) -> LabelTest:
    key, values = expression["key"], frozenset(expression.get("values") or ())
    match expression["operator"]:
        case "In":
            return lambda labels: labels.get(key) in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case other:
            raise bad_request(f'"{other}" is not a valid label selector operator')


def _field_requirement(resource: Resource, part: str) -> ObjectTest:
    found = re.match(r"^([^=!]+)(!=|==|=)(.*)$", part)
    if not found:
        raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
    path, operator, wanted = found.groups()
    known = {*_FIELDS.get(resource.stored, ()), *resource.selectable, "metadata.name", "metadata.namespace"}
    if path not in known:
        raise bad_request(f"field label not supported: {path}")
    steps = tuple(path.split("."))
    equal = operator != "!="
    return lambda found_object: (_field_value(found_object, steps) == wanted) is equal


def _field_value(found: Object, steps: tuple[str, ...]) -> str:
    value: Any = found
    if steps == ("source",):
        return str((found.get("source") or {}).get("component", ""))
    for step in steps:
        if not isinstance(value, dict):
            return ""
        value = value.get(step)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return {"unschedulable": "false", "hostNetwork": "false"}.get(steps[-1], "")
    return str(value)
