"""Intentions as rows and as sources of entries say the same."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given

from pellucid.model.config_entries import (
    HTTPHeaderMatch,
    IntentionHTTPPermission,
    IntentionPermission,
    ServiceIntentions,
    SourceIntention,
)
from pellucid.model.intentions import Intention, intention_json_object, order, rows_of, source_of
from tests.model.strategies import structs

CREATED = "2026-11-23T21:18:45.408059046Z"

WITH_ID = SourceIntention(
    name="web",
    action="deny",
    precedence=9,
    legacy_id="649086dc-2e2b-439a-1a93-3037376bd4be",
    type="consul",
    description="d1",
    legacy_meta={"k": "v"},
    legacy_create_time=CREATED,
    legacy_update_time=CREATED,
)
PERMISSION = IntentionPermission(
    action="allow",
    http=IntentionHTTPPermission(
        path_prefix="/ok", header=(HTTPHeaderMatch(name="x-a", exact="1"),), methods=("GET",)
    ),
)


def test_a_row_with_an_id_is_shown_as_consul_shows_it() -> None:
    (row,) = rows_of(ServiceIntentions(name="static-server", sources=(WITH_ID,)))
    assert json.dumps(intention_json_object(row, create_index=72, modify_index=72)) == json.dumps(
        {
            "CreatedAt": CREATED,
            "UpdatedAt": CREATED,
            "ID": "649086dc-2e2b-439a-1a93-3037376bd4be",
            "Description": "d1",
            "SourceNS": "default",
            "SourceName": "web",
            "DestinationNS": "default",
            "DestinationName": "static-server",
            "SourceType": "consul",
            "Action": "deny",
            "Meta": {"k": "v"},
            "Precedence": 9,
            "Hash": "Cv6NkHNe4tpKQyIQOUm2jsk8MC01EGPdbSe3jaFxYXU=",
            "CreateIndex": 72,
            "ModifyIndex": 72,
        }
    )


def test_a_row_without_an_id_has_no_times_and_no_hash() -> None:
    source = SourceIntention(name="l7", permissions=(PERMISSION,))
    (row,) = rows_of(ServiceIntentions(name="static-server", sources=(source,)).normalized())
    assert json.dumps(intention_json_object(row, create_index=72, modify_index=78)) == json.dumps(
        {
            "SourceNS": "default",
            "SourceName": "l7",
            "DestinationNS": "default",
            "DestinationName": "static-server",
            "SourceType": "consul",
            "Permissions": [
                {
                    "Action": "allow",
                    "HTTP": {
                        "PathPrefix": "/ok",
                        "Header": [{"Name": "x-a", "Exact": "1"}],
                        "Methods": ["GET"],
                    },
                }
            ],
            "Precedence": 9,
            "CreateIndex": 72,
            "ModifyIndex": 78,
        }
    )


def test_a_row_without_an_id_shows_its_entrys_meta() -> None:
    entry = ServiceIntentions(
        name="db", sources=(SourceIntention(name="web"),), meta={"external-source": "k8s"}
    )
    assert rows_of(entry)[0].meta == {"external-source": "k8s"}


@given(structs(ServiceIntentions))
def test_a_row_is_a_view_of_its_source(entry: ServiceIntentions) -> None:
    for row, source in zip(rows_of(entry), entry.sources, strict=True):
        rebuilt = source_of(row, legacy=False)
        expected_meta = source.legacy_meta if source.legacy_id else entry.meta
        assert rebuilt == msgspec.structs.replace(source, precedence=0, legacy_meta=expected_meta)


def test_the_api_with_ids_knows_no_permissions() -> None:
    row = Intention(source_name="web", destination_name="db", permissions=(PERMISSION,))
    assert source_of(row, legacy=True).permissions == ()
    assert source_of(row, legacy=False).permissions == (PERMISSION,)


def test_the_strongest_row_comes_first_and_equals_go_by_name() -> None:
    pairs = [("*", "*", 5), ("a", "*", 6), ("*", "db", 8), ("b", "api", 9), ("a", "db", 9), ("a", "api", 9)]
    rows = [Intention(source_name=s, destination_name=d, precedence=p) for s, d, p in pairs]
    assert [(row.source_name, row.destination_name) for row in sorted(rows, key=order)] == [
        ("a", "api"),
        ("a", "db"),
        ("b", "api"),
        ("*", "db"),
        ("a", "*"),
        ("*", "*"),
    ]
