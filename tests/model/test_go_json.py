"""JSON bodies read as Go reads them, and refused in Go's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model.definitions import ServiceDefinition
from pellucid.model.go_json import GoJsonError, decode, parse
from pellucid.model.services import ServiceAddress

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def refusal(body: str | bytes) -> str:
    with pytest.raises(GoJsonError) as refused:
        decode(body, ServiceDefinition)
    return str(refused.value)


@pytest.mark.parametrize("key", ["TaggedAddresses", "taggedaddresses", "TAGGEDADDRESSES", "tagged_addresses"])
def test_field_names_match_in_any_case_and_by_alias(key: str) -> None:
    definition = decode(json.dumps({key: {"lan": {"address": "10.0.0.1", "PORT": 1}}}), ServiceDefinition)
    assert definition.tagged_addresses is not None
    assert definition.tagged_addresses["lan"].port == 1


def test_null_leaves_a_field_as_it_was() -> None:
    assert decode('{"Name": null, "Tags": null, "Proxy": null}', ServiceDefinition) == ServiceDefinition()


def test_body_null_is_an_empty_value() -> None:
    assert decode("null", ServiceDefinition) == ServiceDefinition()


@pytest.mark.parametrize("address", ["null", "{}", '{"Port": 0}'])
def test_what_is_not_given_is_empty_even_where_values_need_it(address: str) -> None:
    definition = decode(f'{{"TaggedAddresses": {{"lan": {address}}}}}', ServiceDefinition)
    assert definition.tagged_addresses == {"lan": ServiceAddress("", 0)}


def test_what_follows_the_first_value_is_ignored() -> None:
    assert decode('{"Name": "web"} and so on', ServiceDefinition).name == "web"


@pytest.mark.parametrize(("written", "nanoseconds"), [('"10s"', 10_000_000_000), ("10", 10), ("true", 0)])
def test_durations_are_text_or_nanoseconds(written: str, nanoseconds: int) -> None:
    definition = decode(f'{{"Check": {{"TTL": {written}}}}}', ServiceDefinition)
    assert definition.check is not None
    assert definition.check.ttl == nanoseconds


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"Bogus": 1}', 'json: unknown field "Bogus"'),
        ('{"Proxy": {"Bogus": 1}}', 'json: unknown field "Bogus"'),
        ('{"Namespace": "foo"}', 'json: unknown field "Namespace"'),
        ('{"Port": "80"}', "json: cannot unmarshal string into Go struct field .Port of type int"),
        ('{"Port": 1.5}', "json: cannot unmarshal number 1.5 into Go struct field .Port of type int"),
        ('{"Port": true}', "json: cannot unmarshal bool into Go struct field .Port of type int"),
        ('{"Name": 1}', "json: cannot unmarshal number into Go struct field .Name of type string"),
        ('{"Tags": "x"}', "json: cannot unmarshal string into Go struct field .Tags of type []string"),
        ('{"Tags": [1]}', "json: cannot unmarshal number into Go struct field .Tags of type string"),
        ('{"Meta": {"a": []}}', "json: cannot unmarshal array into Go struct field .Meta of type string"),
        ('{"Check": {"TTL": "10"}}', 'time: missing unit in duration "10"'),
        ("[]", "json: cannot unmarshal array into Go value of type structs.ServiceDefinition"),
        (
            '{"Port": "80", "Bogus": 1}',
            "json: cannot unmarshal string into Go struct field .Port of type int",
        ),
    ],
)
def test_misfits_are_told_in_gos_words(body: str, error: str) -> None:
    assert refusal(body) == error


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "EOF"),
        (" \n", "EOF"),
        ("{", "unexpected EOF"),
        ('{"a": "b', "unexpected EOF"),
        ("{not json", "invalid character 'n' looking for beginning of object key string"),
        ("garbage", "invalid character 'g' looking for beginning of value"),
        ("{'a': 1}", "invalid character '\\'' looking for beginning of object key string"),
        ('{"a": 1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a": 1 "b"}', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("tru}", "invalid character '}' in literal true (expecting 'e')"),
        ("nulL", "invalid character 'L' in literal null (expecting 'l')"),
        ("[-x]", "invalid character 'x' in numeric literal"),
        ("[1.x]", "invalid character 'x' after decimal point in numeric literal"),
        ("[1ex]", "invalid character 'x' in exponent of numeric literal"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ('"\\q"', "invalid character 'q' in string escape code"),
        ('"\\u12x"', "invalid character 'x' in \\u hexadecimal character escape"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("[" * 100_000, "exceeded max depth"),
    ],
)
def test_malformed_json_is_told_in_gos_words(body: str, error: str) -> None:
    assert refusal(body) == error


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert decode(r'{"Name": "a\ud800b"}', ServiceDefinition).name == "a\ufffdb"


def test_whole_surrogate_pairs_are_one_character() -> None:
    assert decode(r'{"Name": "\ud83d\ude00"}', ServiceDefinition).name == "😀"


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert decode(b'{"Name": "a\xff"}', ServiceDefinition).name == "a\ufffd"


def test_unknown_fields_may_be_let_pass() -> None:
    assert decode('{"Bogus": 1, "Name": "web"}', ServiceDefinition, unknown_fields=True).name == "web"


@given(JSON_VALUES)
def test_any_value_is_read_back(value: Any) -> None:
    assert parse(json.dumps(value)) == value


def reason(text: str) -> str | None:
    """Why `text` is refused; None if it is not."""
    try:
        parse(text)
    except GoJsonError as error:
        return str(error)
    return None


@given(
    JSON_VALUES.map(json.dumps).flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end]))
)
def test_text_cut_short_is_only_ever_too_short(text: str) -> None:
    assert reason(text) in (None, "EOF", "unexpected EOF")


@given(st.text(alphabet='{}[]",:01.-eE+ \\utrfalsn', max_size=20))
def test_refusal_always_names_the_end_or_a_character(text: str) -> None:
    told = reason(text)
    assert told in (None, "EOF", "unexpected EOF") or told.startswith("invalid character '")
