"""`GET /v1/connect/intentions*`: who may connect to whom.

Source: Consul 1.10 docs, "Intentions HTTP API"; agent/intentions_endpoint.go.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pellucid.api.context import ApiContext
from pellucid.api.filtering import filtered
from pellucid.api.filtering.fields import INTENTION
from pellucid.api.handlers.parameters import filter_of
from pellucid.api.outcome import Content, Outcome, Read
from pellucid.api.query_options import PLAIN, check_namespace, consistent, query_options
from pellucid.api.request import Request
from pellucid.api.response import HttpError, bad_request, json_bytes, json_response
from pellucid.derive.engine import Db, query
from pellucid.derive.intentions import intentions_from, intentions_to, verdict
from pellucid.model.config_entries import ServiceIntentions
from pellucid.model.go_text import quote
from pellucid.model.intentions import Intention, intention_json_object, order, rows_of
from pellucid.model.names import DEFAULT_NAMESPACE
from pellucid.rules.intentions import match_destination, match_source
from pellucid.state.mesh_tables import CONFIG_ENTRIES
from pellucid.state.tables import Stored, TableSelector

UUID_LENGTH = 36


class FoundIntention(msgspec.Struct, frozen=True):
    """One intention with the indexes of the entry it stands in."""

    row: Intention
    create_index: int
    modify_index: int

    def json_object(self) -> dict[str, Any]:
        """As the API shows it."""
        return intention_json_object(self.row, create_index=self.create_index, modify_index=self.modify_index)


def found_in(stored: Stored[Any]) -> tuple[FoundIntention, ...]:
    """The intentions of a stored entry; none if it is of another kind."""
    entry = stored.value
    if not isinstance(entry, ServiceIntentions):
        return ()
    return tuple(FoundIntention(row, stored.create_index, stored.modify_index) for row in rows_of(entry))


def listing(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/connect/intentions`"""
    options = query_options(request, context.datacenter)
    return Read(_listing, (filter_of(request),), options, PLAIN, repeatable=True)


@query
def _listing(db: Db, expression: str) -> Content:
    stored_entries = db.rows(CONFIG_ENTRIES, "kind", ServiceIntentions.kind)
    found = [found for stored in stored_entries for found in found_in(stored)]
    found.sort(key=lambda each: order(each.row))
    objects = filtered(expression, INTENTION, (each.json_object() for each in found))
    return Content(db.stamp(TableSelector(CONFIG_ENTRIES)), json_bytes(objects))


def by_id(context: ApiContext, request: Request, intention_id: str) -> Outcome:
    """`GET /v1/connect/intentions/:id`"""
    query_options(request, context.datacenter)
    require_uuid(intention_id)
    for stored in context.head.rows(CONFIG_ENTRIES, "kind", ServiceIntentions.kind):
        for found in found_in(stored):
            if found.row.id == intention_id:
                return json_response(found.json_object())
    raise HttpError(404, "Intention not found")


def require_uuid(intention_id: str) -> None:
    """Raises HttpError 400 unless the id has a UUID's length."""
    if len(intention_id) != UUID_LENGTH:
        raise bad_request("failed config entry lookup: index error: UUID must be 36 characters")


def exact(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/connect/intentions/exact?source=&destination=`"""
    query_options(request, context.datacenter)
    source, destination = exact_names(request)
    for side, (namespace, _) in (("SourceNS", source), ("DestinationNS", destination)):
        if namespace not in ("", DEFAULT_NAMESPACE):
            raise HttpError(
                500, f"Invalid {side} {quote(namespace)}: Namespaces is a Consul Enterprise feature"
            )
    stored = context.head.get(CONFIG_ENTRIES, (ServiceIntentions.kind, destination[1]))
    for found in found_in(stored) if stored is not None else ():
        if found.row.source_name == source[1]:
            return json_response(found.json_object())
    raise HttpError(404, "Intention not found")


def exact_names(request: Request) -> tuple[tuple[str, str], tuple[str, str]]:
    """`?source=` and `?destination=`, each as namespace (empty if not given) and name."""
    return _name_of(request, "source"), _name_of(request, "destination")


def _name_of(request: Request, side: str) -> tuple[str, str]:
    text = request.parameters.get(side)
    if not text:
        raise HttpError(500, f"required query parameter '{side}' not set")
    return split_name(text, side)


def split_name(text: str, side: str) -> tuple[str, str]:
    """`[namespace/]name` in its parts. Raises HttpError 500."""
    if text.count("/") > 1:
        raise HttpError(500, f"{side} {quote(text)} is invalid: input can contain at most one '/'")
    namespace, separator, name = text.partition("/")
    return (namespace, name) if separator else ("", text)


def match(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/connect/intentions/match?by=&name=`"""
    options = query_options(request, context.datacenter)
    given = request.parameters
    if not given.get("by"):
        raise HttpError(500, "required query parameter 'by' not set")
    if given.get("by") not in ("source", "destination"):
        raise HttpError(500, "'by' parameter must be one of 'source' or 'destination'")
    if not given.get("name"):
        raise HttpError(500, "required query parameter 'name' not set")
    for name in given.all("name"):
        split_name(name, "name")
    return Read(_match, (given.get("by"), given.all("name")), options, consistent(options), repeatable=True)


@query
def _match(db: Db, by: str, names: tuple[str, ...]) -> Content:
    matches = {name: _matching(db, by, split_name(name, "name")[1]) for name in sorted(names)}
    index = db.stamp(TableSelector(CONFIG_ENTRIES))
    return Content(index, json_bytes({name: rows or None for name, rows in matches.items()}))


def _matching(db: Db, by: str, name: str) -> list[dict[str, Any]]:
    rows = (
        match_source(intentions_from(db, name), name)
        if by == "source"
        else match_destination(intentions_to(db, name), name)
    )
    return [_with_indexes(db, row).json_object() for row in rows]


def _with_indexes(db: Db, row: Intention) -> FoundIntention:
    stored = db.get(CONFIG_ENTRIES, (ServiceIntentions.kind, row.destination_name))
    assert stored is not None
    return FoundIntention(row, stored.create_index, stored.modify_index)


def check(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/connect/intentions/check?source=&destination=`"""
    check_namespace(request)
    query_options(request, context.datacenter)
    source, destination = exact_names(request)
    decision = verdict(context.engine.db, source[1], destination[1])
    return json_response({"Allowed": decision.is_allowed})
