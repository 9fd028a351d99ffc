"""Which intention decides, and what the answer says of itself."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model.config_entries import precedence
from pellucid.model.intentions import Intention, order
from pellucid.rules.intentions import (
    NO_ACLS,
    DefaultPolicy,
    decide,
    default_policy,
    match_destination,
    match_source,
    view_of,
)
from tests.rules.intention_cases import NAMES, any_intentions, intention, intentions

DENY_BY_ACL = default_policy(acls_enabled=True, acl_default_policy="deny")
ALLOW_BY_ACL = default_policy(acls_enabled=True, acl_default_policy="allow")
DEFAULTS = st.sampled_from((NO_ACLS, DENY_BY_ACL, ALLOW_BY_ACL))


@pytest.mark.parametrize(
    ("source", "destination", "strength"),
    [("web", "db", 9), ("*", "db", 8), ("web", "*", 6), ("*", "*", 5)],
)
def test_precedence_table(source: str, destination: str, strength: int) -> None:
    assert precedence(source, destination) == strength


@pytest.mark.parametrize(
    ("rows", "default", "allowed"),
    [
        ((), NO_ACLS, True),
        ((), DENY_BY_ACL, False),
        (("* -> * deny",), NO_ACLS, False),
        (("* -> * deny", "web -> db allow"), NO_ACLS, True),
        (("web -> * allow", "* -> db deny"), NO_ACLS, False),
        (("* -> * allow",), DENY_BY_ACL, True),
        (("* -> * deny", "web -> db judge"), NO_ACLS, False),
        (("web -> db deny",), NO_ACLS, False),
    ],
)
def test_may_web_connect_to_db(rows: tuple[str, ...], default: DefaultPolicy, allowed: bool) -> None:
    assert decide("web", "db", view_of(intentions(*rows), default)).is_allowed is allowed


def test_exact_pair_beats_any_source() -> None:
    assert decide("web", "db", view_of(intentions("* -> db deny", "web -> db allow"))).is_allowed


def test_any_source_beats_any_destination() -> None:
    verdict = decide("api", "web", view_of(intentions("api -> * allow", "* -> web deny")))
    assert verdict.rule == intention("* -> web deny")


def test_verdict_names_the_rule_and_what_it_beat() -> None:
    verdict = decide("web", "db", view_of(intentions("* -> * deny", "web -> * deny", "web -> db allow")))
    assert verdict.rule == intention("web -> db allow")
    assert verdict.considered == intentions("web -> * deny", "* -> * deny")


def test_without_a_match_the_default_is_the_rule() -> None:
    verdict = decide("web", "db", view_of(intentions("api -> db deny"), DENY_BY_ACL))
    assert verdict.rule == DENY_BY_ACL
    assert verdict.considered == ()


def test_intention_with_permissions_is_reachable_but_not_allowed() -> None:
    verdict = decide("web", "db", view_of(intentions("web -> db judge")))
    assert (verdict.is_allowed, verdict.judges_requests, verdict.is_reachable) == (False, True, True)


def test_plain_deny_is_not_reachable() -> None:
    assert not decide("web", "db", view_of(intentions("web -> db deny"))).is_reachable


@pytest.mark.parametrize(
    ("rows", "default", "reason"),
    [
        (
            (intention("web -> db allow"),),
            NO_ACLS,
            "Matched L4 intention: default/web => default/db (Precedence: 9, Action: ALLOW)",
        ),
        (
            (intention("* -> * deny"),),
            NO_ACLS,
            "Matched L4 intention: default/* => default/* (Precedence: 5, Action: DENY)",
        ),
        (
            (intention("web -> db judge"),),
            NO_ACLS,
            "Matched L7 intention: default/web => default/db (Precedence: 9, Permissions: 1)",
        ),
        (
            (
                msgspec.structs.replace(
                    intention("web -> db deny"), id="11111111-2222-3333-4444-555555555555"
                ),
            ),
            NO_ACLS,
            "Matched L4 intention: default/web => default/db "
            "(ID: 11111111-2222-3333-4444-555555555555, Precedence: 9, Action: DENY)",
        ),
        ((), NO_ACLS, "ACLs disabled, access is allowed by default"),
        ((), DENY_BY_ACL, "Default behavior configured by ACLs"),
    ],
)
def test_reason_is_the_sentence_of_authorize(
    rows: tuple[Intention, ...], default: DefaultPolicy, reason: str
) -> None:
    assert decide("web", "db", view_of(rows, default)).reason == reason


def test_default_policy_of_acls_counts_only_while_they_are_on() -> None:
    assert default_policy(acls_enabled=False, acl_default_policy="deny").action == "allow"
    assert default_policy(acls_enabled=True, acl_default_policy="deny").action == "deny"


def test_match_by_destination_takes_its_own_and_wildcards_strongest_first() -> None:
    rows = intentions("* -> * deny", "web -> api allow", "api -> db allow", "* -> db deny", "web -> db deny")
    assert match_destination(rows, "db") == intentions(
        "api -> db allow", "web -> db deny", "* -> db deny", "* -> * deny"
    )


def test_match_by_source_takes_its_own_and_wildcards_strongest_first() -> None:
    rows = intentions("* -> * deny", "web -> * allow", "api -> db allow", "* -> db deny", "web -> db deny")
    assert match_source(rows, "web") == intentions(
        "web -> db deny", "* -> db deny", "web -> * allow", "* -> * deny"
    )


def test_match_by_the_wildcard_looks_at_wildcards_only() -> None:
    rows = intentions("* -> * deny", "web -> db deny", "* -> db deny")
    assert match_source(rows, "*") == intentions("* -> db deny", "* -> * deny")


@given(any_intentions(), DEFAULTS, st.randoms(use_true_random=False))
def test_order_of_writes_never_changes_the_verdict(
    rows: tuple[Intention, ...], default: DefaultPolicy, shuffler: random.Random
) -> None:
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    for source in NAMES:
        for destination in NAMES:
            assert decide(source, destination, view_of(rows, default)) == decide(
                source, destination, view_of(shuffled, default)
            )


@given(any_intentions())
def test_precedence_is_total(rows: tuple[Intention, ...]) -> None:
    assert len({order(row) for row in rows}) == len(rows)


@given(any_intentions(), DEFAULTS)
def test_decision_agrees_with_reading_the_table_aloud(
    rows: tuple[Intention, ...], default: DefaultPolicy
) -> None:
    by_pair = {(row.source_name, row.destination_name): row for row in rows}
    for source in NAMES:
        for destination in NAMES:
            strongest_first = ((source, destination), ("*", destination), (source, "*"), ("*", "*"))
            expected = next((by_pair[pair] for pair in strongest_first if pair in by_pair), default)
            assert decide(source, destination, view_of(rows, default)).rule == expected


@given(any_intentions(), DEFAULTS)
def test_either_side_of_the_match_gives_the_same_verdict(
    rows: tuple[Intention, ...], default: DefaultPolicy
) -> None:
    for source in NAMES:
        for destination in NAMES:
            from_source = decide(source, destination, view_of(match_source(rows, source), default))
            to_destination = decide(
                source, destination, view_of(match_destination(rows, destination), default)
            )
            assert from_source == to_destination
