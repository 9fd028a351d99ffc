"""Flags as helm reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.helm.flags import Flag, Said, UsageError, parse, seconds

FLAGS = (
    Flag("namespace", "", short="n", default="default"),
    Flag("all", "", kind="boolean", short="a"),
    Flag("short", "", kind="boolean", short="q"),
    Flag("set", "", kind="list"),
    Flag("values", "", kind="comma list", short="f"),
    Flag("max", "", kind="integer", short="m", default=256),
    Flag("timeout", "", kind="duration", default=300.0),
    Flag("wait", "", bare="watcher"),
)


def read(line: str) -> tuple[Said, tuple[str, ...]]:
    return parse(FLAGS, line.split(" "), frozenset({"verify"}))


@pytest.mark.parametrize(
    "line", ["web --namespace shop", "web --namespace=shop", "-n shop web", "-nshop web", "web -n=shop"]
)
def test_a_value_has_many_spellings_and_flags_stand_anywhere(line: str) -> None:
    said, arguments = read(line)
    assert (said.text("namespace"), arguments) == ("shop", ("web",))


def test_letters_may_stand_together() -> None:
    said, _ = read("-aqn shop")
    assert (said.boolean("all"), said.boolean("short"), said.text("namespace")) == (True, True, "shop")


def test_after_two_dashes_everything_is_an_argument() -> None:
    said, arguments = read("web -- --all -n")
    assert (said.boolean("all"), arguments) == (False, ("web", "--all", "-n"))


def test_a_list_flag_gathers_values_and_only_some_split_at_commas() -> None:
    said, _ = read("--set a=1,b=2 --set c=3 -f x.yaml,y.yaml -f z.yaml")
    assert said.list("set") == ("a=1,b=2", "c=3")
    assert said.list("values") == ("x.yaml", "y.yaml", "z.yaml")


def test_a_flag_with_a_meaning_of_its_own_takes_no_following_word() -> None:
    said, arguments = read("--wait web")
    assert (said.text("wait"), arguments) == ("watcher", ("web",))
    assert read("--wait=legacy web")[0].text("wait") == "legacy"


def test_what_is_not_said_has_its_default() -> None:
    said, _ = read("web")
    assert (said.text("namespace"), said.integer("max"), said.text("wait")) == ("default", 256, "")
    assert not said.given("namespace")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--nope", "unknown flag: --nope"),
        ("-z", "unknown shorthand flag: 'z' in -z"),
        ("-az", "unknown shorthand flag: 'z' in -az"),
        ("--namespace", "flag needs an argument: --namespace"),
        ("-n", "flag needs an argument: 'n' in -n"),
        (
            "--max x",
            'invalid argument "x" for "-m, --max" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            "--all=maybe",
            'invalid argument "maybe" for "-a, --all" flag: '
            'strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        ("--timeout 5", 'invalid argument "5" for "--timeout" flag: time: invalid duration "5"'),
        ("--verify", "--verify is a flag of helm's that this program does not have"),
    ],
)
def test_what_does_not_fit_is_named(line: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(line)
    assert str(refused.value) == complaint


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5m0s", 300), ("1h30m", 5400), ("1.5s", 1.5), ("250ms", 0.25), ("0", 0), ("-2s", -2)],
)
def test_durations_are_gos(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "1m 2s", "5x", "1..2s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time: invalid duration"):
        seconds(text)


@given(st.integers(0, 100), st.integers(0, 59), st.integers(0, 59))
def test_a_durations_parts_add_up(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest


def test_a_timeout_is_never_shorter_than_it_was_said() -> None:
    for text, whole in (("1500ms", 2), ("2s", 2), ("1ms", 1)):
        assert read(f"--timeout {text}")[0].whole_seconds("timeout") == whole
