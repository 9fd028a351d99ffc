"""Intentions one by one, as the intentions API shows them.

A row is a view of one source in a `service-intentions` entry: `rows_of` takes an entry apart
and `source_of` makes a source of a row.

Source: Consul 1.10 agent/structs/intention.go; docs, "Connect Intentions HTTP API".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.model.config_entries import IntentionPermission, ServiceIntentions, SourceIntention
from pellucid.model.encoding import json_object
from pellucid.model.names import DEFAULT_NAMESPACE
from pellucid.model.wire import AlwaysWritten, Timestamp


class Intention(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether `source_name` may connect to `destination_name`; either may be `*`.

    `id`, the times and `hash` (base64) exist only for intentions made through the API that
    gives them ids.
    """

    created_at: Timestamp = ""
    updated_at: Timestamp = ""
    id: str = ""
    description: str = ""
    source_ns: AlwaysWritten[str] = DEFAULT_NAMESPACE
    source_name: AlwaysWritten[str] = ""
    destination_ns: AlwaysWritten[str] = DEFAULT_NAMESPACE
    destination_name: AlwaysWritten[str] = ""
    source_type: AlwaysWritten[str] = ""
    action: str = ""
    permissions: tuple[IntentionPermission, ...] = ()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)
    precedence: AlwaysWritten[int] = 0
    hash: str = ""


def rows_of(entry: ServiceIntentions) -> tuple[Intention, ...]:
    """The intentions of an entry, in the entry's order."""
    return tuple(_row(entry, source) for source in entry.sources)


def _row(entry: ServiceIntentions, source: SourceIntention) -> Intention:
    row = Intention(
        created_at=source.legacy_create_time,
        updated_at=source.legacy_update_time,
        id=source.legacy_id,
        description=source.description,
        source_name=source.name,
        destination_name=entry.name,
        source_type=source.type,
        action=source.action,
        permissions=source.permissions,
        meta=source.legacy_meta if source.legacy_id else entry.meta,
        precedence=source.precedence,
    )
    return msgspec.structs.replace(row, hash=hash_of(row)) if row.id else row


def source_of(row: Intention, *, legacy: bool) -> SourceIntention:
    """The row as a source of its destination's entry; precedence is left for `normalize` to compute.

    legacy: the row comes from the API that gives ids, which knows no permissions.
    """
    return SourceIntention(
        name=row.source_name,
        action=row.action,
        permissions=() if legacy else row.permissions,
        legacy_id=row.id,
        type=row.source_type,
        description=row.description,
        legacy_meta=row.meta,
        legacy_create_time=row.created_at,
        legacy_update_time=row.updated_at,
    )


def order(row: Intention) -> tuple[int, str, str, str, str]:
    """Sorting key: the strongest first, equals by the names of source and destination."""
    return (-row.precedence, row.source_ns, row.source_name, row.destination_ns, row.destination_name)


def hash_of(row: Intention) -> str:
    """Base64 of a digest of what users set, by which replicas see that a row changed."""
    digest = hashlib.blake2b(digest_size=32)
    for text in (row.id, row.description, row.source_ns, row.source_name, row.destination_ns):
        digest.update(text.encode())
    for text in (row.destination_name, row.source_type, row.action):
        digest.update(text.encode())
    digest.update(row.precedence.to_bytes(8, "little", signed=True))
    for key in sorted(row.meta):
        digest.update(f"{key}{row.meta[key]}".encode())
    return base64.b64encode(digest.digest()).decode()


def intention_json_object(
    row: Intention, *, create_index: int | None = None, modify_index: int | None = None
) -> dict[str, Any]:
    """The row as Consul's API shows it; indexes (of the row's entry) at the end if given."""
    written = json_object(row)
    if create_index is not None:
        written["CreateIndex"] = create_index
    if modify_index is not None:
        written["ModifyIndex"] = modify_index
    return written
