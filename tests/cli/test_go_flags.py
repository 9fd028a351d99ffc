"""The flag grammar is Go's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.cli.go_flags import Flag, FlagError, FlagValues, HelpRequested, parse

FLAGS = (
    Flag("name", "a text"),
    Flag("cas", "a boolean", kind="boolean"),
    Flag("index", "an integer", kind="integer"),
    Flag("tag", "a list", kind="list"),
    Flag("meta", "pairs", kind="pairs"),
)
values = st.text(min_size=1).filter(lambda text: "\0" not in text)


def flags_of(*words: str) -> FlagValues:
    return parse(FLAGS, words)[0]


@given(values)
def test_value_after_a_space_and_after_an_equals_sign_are_the_same(value: str) -> None:
    assert flags_of("-name", value).text("name") == flags_of(f"-name={value}").text("name") == value


@given(values)
def test_one_dash_and_two_dashes_are_the_same(value: str) -> None:
    assert flags_of(f"--name={value}").text("name") == flags_of(f"-name={value}").text("name")


@given(st.lists(st.text()), st.booleans())
def test_everything_after_a_double_dash_is_positional(words: list[str], cas: bool) -> None:
    before = ["-cas"] if cas else []
    flags, rest = parse(FLAGS, [*before, "--", *words])
    assert (flags.boolean("cas"), rest) == (cas, tuple(words))


@given(st.lists(st.text()))
def test_parsing_stops_at_the_first_word_that_is_not_a_flag(words: list[str]) -> None:
    assert parse(FLAGS, ["stop", *words])[1] == ("stop", *words)


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_of_64_bits_are_read_back(number: int) -> None:
    assert flags_of(f"-index={number}").integer("index") == number


def test_a_lone_dash_is_positional() -> None:
    assert parse(FLAGS, ["-"])[1] == ("-",)


def test_a_boolean_does_not_take_the_next_word() -> None:
    flags, rest = parse(FLAGS, ["-cas", "false"])
    assert flags.boolean("cas") is True
    assert rest == ("false",)


@pytest.mark.parametrize("word", ["1", "t", "T", "TRUE", "true", "True"])
def test_true_has_six_spellings(word: str) -> None:
    assert flags_of(f"-cas={word}").boolean("cas") is True


@pytest.mark.parametrize("word", ["0", "f", "F", "FALSE", "false", "False"])
def test_false_has_six_spellings(word: str) -> None:
    assert flags_of("-cas", f"-cas={word}").boolean("cas") is False


def test_later_values_win_and_lists_collect() -> None:
    flags = flags_of("-name=a", "-tag=1", "-name=b", "-tag", "2", "-meta", "k=v", "-meta=x=y=z")
    assert flags.text("name") == "b"
    assert flags.list("tag") == ("1", "2")
    assert flags.pairs("meta") == {"k": "v", "x": "y=z"}


def test_an_empty_value_after_an_equals_sign_is_a_value() -> None:
    flags = flags_of("-name=")
    assert flags.given("name")
    assert flags.text("name") == ""


def test_absent_flags_have_their_defaults() -> None:
    flags, _ = parse((*FLAGS, Flag("status", "text", default=".*")), [])
    assert flags.text("status") == ".*"
    assert flags.text("name") == ""
    assert not flags.given("status")


@pytest.mark.parametrize("word", ["-h", "-help", "--help"])
def test_help_is_asked_for_by_three_words(word: str) -> None:
    with pytest.raises(HelpRequested):
        flags_of(word)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-bogus"], "flag provided but not defined: -bogus"),
        (["--bogus=1"], "flag provided but not defined: -bogus"),
        (["-name"], "flag needs an argument: -name"),
        (["-cas=maybe"], 'invalid boolean value "maybe" for -cas: parse error'),
        (["-index=ten"], 'invalid value "ten" for flag -index: parse error'),
        (
            ["-index", "9223372036854775808"],
            'invalid value "9223372036854775808" for flag -index: value out of range',
        ),
        (["---name"], "bad flag syntax: ---name"),
        (["-=x"], "bad flag syntax: -=x"),
    ],
)
def test_misuse_is_reported_in_gos_words(words: list[str], text: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(FLAGS, words)
    assert str(caught.value) == text
