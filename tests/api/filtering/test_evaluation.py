from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.api.filtering import filtered, predicate
from pellucid.api.filtering.fields import (
    BOOLEAN,
    INTEGER,
    TEXT,
    TEXT_MAP,
    TEXTS,
    ListOf,
    Record,
)
from pellucid.api.filtering.regular_expressions import MAX_UNBOUNDED
from pellucid.api.filtering.syntax import FilterError
from pellucid.api.response import HttpError

RECORD = Record(
    {
        "Name": TEXT,
        "Port": INTEGER,
        "Native": BOOLEAN,
        "Tags": TEXTS,
        "Meta": TEXT_MAP,
        "Inner": Record({"Mode": TEXT}),
        "Upstreams": ListOf(Record({"Name": TEXT})),
    }
)
FULL = {
    "Name": "web",
    "Port": 80,
    "Native": True,
    "Tags": ["v1", "prod"],
    "Meta": {"k": "v", "empty": ""},
    "Inner": {"Mode": "direct"},
    "Upstreams": [{"Name": "db"}, {"Name": "api"}],
}
BARE: Mapping[str, Any] = {}


@pytest.mark.parametrize(
    ("expression", "of_full", "of_bare"),
    [
        ("Name == web", True, False),
        ("Name != web", False, True),
        ("e in Name", True, False),
        ("Name not contains x", True, True),
        ("Name matches `^w.b$`", True, False),
        ("Name not matches `^w.b$`", False, True),
        ("Port == 80", True, False),
        ("Port == 0", False, True),
        ("Native == true", True, False),
        ("Native != true", False, True),
        ("v1 in Tags", True, False),
        ("v1 not in Tags", False, True),
        ("Tags is empty", False, True),
        ("Tags is not empty", True, False),
        ("k in Meta", True, False),
        ("Meta is empty", False, True),
        ("Meta.k == v", True, False),
        ("Meta.k != v", False, True),
        ("Meta.missing == v", False, False),
        ("Meta.missing != v", True, True),
        ("v in Meta.missing", False, False),
        ("v not in Meta.missing", True, True),
        ("Meta.missing matches `.*`", False, False),
        ("Meta.empty == ``", True, False),
        ("Inner.Mode == direct", True, False),
        ("Upstreams.Name == api", True, False),
        ("Upstreams is empty", False, True),
        ("not Name == web", False, True),
        ("Name == web and Port == 81 or Native == true", True, False),
    ],
)
def test_an_expression_tests_fields_by_their_type(expression: str, of_full: bool, of_bare: bool) -> None:
    test = predicate(expression, RECORD)
    assert test(FULL) is of_full
    assert test(BARE) is of_bare


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("Bogus == 1", 'Selector "Bogus" is not valid'),
        ("Name.more == 1", 'Selector "Name.more" is not valid'),
        ("Inner.Bogus == 1", 'Selector "Inner.Bogus" is not valid'),
        ("Port contains 8", 'Invalid match operator "In" for selector "Port"'),
        ("Name is empty", 'Invalid match operator "Is Empty" for selector "Name"'),
        ("Tags == v1", 'Invalid match operator "Equal" for selector "Tags"'),
        ("Inner == x", 'Invalid match operator "Equal" for selector "Inner"'),
        (
            "Port == x",
            'Failed to coerce value "x" for selector "Port": strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            "Native == maybe",
            'Failed to coerce value "maybe" for selector "Native": '
            'strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
    ],
)
def test_what_the_fields_do_not_allow_is_refused(expression: str, error: str) -> None:
    with pytest.raises(FilterError) as raised:
        predicate(expression, RECORD)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a*b*)*", "(?=a)", r"(a)\1", "a*" * (MAX_UNBOUNDED + 1), "((a{2,}){3})", "x" * 257],
)
def test_a_pattern_that_could_run_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(FilterError, match="cannot be used"):
        predicate(f"Name matches `{pattern}`", RECORD)


@pytest.mark.parametrize("pattern", ["^api-.*-v[0-9]+$", "(a|b)+c", "a{2,5}b*", "[a-z]+"])
def test_ordinary_patterns_are_used(pattern: str) -> None:
    assert predicate(f"Name matches `{pattern}`", RECORD)(BARE) is False


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(FilterError, match="error parsing regexp"):
        predicate("Name matches `(`", RECORD)


@given(st.lists(st.sampled_from(["a", "b"]), max_size=4), st.sampled_from(["a", "b", "c"]))
def test_a_match_and_its_negation_share_the_objects_between_them(tags: list[str], tag: str) -> None:
    item = {"Tags": tags}
    assert predicate(f"{tag} in Tags", RECORD)(item) is not predicate(f"{tag} not in Tags", RECORD)(item)


def test_no_expression_selects_everything() -> None:
    assert filtered("", RECORD, [FULL, BARE]) == [FULL, BARE]


def test_a_filter_that_cannot_be_used_is_a_server_error_in_consuls_words() -> None:
    with pytest.raises(HttpError) as raised:
        filtered("Bogus == 1", RECORD, [FULL])
    assert raised.value.status == 500
    assert raised.value.text == (
        'Failed to create boolean expression evaluator: Selector "Bogus" is not valid'
    )
