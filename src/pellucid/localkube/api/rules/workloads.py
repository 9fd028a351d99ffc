"""Rules of what makes pods.

Source: pkg/apis/apps/validation and pkg/apis/batch/validation, Kubernetes 1.30.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from typing import Any

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    bad,
    forbidden,
    not_negative,
    one_of,
    required,
    shown_int_or_string,
    shown_selector,
    unsupported,
)
from pellucid.localkube.api.rules.pods import template
from pellucid.localkube.api.selectors import selector_test

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
LONGEST_CRON_JOB_NAME = 52
"""Eleven characters are kept for what is added to the names of its jobs."""
_CRON_RANGES = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)


def deployment(value: Object) -> Causes:
    """A Deployment."""
    spec = value.get("spec") or {}
    yield from _replicated(value)
    yield from _strategy(spec.get("strategy") or {}, "spec.strategy", ("Recreate", "RollingUpdate"))
    yield from not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    yield from not_negative("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= ready:
        yield bad("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def replica_set(value: Object) -> Causes:
    """A ReplicaSet."""
    yield from _replicated(value)


def stateful_set(value: Object) -> Causes:
    """A StatefulSet."""
    spec = value.get("spec") or {}
    yield from _replicated(value)
    policies = ("OrderedReady", "Parallel")
    yield from one_of("spec.podManagementPolicy", spec.get("podManagementPolicy"), policies)
    kind = (spec.get("updateStrategy") or {}).get("type")
    yield from one_of("spec.updateStrategy.type", kind, ("RollingUpdate", "OnDelete"))


def daemon_set(value: Object) -> Causes:
    """A DaemonSet."""
    spec = value.get("spec") or {}
    yield from _replicated(value)
    strategy = spec.get("updateStrategy") or {}
    yield from _strategy(strategy, "spec.updateStrategy", ("OnDelete", "RollingUpdate"))


def _replicated(value: Object) -> Causes:
    spec = value.get("spec") or {}
    made = spec.get("template") or {}
    labels = (made.get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    yield from not_negative("spec.replicas", spec.get("replicas"))
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    if selector is None:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        why = f"empty selector is invalid for {value['kind'].lower()}"
        yield bad("spec.selector", shown_selector(selector), why)
    else:
        yield from label_selector(selector, "spec.selector")
    if selector is None or not _matches(selector, labels):
        yield bad("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    claims = (claim.get("metadata") or {} for claim in spec.get("volumeClaimTemplates") or ())
    yield from template(made, "spec.template", [claim.get("name", "") for claim in claims])
    pod = made.get("spec") or {}
    if pod.get("restartPolicy") in ("OnFailure", "Never"):
        yield unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",))
    if pod.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {value['kind']} is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", why)


def label_selector(selector: Mapping[str, Any], field: str) -> Causes:
    """A LabelSelector object."""
    yield from names.labels(f"{field}.matchLabels", selector.get("matchLabels") or {})
    for place, one in enumerate(selector.get("matchExpressions") or ()):
        path = f"{field}.matchExpressions[{place}]"
        operator = one.get("operator", "")
        if operator in ("In", "NotIn") and not one.get("values"):
            why = "must be specified when `operator` is 'In' or 'NotIn'"
            yield required(f"{path}.values", why)
        elif operator in ("Exists", "DoesNotExist") and one.get("values"):
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{path}.values", why)
        elif operator not in OPERATORS:
            yield bad(f"{path}.operator", operator, "not a valid selector operator")
        yield from names.qualified_name(f"{path}.key", one.get("key", ""))


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    usable = all(one.get("operator") in OPERATORS for one in selector.get("matchExpressions") or ())
    return not usable or selector_test(selector)(labels)


def _strategy(stated: Object, field: str, kinds: tuple[str, str]) -> Causes:
    kind, rolling = stated.get("type"), stated.get("rollingUpdate")
    yield from one_of(f"{field}.type", kind, kinds)
    if kind == "Recreate" and rolling is not None:
        why = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden(f"{field}.rollingUpdate", why)
    if kind != "RollingUpdate" or rolling is None:
        return
    for name in ("maxUnavailable", "maxSurge"):
        yield from number_or_percent(rolling.get(name, 0), f"{field}.rollingUpdate.{name}")
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    if _is_zero(unavailable) and _is_zero(surge):
        why = "may not be 0 when `maxSurge` is 0"
        yield bad(f"{field}.rollingUpdate.maxUnavailable", shown_int_or_string(unavailable), why)
    if isinstance(unavailable, str) and re.fullmatch(r"[0-9]+%", unavailable) and int(unavailable[:-1]) > 100:
        why = "must not be greater than 100%"
        yield bad(f"{field}.rollingUpdate.maxUnavailable", shown_int_or_string(unavailable), why)


def number_or_percent(value: Any, field: str) -> Causes:
    """A number that is not negative, or a percentage."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]+%", value):
        why = (
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
            "'93%', regex used for validation is '[0-9]+%')"
        )
        yield bad(field, shown_int_or_string(value), why)
    yield from not_negative(field, value)


def _is_zero(value: Any) -> bool:
    return value in (0, "0%")


def job(value: Object) -> Causes:
    """A Job."""
    yield from names.label_name("metadata.name", value["metadata"].get("name", "")[:63])
    yield from _job_spec(value.get("spec") or {}, "spec")


def _job_spec(spec: Object, path: str) -> Causes:
    for name in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ):
        yield from not_negative(f"{path}.{name}", spec.get(name))
    yield from one_of(f"{path}.completionMode", spec.get("completionMode"), ("Indexed", "NonIndexed"))
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    made = spec.get("template") or {}
    yield from template(made, f"{path}.template")
    if (made.get("spec") or {}).get("restartPolicy", "Always") == "Always":
        yield required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def cron_job(value: Object) -> Causes:
    """A CronJob."""
    spec = value.get("spec") or {}
    if len(value["metadata"].get("name", "")) > LONGEST_CRON_JOB_NAME:
        why = f"must be no more than {LONGEST_CRON_JOB_NAME} characters"
        yield bad("metadata.name", value["metadata"]["name"], why)
    yield from _schedule(spec.get("schedule", ""))
    yield from _time_zone(spec.get("timeZone"))
    policies = ("Allow", "Forbid", "Replace")
    yield from one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    for name in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        yield from not_negative(f"spec.{name}", spec.get(name))
    yield from _job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")


def _schedule(schedule: str) -> Causes:
    if not schedule:
        yield required("spec.schedule")
        return
    if "TZ=" in schedule:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield bad("spec.schedule", schedule, why)
        return
    if schedule.startswith("@"):
        return
    fields = schedule.split()
    if len(fields) != 5:
        yield bad("spec.schedule", schedule, f"expected exactly 5 fields, found {len(fields)}: [{schedule}]")
        return
    for text, (_, lowest, highest) in zip(fields, _CRON_RANGES, strict=True):
        numbers = [int(number) for number in re.findall(r"\d+", text.split("/")[0])]
        if numbers and max(numbers) > highest:
            why = f"end of range ({max(numbers)}) above maximum ({highest}): {text}"
            yield bad("spec.schedule", schedule, why)
        elif numbers and min(numbers) < lowest:
            why = f"beginning of range ({min(numbers)}) below minimum ({lowest}): {text}"
            yield bad("spec.schedule", schedule, why)


def _time_zone(name: str | None) -> Causes:
    if name is None:
        return
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield bad("spec.timeZone", name, f"unknown time zone {name}")


def disruption_budget(value: Object) -> Causes:
    """A PodDisruptionBudget."""
    spec = value.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        why = "minAvailable and maxUnavailable cannot be both set"
        yield bad("spec", spec, why)
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            yield from number_or_percent(spec[name], f"spec.{name}")
    if spec.get("selector") is not None:
        yield from label_selector(spec["selector"], "spec.selector")
    policies = ("AlwaysAllow", "IfHealthyBudget")
    policy = spec.get("unhealthyPodEvictionPolicy")
    yield from one_of("spec.unhealthyPodEvictionPolicy", policy, policies)


def autoscaler(value: Object) -> Causes:
    """A HorizontalPodAutoscaler."""
    spec = value.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield bad("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield bad("spec.maxReplicas", most, "must be greater than 0")
    elif most < least:
        yield bad("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for name in ("kind", "name"):
        if not target.get(name):
            yield required(f"spec.scaleTargetRef.{name}")
