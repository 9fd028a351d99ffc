from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.api.filtering.parser import MAX_DEPTH, MAX_LENGTH, parse
from pellucid.api.filtering.syntax import And, Expression, FilterError, Match, Not, Operator, Or, written

NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="`", exclude_categories=("Cs",)), max_size=12)
SELECTORS = st.tuples(NAMES, st.lists(TEXTS, max_size=2)).map(lambda parts: (parts[0], *parts[1]))
WITH_VALUE = st.sampled_from(sorted(set(Operator) - {Operator.IS_EMPTY, Operator.IS_NOT_EMPTY}))
MATCHES = st.builds(Match, SELECTORS, WITH_VALUE, TEXTS) | st.builds(
    Match, SELECTORS, st.sampled_from((Operator.IS_EMPTY, Operator.IS_NOT_EMPTY))
)
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    MATCHES,
    lambda inner: st.builds(Not, inner) | st.builds(And, inner, inner) | st.builds(Or, inner, inner),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_what_is_written_is_read_back(expression: Expression) -> None:
    assert parse(written(expression)) == expression


def read(text: str) -> Expression | str:
    """The expression, or the text of the error."""
    try:
        return parse(text)
    except FilterError as error:
        return str(error)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_an_error_that_says_where(text: str) -> None:
    assert not isinstance(found := read(text), str) or found.startswith(("1:", "2:", "3:")) or "\n" in text


@given(
    st.lists(st.sampled_from(["not", "(", ")", "a", "==", "in", '"x"', "1", "and", "or", "is", "empty", "."]))
)
def test_any_words_in_any_order_are_an_expression_or_an_error(words: list[str]) -> None:
    assert not isinstance(found := read(" ".join(words)), str) or "no match found, expected: " in found


def match(selector: str, operator: Operator, value: str = "") -> Match:
    return Match(tuple(selector.split(".")), operator, value)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("Service == web", match("Service", Operator.EQUAL, "web")),
        ('Service=="web"', match("Service", Operator.EQUAL, "web")),
        ("Kind == `mesh-gateway`", match("Kind", Operator.EQUAL, "mesh-gateway")),
        ("Port != 80", match("Port", Operator.NOT_EQUAL, "80")),
        ("Weight == -1.50", match("Weight", Operator.EQUAL, "-1.50")),
        ("Service.Meta.version == v1", match("Service.Meta.version", Operator.EQUAL, "v1")),
        ('Meta["k8s-namespace"] == default', match("Meta.k8s-namespace", Operator.EQUAL, "default")),
        ("Meta[ `a` ] is empty", match("Meta.a", Operator.IS_EMPTY)),
        ("Tags is not empty", match("Tags", Operator.IS_NOT_EMPTY)),
        ("v1 in Tags", match("Tags", Operator.IN, "v1")),
        ('"v 1" not in Tags', match("Tags", Operator.NOT_IN, "v 1")),
        ("Tags contains v1", match("Tags", Operator.IN, "v1")),
        ("Tags not contains v1", match("Tags", Operator.NOT_IN, "v1")),
        ("Service matches `^w`", match("Service", Operator.MATCHES, "^w")),
        ("Service not matches `^w`", match("Service", Operator.NOT_MATCHES, "^w")),
        (r'a == "x\\\n\x41\u00e9\101"', match("a", Operator.EQUAL, "x\\\nA\u00e9A")),
        ("notable == x", match("notable", Operator.EQUAL, "x")),
        ("  ( a == b )  ", match("a", Operator.EQUAL, "b")),
    ],
)
def test_a_match_reads_as_it_looks(text: str, expression: Match) -> None:
    assert parse(text) == expression


def test_and_binds_closer_than_or_and_not_closest() -> None:
    a, b, c = (match(name, Operator.IS_EMPTY) for name in "abc")
    assert parse("not a is empty and b is empty or c is empty") == Or(And(Not(a), b), c)
    assert parse("a is empty and (b is empty or c is empty)") == And(a, Or(b, c))
    assert parse("not (a is empty and not b is empty)") == Not(And(a, Not(b)))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "Meta.k8s-namespace == default",
            '1:9 (8): no match found, expected: "!=", ".", "==", "[", [ \\t\\r\\n] or [a-zA-Z0-9_]',
        ),
        (
            "Service",
            '1:8 (7): no match found, expected: "!=", ".", "==", "[", [ \\t\\r\\n] or [a-zA-Z0-9_]',
        ),
        ('Meta."external-node" == x', "1:6 (5): no match found, expected: [a-zA-Z]"),
        (
            "a == é",
            '1:6 (5): no match found, expected: "-", "0", "\\"", "`", [ \\t\\r\\n], [1-9] or [a-zA-Z]',
        ),
        ('a == "x', '1:8 (7): rule "string": Unterminated string literal'),
        (r'a == "\q"', '1:10 (9): rule "string": invalid syntax'),
        ("a ==\nb ==", '2:3 (7): no match found, expected: "and", "or", [ \\t\\r\\n] or EOF'),
    ],
)
def test_an_error_names_the_place_and_what_would_be_right_there(text: str, error: str) -> None:
    with pytest.raises(FilterError) as raised:
        parse(text)
    assert str(raised.value) == error


def test_length_and_depth_are_limited() -> None:
    with pytest.raises(FilterError, match="at most"):
        parse("a" * (MAX_LENGTH + 1))
    with pytest.raises(FilterError, match="nested more than"):
        parse("(" * (MAX_DEPTH + 1) + "a is empty" + ")" * (MAX_DEPTH + 1))
    assert parse("(" * MAX_DEPTH + "a is empty" + ")" * MAX_DEPTH) == match("a", Operator.IS_EMPTY)
