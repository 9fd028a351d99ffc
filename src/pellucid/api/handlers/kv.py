"""`/v1/kv/`: the key/value store, without locks, since there are no sessions.

Source: Consul 1.10 docs, "KV Store HTTP API"; agent/kvs_endpoint.go, agent/consul/state/kvs.go.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from pellucid.api.context import ApiContext
from pellucid.api.outcome import Commit, Content, Outcome, Read
from pellucid.api.query_options import PLAIN, check_datacenter, parse_uint64, query_options
from pellucid.api.request import Request
from pellucid.api.response import HttpError, Response, json_bytes, json_response, text_response
from pellucid.derive.engine import Db, query
from pellucid.model.go_text import quote
from pellucid.model.kv import KvEntry
from pellucid.state.mesh_tables import KV, directory_of
from pellucid.state.tables import BucketSelector, Delete, Put, Stored, TableSelector

MAX_VALUE_BYTES = 524_288
_RAW_HEADERS = (("Content-Security-Policy", "sandbox"), ("X-Content-Type-Options", "nosniff"))


def key(context: ApiContext, request: Request) -> Outcome:
    """`/v1/kv/:key`"""
    match request.method:
        case "PUT":
            return _write(context, request)
        case "DELETE":
            return _remove(context, request)
    return _read(context, request)


# Reading


def _read(context: ApiContext, request: Request) -> Outcome:
    options, given = query_options(request, context.datacenter), request.parameters
    if "keys" in given:
        separator = given.get("separator") or given.get("seperator")
        return Read(_keys, (request.below, separator), options, PLAIN, repeatable=True)
    if "recurse" in given:
        return Read(_tree, (request.below,), options, PLAIN, repeatable=True)
    _require_key(request)
    return Read(_entry, (request.below, "raw" in given), options, PLAIN, repeatable=True)


@query
def _entry(db: Db, name: str, raw: bool) -> Content:
    stored = db.get(KV, (name,))
    if stored is None:
        return _missing(db)
    if raw:
        return Content(stored.modify_index, stored.value.value, 200, "text/plain", _RAW_HEADERS)
    return Content(stored.modify_index, json_bytes([_shown(stored)]))


@query
def _tree(db: Db, prefix: str) -> Content:
    found = _below(db, prefix)
    if not found:
        return _missing(db)
    return Content(_changed_at(db, prefix), json_bytes([_shown(stored) for stored in found]))


@query
def _keys(db: Db, prefix: str, separator: str) -> Content:
    found = _below(db, prefix)
    if not found and prefix:
        return _missing(db)
    keys = dict.fromkeys(_cut((stored.value.key for stored in found), prefix, separator))
    return Content(_changed_at(db, prefix), json_bytes(list(keys)))


def _missing(db: Db) -> Content:
    """Whatever is written next may be what was asked for."""
    return Content(db.stamp(TableSelector(KV)), b"", 404, "")


def _below(db: Db, prefix: str) -> list[Stored[KvEntry]]:
    rows = db.rows(KV, "directory", directory_of(prefix))
    return [stored for stored in rows if stored.value.key.startswith(prefix)]


def _changed_at(db: Db, prefix: str) -> int:
    return db.stamp(BucketSelector(KV, "directory", directory_of(prefix)))


def _cut(keys: Iterable[str], prefix: str, separator: str) -> Iterator[str]:
    """The keys up to the first separator after the prefix."""
    for name in keys:
        end = name.find(separator, len(prefix)) if separator else -1
        yield name if end < 0 else name[: end + len(separator)]


def _shown(stored: Stored[KvEntry]) -> dict[str, object]:
    entry = stored.value
    return {
        "LockIndex": 0,
        "Key": entry.key,
        "Flags": entry.flags,
        "Value": base64.b64encode(entry.value).decode() or None,
        "CreateIndex": stored.create_index,
        "ModifyIndex": stored.modify_index,
    }


# Writing


def _write(context: ApiContext, request: Request) -> Outcome:
    check_datacenter(request.parameters.get("dc"), context.datacenter)
    _require_key(request)
    _require_one_of(request, "cas", "acquire", "release")
    flags, cas = _number(request, "flags"), _number(request, "cas")
    if "acquire" in request.parameters:
        session = request.parameters.get("acquire")
        reason = f"invalid session {quote(session)}" if session else "missing session"
        raise HttpError(500, f"raft apply failed: {reason}")
    if "release" in request.parameters:
        return json_response(False)
    if len(request.body) > MAX_VALUE_BYTES:
        return _too_large(len(request.body))
    entry = KvEntry(request.below, request.body, flags or 0)
    return Commit(
        (Put(KV, entry),),
        json_response(True),
        expect={} if cas is None else {(KV, (entry.key,)): cas},
        on_conflict=lambda _conflict: json_response(False),
    )


def _remove(context: ApiContext, request: Request) -> Outcome:
    check_datacenter(request.parameters.get("dc"), context.datacenter)
    _require_one_of(request, "recurse", "cas")
    if "recurse" in request.parameters:
        found = context.head.rows(KV, "directory", directory_of(request.below))
        keys = (stored.value.key for stored in found)
        changes = tuple(Delete(KV, (name,)) for name in keys if name.startswith(request.below))
        return Commit(changes, json_response(True))
    _require_key(request)
    cas, row = _number(request, "cas"), (request.below,)
    is_there = context.head.get(KV, row) is not None
    return Commit(
        (Delete(KV, row),),
        json_response(True),
        expect={(KV, row): cas} if cas is not None and is_there else {},
        on_conflict=lambda _conflict: json_response(False),
    )


def _require_key(request: Request) -> None:
    if not request.below:
        raise HttpError(400, "Missing key name")


def _require_one_of(request: Request, *names: str) -> None:
    if sum(name in request.parameters for name in names) > 1:
        raise HttpError(400, f"Conflicting flags: {request.parameters.encoded()}")


def _number(request: Request, name: str) -> int | None:
    if name not in request.parameters:
        return None
    text = request.parameters.get(name)
    number = parse_uint64(text)
    if number is None:
        raise HttpError(500, f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    return number


def _too_large(size: int) -> Response:
    return text_response(
        f"Request body({size} bytes) too large, max size: {MAX_VALUE_BYTES} bytes. "
        "See https://www.consul.io/docs/agent/options.html#kv_max_value_size.",
        413,
    )
