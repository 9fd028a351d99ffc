"""Whether the API server may store a custom resource: the webhook's pure core.

Source: Consul on Kubernetes 0.26, api/common/configentry_webhook.go and the webhooks of each kind.
"""

from __future__ import annotations

from collections.abc import Iterable

from pellucid.kube.controllers.config_entries.conversion import written_entry
from pellucid.kube.controllers.config_entries.kinds import CustomKind
from pellucid.kube.controllers.config_entries.validation import faults_of, invalid
from pellucid.kube.pods import Object
from pellucid.kube.webhook.review import CREATE, UPDATE, Question
from pellucid.model.config_entries import ServiceIntentions
from pellucid.model.decoding import DecodeError
from pellucid.model.go_text import quote


def refusal_of(kind: CustomKind, question: Question, existing: Iterable[Object]) -> str | None:
    """Why a resource is refused, None if it is not. existing: all resources of the kind that there are."""
    item, before = question.item, question.before
    refusal = None
    if question.operation == CREATE:
        refusal = _refused_creation(kind, item, existing)
    elif question.operation == UPDATE:
        if item.get("spec") == before.get("spec"):
            return None  # A finalizer, say: it must come and go however the spec is judged.
        refusal = _refused_update(kind, item, before)
    return refusal or _refused_content(kind, item)


def _refused_creation(kind: CustomKind, item: Object, existing: Iterable[Object]) -> str | None:
    name = item["metadata"]["name"]
    if kind.only_name:
        if name != kind.only_name:
            return f'{kind.singular} resource name must be "{kind.only_name}"'
        if any(existing):
            return f"{kind.singular} resource already defined - only one {kind.only_name} entry is supported"
        return None
    if kind.entry is ServiceIntentions:
        destination = _destination(item)
        if any(_destination(other) == destination for other in existing):
            name = destination.get("name", "")
            return f"an existing ServiceIntentions resource has `spec.destination.name: {name}`"
        return None
    if any(other["metadata"]["name"] == name for other in existing):
        return (
            f"{kind.singular} resource with name {quote(name)} is already defined – all {kind.singular} "
            "resources must have unique names across namespaces"
        )
    return None


def _refused_update(kind: CustomKind, item: Object, before: Object) -> str | None:
    if kind.entry is ServiceIntentions and _destination(item) != _destination(before):
        return (
            "spec.destination.name and spec.destination.namespace are immutable fields for ServiceIntentions"
        )
    return None


def _refused_content(kind: CustomKind, item: Object) -> str | None:
    spec = item.get("spec") or {}
    name = item["metadata"]["name"]
    try:
        entry = written_entry(kind, kind.entry_name(item["metadata"], spec), spec)
    except DecodeError as error:
        return invalid(kind, name, [f"spec: {error}"])
    faults = faults_of(entry, spec)
    return invalid(kind, name, faults) if faults else None


def _destination(item: Object) -> Object:
    destination = (item.get("spec") or {}).get("destination") or {}
    return {key: value for key, value in destination.items() if value}
