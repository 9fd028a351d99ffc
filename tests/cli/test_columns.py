"""Tables are aligned text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.cli.columns import columns

cells = st.text(st.characters(min_codepoint=33, max_codepoint=126))


def test_columns_are_as_wide_as_their_widest_cell_and_two_spaces_apart() -> None:
    assert columns([("Node", "ID"), ("n1", "ee6d986f")]) == "Node  ID\nn1    ee6d986f"


def test_an_empty_cell_is_blank_and_the_last_cell_is_not_padded() -> None:
    assert columns([("ID", "Source"), ("", "w")]) == "ID  Source\n    w"


@given(st.lists(st.tuples(cells, cells, cells), min_size=1))
def test_every_column_starts_at_the_same_place_in_every_row(rows: list[tuple[str, str, str]]) -> None:
    lines = columns(rows).split("\n")
    second = max(len(row[0]) for row in rows) + 2
    third = second + max(len(row[1]) for row in rows) + 2
    assert [(line[:second].rstrip(), line[second:third].rstrip(), line[third:]) for line in lines] == rows
