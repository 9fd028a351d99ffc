"""Snapshots: what a commit changes, and what it leaves as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.state import snapshot as snapshots
from pellucid.state.snapshot import Conflict, Snapshot
from pellucid.state.tables import (
    BucketSelector,
    Change,
    Put,
    RowSelector,
    Selector,
    TableSelector,
    ValuesSelector,
)
from tests.state.things import THINGS, Thing, delete, key, put


def after(*commits: list[Change], start: Snapshot | None = None) -> Snapshot:
    state = Snapshot() if start is None else start
    for changes in commits:
        state, _ = state.apply(changes)
    return state


def names(rows: tuple[object, ...]) -> list[str]:
    return [stored.value.name for stored in rows]  # type: ignore[attr-defined]


def test_a_commit_makes_the_next_revision_and_stamps_its_rows() -> None:
    state = after([put("a")], [put("b")], [put("a", "red")])
    assert state.revision == 3
    stored = state.get(THINGS, key("a"))
    assert stored is not None
    assert (stored.value, stored.create_index, stored.modify_index) == (Thing("a", "red"), 1, 3)


def test_an_older_snapshot_does_not_change() -> None:
    older = after([put("a", "red")])
    after([put("a", "blue"), put("b", "red")], start=older)
    assert names(older.rows(THINGS, "colour", "red")) == ["a"]
    assert older.rows(THINGS, "colour", "blue") == ()


def test_rows_come_in_key_order() -> None:
    state = after([put("c", "red"), put("a", "red"), put("b", "red")])
    assert names(state.rows(THINGS, "colour", "red")) == ["a", "b", "c"]
    assert names(state.all(THINGS)) == ["a", "b", "c"]


def test_a_row_is_found_under_each_of_its_index_values_and_no_longer_under_those_it_lost() -> None:
    state = after([put("a", "", "x", "y")], [put("a", "", "y", "z")])
    assert [names(state.rows(THINGS, "tag", tag)) for tag in "xyz"] == [[], ["a"], ["a"]]
    assert state.values(THINGS, "tag") == ("y", "z")


def test_an_index_value_given_twice_counts_once() -> None:
    state = after([put("a", "", "x", "x")], [delete("a")])
    assert state.values(THINGS, "tag") == ()


def test_an_unknown_index_is_an_error_even_while_the_table_is_empty() -> None:
    for state in (Snapshot(), after([put("a")])):
        with pytest.raises(KeyError, match="shape"):
            state.rows(THINGS, "shape", "round")


@pytest.mark.parametrize("changes", [[], [put("a", "red")], [delete("nothing")], [put("b"), delete("b")]])
def test_a_commit_that_changes_nothing_spends_no_revision(changes: list[Change]) -> None:
    state = after([put("a", "red")])
    same, batch = state.apply(changes)
    assert same is state
    assert batch.touched == ()


def test_a_put_that_must_always_count_moves_the_index_of_an_equal_row() -> None:
    state = after([put("a")], [put("a", always=True)])
    stored = state.get(THINGS, key("a"))
    assert stored is not None
    assert (stored.create_index, stored.modify_index) == (1, 2)


def test_the_last_change_of_a_row_in_a_commit_is_the_one_that_holds() -> None:
    state, batch = Snapshot().apply([put("a", "red"), put("a", "blue")])
    assert names(state.rows(THINGS, "colour", "blue")) == ["a"]
    assert state.rows(THINGS, "colour", "red") == ()
    assert len(batch.touched) == 1


def test_a_row_deleted_and_put_in_one_commit_is_a_new_row() -> None:
    state = after([put("a")], [delete("a"), put("a")])
    stored = state.get(THINGS, key("a"))
    assert stored is not None
    assert stored.create_index == 2


@pytest.mark.parametrize(("expected", "holds"), [(2, True), (1, False), (0, False)])
def test_compare_and_set_holds_only_for_the_index_the_row_has(expected: int, holds: bool) -> None:
    state = after([put("a")], [put("a", "red")])
    if holds:
        state.expecting({(THINGS, key("a")): expected})
    else:
        with pytest.raises(Conflict, match=f"things a: expected modify index {expected}, found 2"):
            state.expecting({(THINGS, key("a")): expected})


def test_compare_and_set_with_zero_means_the_row_must_not_exist() -> None:
    after([put("a")], [delete("a")]).expecting({(THINGS, key("a")): 0})


def test_the_stamp_of_what_vanished_is_the_revision_that_removed_it() -> None:
    state = after([put("a", "red")], [delete("a")], [put("b")])
    assert state.stamp(RowSelector(THINGS, key("a"))) == 2
    assert state.stamp(BucketSelector(THINGS, "colour", "red")) == 2


def test_the_values_of_an_index_move_only_when_one_appears_or_vanishes() -> None:
    state = after([put("a", "red")])
    colours = ValuesSelector(THINGS, "colour")
    cases: list[tuple[list[Change], bool]] = [
        ([put("b", "red")], False),
        ([put("b", "blue")], True),
        ([put("a", "blue"), put("b", "red")], False),
        ([delete("a")], True),
    ]
    for changes, moves in cases:
        stamp = state.stamp(colours)
        state, batch = state.apply(changes)
        assert (state.stamp(colours) > stamp) is moves
        assert (colours in batch.selectors()) is moves


def test_forgotten_tombstones_are_bounded_and_leave_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MAX_TOMBSTONES", 10)
    state = Snapshot()
    for i in range(100):
        state = after([put(f"t{i}", f"c{i}")], [delete(f"t{i}")], start=state)
        assert len(state._tombstones) <= 10
    assert 0 < state.floor < state.revision
    assert state.stamp(RowSelector(THINGS, key("t0"))) == state.floor
    assert state.stamp(RowSelector(THINGS, key("t99"))) == state.revision


def test_a_loaded_snapshot_has_the_rows_and_no_stamp_below_the_revision_but_rows_their_own() -> None:
    state = after([put("a", "red")], [put("b", "blue", "x")], [delete("a")])
    loaded = Snapshot.loaded(state.revision, {THINGS: {key("b"): state.all(THINGS)[0]}})
    assert loaded.all(THINGS) == state.all(THINGS)
    assert loaded.values(THINGS, "colour") == ("blue",)
    assert loaded.stamp(RowSelector(THINGS, key("b"))) == 2
    assert loaded.stamp(RowSelector(THINGS, key("a"))) == 3
    assert loaded.stamp(BucketSelector(THINGS, "tag", "x")) == 3


# Laws

few_names = st.sampled_from(["a", "b", "c"])
few_tags = st.lists(st.sampled_from("xyz"), max_size=2).map(tuple)
puts = st.builds(Put, st.just(THINGS), st.builds(Thing, few_names, st.sampled_from(["", "red"]), few_tags))
deletes = st.builds(delete, few_names)
histories = st.lists(st.lists(puts | deletes, min_size=1, max_size=3), max_size=25)

EVERY_SELECTOR: list[Selector] = [
    TableSelector(THINGS),
    ValuesSelector(THINGS, "colour"),
    ValuesSelector(THINGS, "tag"),
    BucketSelector(THINGS, "colour", "red"),
    *(BucketSelector(THINGS, "tag", tag) for tag in "xyz"),
    *(RowSelector(THINGS, key(name)) for name in "abc"),
]


def named_by(state: Snapshot, selector: Selector) -> object:
    match selector:
        case RowSelector(table, row_key):
            return state.get(table, row_key)
        case BucketSelector(table, index, value):
            return state.rows(table, index, value)
        case ValuesSelector(table, index):
            return state.values(table, index)
        case TableSelector(table):
            return state.all(table)


@given(histories)
def test_a_stamp_rises_exactly_when_what_it_stands_for_changes(history: list[list[Change]]) -> None:
    state = Snapshot()
    for changes in history:
        before = state
        state, batch = before.apply(changes)
        for selector in EVERY_SELECTOR:
            changed = named_by(state, selector) != named_by(before, selector)
            assert (selector in batch.selectors()) is changed
            assert state.stamp(selector) == (state.revision if changed else before.stamp(selector))


@given(histories, st.integers(0, 5))
def test_a_stamp_never_falls_even_when_tombstones_are_forgotten_or_the_state_is_loaded(
    history: list[list[Change]], kept: int
) -> None:
    state = Snapshot()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "MAX_TOMBSTONES", kept)
        for place, changes in enumerate(history):
            before = state
            state, batch = before.apply(changes)
            if place % 7 == 6:
                rows = {stored_key(stored): stored for stored in state.all(THINGS)}
                state = Snapshot.loaded(state.revision, {THINGS: rows} if rows else {})
            for selector in EVERY_SELECTOR:
                assert before.stamp(selector) <= state.stamp(selector) <= state.revision
                if selector in batch.selectors():
                    assert state.stamp(selector) == state.revision


def stored_key(stored: object) -> tuple[str, ...]:
    return THINGS.key(stored.value)  # type: ignore[attr-defined]


@given(histories)
def test_indexes_hold_what_a_search_of_the_table_finds(history: list[list[Change]]) -> None:
    state = after(*history)
    for index, values in THINGS.indexes.items():
        rows = state.all(THINGS)
        present = {value for stored in rows for value in values(stored.value)}
        assert state.values(THINGS, index) == tuple(sorted(present))  # type: ignore[type-var]
        for value in present:
            found = tuple(stored for stored in rows if value in set(values(stored.value)))
            assert state.rows(THINGS, index, value) == found
