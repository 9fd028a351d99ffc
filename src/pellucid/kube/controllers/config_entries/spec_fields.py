"""The fields of a resource's spec: those of the configuration entry, spelt as Kubernetes spells fields.

What differs between the two is a short list here: fields that only the server sets, fields that only
Consul Enterprise has (taken so that they can be refused with a reason), and where an entry's name comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pellucid.model.config_entries import (
    IngressService,
    LinkedService,
    ServiceIntentions,
    SourceIntention,
    UpstreamConfig,
)
from pellucid.model.services import ExposePath
from pellucid.model.wire import WireField, fields_of, go_name

Struct = type[msgspec.Struct]

_OF_THE_ENTRY = frozenset(("name", "meta"))
"""Fields of the entry itself that come from the resource's metadata."""
_OF_THE_SERVER: dict[Struct, frozenset[str]] = {
    SourceIntention: frozenset(
        (
            "precedence",
            "type",
            "legacy_id",
            "legacy_meta",
            "legacy_create_time",
            "legacy_update_time",
        )
    ),
    ExposePath: frozenset(("parsed_from_check",)),
    IngressService: frozenset(("meta",)),
}
NAMESPACED: frozenset[Struct] = frozenset((SourceIntention, IngressService, LinkedService, UpstreamConfig))
"""What has a namespace in Consul Enterprise, beside what has the field anyway."""
NAMED_BY_DESTINATION: Struct = ServiceIntentions
"""The entry whose name is `destination.name` of the spec."""


def spec_fields(struct: Struct, *, is_entry: bool = False) -> Iterator[tuple[str, WireField]]:
    """The fields a person may write, with Kubernetes' spelling."""
    hidden = _OF_THE_SERVER.get(struct, frozenset()) | (_OF_THE_ENTRY if is_entry else frozenset())
    for field in fields_of(struct):
        if field.name not in hidden:
            yield kubernetes_name(field.name), field


def kubernetes_name(name: str) -> str:
    """`external_sni` is `externalSNI`, `ca_file` is `caFile`, `http` is `http`."""
    first, _, rest = name.partition("_")
    return first + (go_name(rest) if rest else "")


def spec_object(value: Any) -> Any:
    """A part of an entry as its author wrote it: the spec's fields in order, empty ones left out."""
    match value:
        case msgspec.Struct():
            written = ((name, getattr(value, field.name)) for name, field in spec_fields(type(value)))
            return {name: spec_object(content) for name, content in written if content}
        case tuple() | list():
            return [spec_object(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value
