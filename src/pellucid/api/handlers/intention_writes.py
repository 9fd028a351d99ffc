"""`/v1/connect/intentions`: writing intentions, one at a time.

Every intention is a source in its destination's `service-intentions` entry. The old way gives each
an id and may only touch entries whose sources all have one; the new way names source and
destination, and takes the ids of the whole entry away.

Source: Consul 1.10 agent/intentions_endpoint.go, agent/consul/intention_endpoint.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from pellucid.api.context import ApiContext
from pellucid.api.handlers.config import PERMISSIONS_NOTICE, check_among_others, checked
from pellucid.api.handlers.intention_reads import (
    by_id,
    exact,
    exact_names,
    found_in,
    listing,
    require_uuid,
)
from pellucid.api.outcome import Commit, Outcome
from pellucid.api.query_options import check_datacenter, check_namespace
from pellucid.api.request import Request
from pellucid.api.response import HttpError, bad_request, json_response
from pellucid.model import go_json
from pellucid.model.config_entries import ConfigEntryError, ServiceIntentions
from pellucid.model.config_entries.service_intentions import ACTIONS, SOURCE_TYPE
from pellucid.model.config_entries.shared import (
    META_MAX_PAIRS,
    META_VALUE_MAX_LENGTH,
    byte_length,
)
from pellucid.model.go_text import errors_occurred, quote
from pellucid.model.intentions import Intention, source_of
from pellucid.model.names import WILDCARD
from pellucid.state.mesh_tables import CONFIG_ENTRIES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change, Delete, Put


class IntentionBody(Intention, frozen=True):
    """An intention as clients send it back: with indexes, which are of no account."""

    create_index: int = 0
    modify_index: int = 0
    default_addr: str = ""
    default_port: int = 0


def listing_or_create(context: ApiContext, request: Request) -> Outcome:
    """`/v1/connect/intentions`"""
    return create(context, request) if request.method == "POST" else listing(context, request)


def one_by_id(context: ApiContext, request: Request) -> Outcome:
    """`/v1/connect/intentions/:id`"""
    intention_id = request.below
    match request.method:
        case "PUT":
            return update(context, request, intention_id)
        case "DELETE":
            return delete(context, request, intention_id)
    return by_id(context, request, intention_id)


def one_by_names(context: ApiContext, request: Request) -> Outcome:
    """`/v1/connect/intentions/exact?source=&destination=`"""
    match request.method:
        case "PUT":
            return upsert_exact(context, request)
        case "DELETE":
            return delete_exact(context, request)
    return exact(context, request)


# By id


def create(context: ApiContext, request: Request) -> Outcome:
    """`POST /v1/connect/intentions`: a new intention with an id of its own."""
    _check_place(context, request)
    try:
        row: Intention = go_json.decode(request.body, IntentionBody)
    except go_json.GoJsonError as error:
        raise HttpError(500, f"Failed to decode request body: {error}") from error
    if row.id:
        raise HttpError(500, "ID must be empty when creating a new intention")
    _validate_legacy(row)
    now, intention_id = _timestamp(context), context.new_id()
    row = msgspec.structs.replace(row, id=intention_id, created_at=now, updated_at=now)
    entry = _legacy_entry(context.head, row.destination_name)
    changed = entry.with_legacy_source(source_of(row, legacy=True))
    return Commit(_written(context.head, changed, legacy=True), json_response({"ID": intention_id}))


def update(context: ApiContext, request: Request, intention_id: str) -> Outcome:
    """`PUT /v1/connect/intentions/:id`: may change anything but the destination."""
    _check_place(context, request)
    row = _decoded(request)
    require_uuid(intention_id)
    existing = _by_id(context.head, intention_id)
    if existing is None:
        raise HttpError(500, f"Cannot modify non-existent intention: '{intention_id}'")
    if row.destination_name != existing.destination_name:
        raise HttpError(
            500, "Cannot modify DestinationNS or DestinationName for an intention once it exists."
        )
    _validate_legacy(row)
    now = _timestamp(context)
    row = msgspec.structs.replace(row, id=intention_id, created_at=existing.created_at, updated_at=now)
    entry = _legacy_entry(context.head, row.destination_name)
    changed = entry.with_legacy_source(source_of(row, legacy=True))
    return Commit(_written(context.head, changed, legacy=True), json_response({"ID": intention_id}))


def delete(context: ApiContext, request: Request, intention_id: str) -> Outcome:
    """`DELETE /v1/connect/intentions/:id`"""
    _check_place(context, request)
    require_uuid(intention_id)
    existing = _by_id(context.head, intention_id)
    if existing is None:
        raise HttpError(500, f"Cannot delete non-existent intention: '{intention_id}'")
    entry = _legacy_entry(context.head, existing.destination_name)
    changed = entry.without_legacy_source(intention_id)
    return Commit(_written(context.head, changed, legacy=True), json_response(True))


def _by_id(state: Snapshot, intention_id: str) -> Intention | None:
    for stored in state.rows(CONFIG_ENTRIES, "kind", ServiceIntentions.kind):
        for found in found_in(stored):
            if found.row.id == intention_id:
                return found.row
    return None


def _legacy_entry(state: Snapshot, destination: str) -> ServiceIntentions:
    """The destination's entry, every source of which must have an id."""
    entry = _entry(state, destination)
    if any(not source.legacy_id for source in entry.sources):
        raise HttpError(
            500,
            "cannot use legacy intention API to edit intentions with a destination of "
            f"{quote(destination)} after editing them via a service-intentions config entry",
        )
    return entry


def _validate_legacy(row: Intention) -> None:
    faults = tuple(_legacy_faults(row))
    if faults:
        raise HttpError(500, errors_occurred(faults))


def _legacy_faults(row: Intention) -> Iterator[str]:
    for side, name in (("SourceName", row.source_name), ("DestinationName", row.destination_name)):
        if not name:
            yield f"{side} must be set"
        elif WILDCARD in name and name != WILDCARD:
            yield f"{side}: wildcard character '*' cannot be used with partial values"
    if len(row.meta) > META_MAX_PAIRS:
        yield f"Meta exceeds maximum element count {META_MAX_PAIRS}"
    if byte_length(row.description) > META_VALUE_MAX_LENGTH:
        yield f"Description exceeds maximum length {META_VALUE_MAX_LENGTH}"
    if row.action not in ACTIONS:
        yield "Action must be set to 'allow' or 'deny'"
    if row.permissions:
        yield "Permissions must not be set when using the legacy APIs"
    if row.source_type not in ("", SOURCE_TYPE):
        yield "SourceType must be set to 'consul'"


# By names


def upsert_exact(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/connect/intentions/exact`: the intention between two names, new or changed."""
    _check_place(context, request)
    (_, source_name), (_, destination) = exact_names(request)
    row = msgspec.structs.replace(
        _decoded(request), id="", source_name=source_name, destination_name=destination
    )
    entry = _entry(context.head, destination)
    _refuse_meta(row, entry)
    row = msgspec.structs.replace(row, meta={}, created_at="", updated_at="")
    changed = _without_legacy_fields(entry).with_source(source_of(row, legacy=False))
    response = json_response(True, headers=PERMISSIONS_NOTICE if row.permissions else ())
    return Commit(_written(context.head, changed, legacy=False), response)


def delete_exact(context: ApiContext, request: Request) -> Outcome:
    """`DELETE /v1/connect/intentions/exact`; what is not there is fine."""
    _check_place(context, request)
    (_, source_name), (_, destination) = exact_names(request)
    entry = _entry(context.head, destination)
    if entry.source(source_name) is None:
        return json_response(True)
    changed = _without_legacy_fields(entry).without_source(source_name)
    return Commit(_written(context.head, changed, legacy=False), json_response(True))


def _refuse_meta(row: Intention, entry: ServiceIntentions) -> None:
    """Metadata belongs to the whole entry, so one row cannot bring its own."""
    if not row.meta:
        return
    if not entry.sources:
        raise HttpError(500, "Meta must not be specified")
    if dict(row.meta) != dict(entry.meta):
        raise HttpError(500, "Meta must not be specified, or should be unchanged during an update.")


def _without_legacy_fields(entry: ServiceIntentions) -> ServiceIntentions:
    sources = tuple(
        msgspec.structs.replace(
            source, legacy_id="", legacy_meta={}, legacy_create_time="", legacy_update_time=""
        )
        for source in entry.sources
    )
    return msgspec.structs.replace(entry, sources=sources)


# Both


def _check_place(context: ApiContext, request: Request) -> None:
    check_namespace(request)
    check_datacenter(request.parameters.get("dc"), context.datacenter)


def _decoded(request: Request) -> Intention:
    try:
        return go_json.decode(request.body, IntentionBody)
    except go_json.GoJsonError as error:
        raise bad_request(f"Request decode failed: {error}") from error


def _entry(state: Snapshot, destination: str) -> ServiceIntentions:
    """The entry of a destination, empty if there is none."""
    stored = state.get(CONFIG_ENTRIES, (ServiceIntentions.kind, destination))
    if stored is not None and isinstance(stored.value, ServiceIntentions):
        return stored.value
    return ServiceIntentions(name=destination)


def _written(state: Snapshot, entry: ServiceIntentions, *, legacy: bool) -> tuple[Change, ...]:
    """The change that makes the entry so; one without sources goes."""
    if not entry.sources:
        return (Delete(CONFIG_ENTRIES, (entry.kind, entry.name)),)
    if legacy:
        entry = entry.normalized(legacy_write=True)
        try:
            entry.validate(legacy_write=True)
        except ConfigEntryError as error:
            raise HttpError(500, str(error)) from error
    else:
        normal = checked(entry)
        assert isinstance(normal, ServiceIntentions)
        entry = normal
    check_among_others(state, entry)
    return (Put(CONFIG_ENTRIES, entry, always=True),)


def _timestamp(context: ApiContext) -> str:
    seconds, fraction = divmod(context.now(), 1)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{int(fraction * 1e9):09d}Z"
