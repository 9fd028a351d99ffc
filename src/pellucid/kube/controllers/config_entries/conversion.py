"""Custom resources to configuration entries, and entries compared with what the server has.

Source: Consul on Kubernetes 0.26, api/v1alpha1 (ToConsul, MatchesConsul).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from pellucid.kube.controllers.config_entries.kinds import CustomKind
from pellucid.model.config_entries import (
    ConfigEntry,
    Mesh,
    ServiceIntentions,
    decode_config_entry,
    normalize,
)
from pellucid.model.decoding import decode

SOURCE_KEY = "external-source"
SOURCE = "kubernetes"
DATACENTER_KEY = "consul.hashicorp.com/source-datacenter"

_OPAQUE = "config"


def entry_of(kind: CustomKind, name: str, spec: Mapping[str, Any], datacenter: str) -> ConfigEntry:
    """The entry that a spec asks for, marked as ours, in normal form. Raises DecodeError."""
    meta = {SOURCE_KEY: SOURCE, DATACENTER_KEY: datacenter}
    return normalize(replace(written_entry(kind, name, spec), meta=meta))


def written_entry(kind: CustomKind, name: str, spec: Mapping[str, Any]) -> ConfigEntry:
    """The entry as its author wrote it; namespaces, which it cannot have, left out. Raises DecodeError."""
    fields = _without_namespaces(spec)
    if kind.entry is ServiceIntentions:
        fields.pop("destination", None)
    return decode(kind.entry, fields if kind.entry is Mesh else {**fields, "name": name})


def shown_entry(answer: Mapping[str, Any]) -> ConfigEntry:
    """The entry in an answer of `/v1/config/:kind/:name`, in normal form. Raises DecodeError."""
    return normalize(decode_config_entry(answer))


def is_same(one: ConfigEntry, other: ConfigEntry) -> bool:
    """True if two entries say the same, whoever they belong to."""
    return _content(one) == _content(other)


def owner(entry: ConfigEntry) -> str:
    """The datacenter whose Kubernetes cluster an entry comes from; empty for one of another origin."""
    return entry.meta.get(DATACENTER_KEY, "")


def _content(entry: ConfigEntry) -> ConfigEntry:
    if isinstance(entry, ServiceIntentions):
        entry = replace(entry, sources=tuple(sorted(entry.sources, key=lambda source: source.name)))
    return replace(entry, meta={})


def _without_namespaces(value: Any) -> Any:
    match value:
        case Mapping():
            return {
                key: item if key == _OPAQUE else _without_namespaces(item)
                for key, item in value.items()
                if key != "namespace"
            }
        case list():
            return [_without_namespaces(item) for item in value]
    return value
