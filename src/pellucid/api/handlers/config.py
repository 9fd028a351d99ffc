"""`/v1/config`: writing and reading config entries.

A write is decoded, brought into normal form, judged by itself and then among all other entries;
only then is it committed. Permissions of intentions are kept and shown; until they are enforced the
connections they would judge are refused, and the answer to the write says so in a header.

Source: Consul 1.10 docs, "Config HTTP API"; agent/config_endpoint.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from pellucid.api.context import ApiContext
from pellucid.api.outcome import Commit, Content, Outcome, Read
from pellucid.api.query_options import PLAIN, check_datacenter, parse_uint64, query_options
from pellucid.api.request import Request
from pellucid.api.response import TEXT, Headers, HttpError, bad_request, json_bytes, json_response
from pellucid.derive.engine import Db, query
from pellucid.model import go_json
from pellucid.model.config_entries import (
    ConfigEntry,
    ConfigEntryError,
    ServiceIntentions,
    decode_config_entry,
    normalize,
    require_known_kind,
    to_json_object,
    validate,
)
from pellucid.model.decoding import DecodeError
from pellucid.model.go_text import quote
from pellucid.rules.chain_graph import EntrySet, check_delete, check_write, name_of
from pellucid.rules.chain_nodes import ChainError
from pellucid.state.mesh_tables import CONFIG_ENTRIES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Delete, Put, Stored, TableSelector

ADVICE_HEADER = "X-Pellucid-Advice"
"""Says what was probably meant, where the body has Consul's words."""

PERMISSIONS_NOTICE: Headers = (
    (
        ADVICE_HEADER,
        "Permissions are stored but not enforced yet: connections they would judge are refused until then",
    ),
)


def write(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/config?cas=`"""
    check_datacenter(request.parameters.get("dc"), context.datacenter)
    entry = _decoded(request.body)
    wanted_index = _cas(request)
    state = context.head
    entry = checked(entry)
    check_among_others(state, entry)
    key = (entry.kind, name_of(entry))
    has_permissions = isinstance(entry, ServiceIntentions) and entry.has_permissions
    return Commit(
        (Put(CONFIG_ENTRIES, entry, always=True),),
        json_response(True, headers=PERMISSIONS_NOTICE if has_permissions else ()),
        expect={} if wanted_index is None else {(CONFIG_ENTRIES, key): wanted_index},
        on_conflict=lambda _conflict: json_response(False),
    )


def _decoded(body: bytes) -> ConfigEntry:
    try:
        raw = go_json.parse(body)
        if not isinstance(raw, Mapping):
            raise DecodeError("json: cannot unmarshal the body into an object")
        return decode_config_entry(raw)
    except DecodeError as error:
        refusal = bad_request(f"Request decoding failed: {error}")
        advice = "; ".join(error.advice)
        raise HttpError(400, refusal.text, ((ADVICE_HEADER, advice),) if advice else ()) from error
    except go_json.GoJsonError as error:
        raise bad_request(f"Request decoding failed: {error}") from error


def _cas(request: Request) -> int | None:
    text = request.parameters.get("cas")
    if not text:
        return None
    index = parse_uint64(text)
    if index is None:
        raise HttpError(500, f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    return index


def checked(entry: ConfigEntry) -> ConfigEntry:
    """The entry in normal form. Raises HttpError 500 for one that breaks a rule of its kind."""
    entry = normalize(entry)
    try:
        validate(entry)
    except ConfigEntryError as error:
        raise HttpError(500, str(error)) from error
    return entry


def check_among_others(state: Snapshot, entry: ConfigEntry) -> None:
    """Raises HttpError 500 for an entry that does not go with the others."""
    try:
        check_write(entry_set(state), entry)
    except ChainError as error:
        raise HttpError(500, str(error)) from error


def entry_set(state: Snapshot) -> EntrySet:
    """All entries there are."""
    return EntrySet(stored.value for stored in state.all(CONFIG_ENTRIES))


def remove(context: ApiContext, request: Request) -> Outcome:
    """`DELETE /v1/config/:kind/:name`; what is not there is fine."""
    check_datacenter(request.parameters.get("dc"), context.datacenter)
    kind, _, name = request.below.partition("/")
    if not name:
        raise HttpError(404, "Must provide both a kind and name to delete")
    _require_known(kind, status=400)
    try:
        check_delete(entry_set(context.head), kind, name)
    except ChainError as error:
        raise HttpError(500, str(error)) from error
    return Commit((Delete(CONFIG_ENTRIES, (kind, name)),), json_response({}))


def _require_known(kind: str, *, status: int) -> None:
    try:
        require_known_kind(kind)
    except ConfigEntryError as error:
        raise HttpError(status, str(error)) from error


def read_or_remove(context: ApiContext, request: Request) -> Outcome:
    """`/v1/config/:kind[/:name]`"""
    return remove(context, request) if request.method == "DELETE" else read(context, request)


def read(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/config/:kind[/:name]`; an entry's name may contain `/`."""
    options = query_options(request, context.datacenter)
    kind, _, name = request.below.partition("/")
    if kind:
        _require_known(kind, status=500)
    if name:
        return Read(_entry, (kind, name), options, PLAIN, repeatable=True)
    return Read(_entries, (kind,), options, PLAIN, repeatable=True)


@query
def _entry(db: Db, kind: str, name: str) -> Content:
    index = db.stamp(TableSelector(CONFIG_ENTRIES))
    stored = db.get(CONFIG_ENTRIES, (kind, name))
    if stored is None:
        text = f"Config entry not found for {quote(kind)} / {quote(name)}"
        return Content(index, text.encode(), 404, TEXT)
    return Content(index, json_bytes(entry_object(stored)))


@query
def _entries(db: Db, kind: str) -> Content:
    index = db.stamp(TableSelector(CONFIG_ENTRIES))
    found = db.rows(CONFIG_ENTRIES, "kind", kind) if kind else db.all(CONFIG_ENTRIES)
    return Content(index, json_bytes([entry_object(stored) for stored in found]))


def entry_object(stored: Stored[ConfigEntry]) -> dict[str, object]:
    """An entry with its indexes, as the API shows it."""
    return to_json_object(stored.value, create_index=stored.create_index, modify_index=stored.modify_index)
