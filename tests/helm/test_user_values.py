"""Values from files and `--set` flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.helm.user_values import merged
from tests.helm.command_line import Helm

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
TREES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(TREES, TREES)
def test_what_is_on_top_is_there_and_merging_it_twice_changes_nothing(base: Any, over: Any) -> None:
    once = merged(base, over)
    assert merged(once, over) == once
    assert merged({}, over) == over
    assert merged(base, {}) == base


def test_an_index_changes_one_element_and_leaves_the_others() -> None:
    base = {"list": [1, {"a": 1, "b": 2}, 3]}
    assert merged(base, {"list": [None, {"b": 9}]}, by_index=True) == {"list": [1, {"a": 1, "b": 9}, 3]}
    assert merged(base, {"list": [None, None, None, 4]}, by_index=True)["list"][3] == 4
    assert merged(base, {"list": [7]}) == {"list": [7]}


def shown(helm: Helm, *words: str, text: str = "") -> dict[str, str]:
    """The words of the demo shop, as the chart saw them."""
    import yaml

    rendered = helm.ok("template", "shop", "-s", "templates/shop.yaml", *words, text=text)
    data: dict[str, str] = next(yaml.safe_load_all(rendered))["data"]
    return data


def test_later_kinds_of_flags_win(helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("greeting: file\ncolours: [a, b, c]\n")
    (tmp_path / "two.yaml").write_text("greeting: second file\n")
    files = ("-f", str(tmp_path / "one.yaml"), "--values", str(tmp_path / "two.yaml"))
    assert shown(helm, *files) == {"greeting": "second file", "colours": "a,b,c"}
    assert shown(helm, "--set", "greeting=set", *files)["greeting"] == "set"
    assert shown(helm, "--set-json", 'greeting="json"', "--set", "greeting=set")["greeting"] == "set"
    assert shown(helm, "--set-string", "greeting=07", "--set", "greeting=set")["greeting"] == "07"
    assert shown(helm, "--set-literal", "greeting=a,b=c")["greeting"] == "a,b=c"


def test_lists_are_replaced_and_changed_by_index(helm: Helm) -> None:
    assert shown(helm, "--set", "colours={blue}")["colours"] == "blue"
    assert shown(helm, "--set-json", '{"colours": ["x", "y", "z"]}', "--set", "colours[1]=blue") == {
        "greeting": "hello",
        "colours": "x,blue,z",
    }


def test_values_come_from_files_and_standard_input(helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "word.txt").write_text("from a file")
    assert shown(helm, "--set-file", f"greeting={tmp_path}/word.txt")["greeting"] == "from a file"
    assert shown(helm, "-f", "-", text="greeting: piped")["greeting"] == "piped"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-f", "nowhere.yaml"], "open nowhere.yaml: no such file or directory"),
        (["-f", "http://127.0.0.1/x.yaml"], "values are read from files only"),
        (["--set", "a"], 'failed parsing --set data: key "a" has no value'),
        (["--set-json", "{a"], "failed parsing --set-json data {a"),
    ],
)
def test_bad_values_are_named(helm: Helm, words: list[str], complaint: str) -> None:
    assert complaint in helm.failing("template", "shop", *words)
