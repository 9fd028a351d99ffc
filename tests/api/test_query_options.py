from __future__ import annotations

import pytest

from pellucid.api.query_options import PLAIN, Consistency, QueryOptions, parse_uint64, query_options, streamed
from pellucid.api.request import Peer, Request
from pellucid.api.response import HttpError


def read(query: str, headers: dict[str, str] | None = None) -> QueryOptions:
    return query_options(Request("GET", "/", query, headers or {}, b"", Peer()), "dc1")


def test_without_parameters_the_leader_answers_at_once() -> None:
    assert read("") == QueryOptions(Consistency.LEADER, cached=False, index=0, wait_s=0.0, content_hash="")


@pytest.mark.parametrize(
    ("query", "consistency"),
    [
        ("stale", Consistency.STALE),
        ("max_stale=5s", Consistency.STALE),
        ("max_stale=0s", Consistency.LEADER),
        ("consistent", Consistency.CONSISTENT),
        ("leader", Consistency.LEADER),
    ],
)
def test_consistency_is_what_was_asked_for(query: str, consistency: Consistency) -> None:
    assert read(query).consistency is consistency


def test_index_wait_and_hash_are_read() -> None:
    options = read("index=42&wait=1m30s&hash=abc&cached")
    assert options == QueryOptions(Consistency.LEADER, True, 42, 90.0, "abc")


@pytest.mark.parametrize(
    ("query", "headers", "text"),
    [
        ("index=-1", {}, "Invalid index"),
        ("index=18446744073709551616", {}, "Invalid index"),
        ("wait=5", {}, "Invalid wait time"),
        ("max_stale=zz", {}, 'Invalid max_stale value "zz"'),
        ("cached", {"cache-control": "max-age=x"}, "Invalid Cache-Control header."),
        ("stale&consistent", {}, "Cannot specify ?stale with ?consistent, conflicting semantics."),
        ("max_stale=1s&consistent", {}, "Cannot specify ?stale with ?consistent, conflicting semantics."),
        (
            "",
            {"x-consul-namespace": "x"},
            'Bad request: Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature',
        ),
    ],
)
def test_what_makes_no_sense_is_refused(query: str, headers: dict[str, str], text: str) -> None:
    with pytest.raises(HttpError) as raised:
        read(query, headers)
    assert (raised.value.status, raised.value.text) == (400, text)


def test_cache_directives_that_make_sense_are_taken() -> None:
    assert read("cached", {"cache-control": "max-age=30, stale-if-error=60, must-revalidate"}).cached


def test_another_datacenter_cannot_be_reached() -> None:
    with pytest.raises(HttpError, match="No path to datacenter"):
        read("dc=dc2")


def test_an_index_of_zero_is_sent_as_one() -> None:
    assert ("X-Consul-Index", "1") in PLAIN.headers(0)
    assert ("X-Consul-Query-Backend", "streaming") in streamed(QueryOptions()).headers(7)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "0x1", "१", str(2**64)])
def test_an_unsigned_number_has_only_digits_and_64_bits(text: str) -> None:
    assert parse_uint64(text) is None
