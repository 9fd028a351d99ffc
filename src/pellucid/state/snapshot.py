"""All tables at one revision, as an immutable value.

A snapshot is a handful of persistent hash maps, so taking one is free and applying a commit shares
everything it did not touch. Each selector has a stamp, the revision that last changed what it names.
What vanishes (a row, the last row of a bucket) leaves its stamp behind, a tombstone, so that a reader of
it sees the index rise; tombstones are bounded, and `floor` is the stamp of whatever has been forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, TypeVar, cast

import msgspec
from immutables import Map, MapMutation

from pellucid.state.tables import (
    Batch,
    BucketSelector,
    Change,
    Delete,
    Key,
    RowSelector,
    Selector,
    Stored,
    Table,
    TableSelector,
    Touched,
    ValuesSelector,
)

R = TypeVar("R")

MAX_TOMBSTONES = 16_384

Rows = Map[Key, Stored[Any]]
Place = tuple[str, Key] | tuple[str, str, Hashable]
"""Where a tombstone stands: (table, key) for a row, (table, index, value) for a bucket."""
Tombstones = MapMutation[Place, int]


class Conflict(Exception):
    """A compare-and-set commit found another modify index than it expected; nothing was applied."""

    def __init__(self, table: Table[Any], key: Key, expected: int, actual: int) -> None:
        self.table, self.key, self.expected, self.actual = table, key, expected, actual
        super().__init__(f"{table.name} {'/'.join(key)}: expected modify index {expected}, found {actual}")


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """The rows under one value of an index, at least one, and the revision that last changed them."""

    rows: Rows
    changed_at: int


class Index(msgspec.Struct, frozen=True, gc=False):
    """The buckets of an index, and the revision at which one last appeared or vanished."""

    buckets: Map[Hashable, Bucket]
    changed_at: int


class Contents(msgspec.Struct, frozen=True):
    """The rows of a table, the revision that last changed any of them, and its indexes by name."""

    rows: Rows
    changed_at: int
    indexes: Mapping[str, Index]


_EMPTY_ROWS: Rows = Map()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The value of every table at `revision`."""

    revision: int = 0
    floor: int = 0
    _tables: Map[str, Contents] = field(default=Map(), repr=False)
    _tombstones: Map[Place, int] = field(default=Map(), repr=False)

    # Reading

    def get(self, table: Table[R], key: Key) -> Stored[R] | None:
        """The row with this key, or None."""
        contents = self._tables.get(table.name)
        return None if contents is None else cast("Stored[R] | None", contents.rows.get(key))

    def rows(self, table: Table[R], index: str, value: Hashable) -> tuple[Stored[R], ...]:
        """The rows that have `value` in `index`, in key order."""
        bucket = self._index(table, index).buckets.get(value)
        return () if bucket is None else _in_key_order(bucket.rows)

    def all(self, table: Table[R]) -> tuple[Stored[R], ...]:
        """Every row of the table, in key order."""
        contents = self._tables.get(table.name)
        return () if contents is None else _in_key_order(contents.rows)

    def values(self, table: Table[Any], index: str) -> tuple[Hashable, ...]:
        """The values of an index that have at least one row, in order."""
        return tuple(sorted(self._index(table, index).buckets))  # type: ignore[type-var]

    def stamp(self, selector: Selector) -> int:
        """The revision that last changed what the selector names; `floor` if nothing is known of it."""
        match selector:
            case RowSelector(table, key):
                stored = self.get(table, key)
                return self._vanished_at((table.name, key)) if stored is None else stored.modify_index
            case BucketSelector(table, index, value):
                bucket = self._index(table, index).buckets.get(value)
                return self._vanished_at((table.name, index, value)) if bucket is None else bucket.changed_at
            case ValuesSelector(table, index):
                return self._index(table, index).changed_at
            case TableSelector(table):
                contents = self._tables.get(table.name)
                return self.floor if contents is None else contents.changed_at

    def _index(self, table: Table[Any], index: str) -> Index:
        contents = self._tables.get(table.name)
        return (contents or _empty(table, self.floor)).indexes[index]

    def _vanished_at(self, place: Place) -> int:
        return self._tombstones.get(place, self.floor)

    # Changing

    def expecting(self, expect: Mapping[tuple[Table[Any], Key], int]) -> None:
        """Check modify indexes before a commit; 0 means "must not exist". Raises Conflict."""
        for (table, key), expected in expect.items():
            stored = self.get(table, key)
            actual = 0 if stored is None else stored.modify_index
            if actual != expected:
                raise Conflict(table, key, expected, actual)

    def apply(self, changes: Sequence[Change]) -> tuple[Snapshot, Batch]:
        """The snapshot after a commit, and what it touched.

        When nothing changes the same snapshot comes back with an empty batch: no revision is spent.
        """
        revision = self.revision + 1
        touched = self._touched_by(changes, revision)
        if not touched:
            return self, Batch(self.revision, ())
        by_table: dict[Table[Any], list[Touched]] = {}
        for change in touched:
            by_table.setdefault(change.table, []).append(change)
        tombstones = self._tombstones.mutate()
        tables = self._tables
        values_moved: list[ValuesSelector] = []
        for table, edits in by_table.items():
            contents = tables.get(table.name) or _empty(table, self.floor)
            edited = _edited(contents, table, edits, revision, tombstones)
            values_moved += [
                ValuesSelector(table, name)
                for name, index in edited.indexes.items()
                if index.changed_at == revision
            ]
            tables = tables.set(table.name, edited)
        after = Snapshot(revision, self.floor, tables, tombstones.finish())
        return after._forgetting_tombstones(), Batch(revision, touched, frozenset(values_moved))

    def _touched_by(self, changes: Sequence[Change], revision: int) -> tuple[Touched, ...]:
        latest: dict[tuple[str, Key], Touched] = {}
        for change in changes:
            table = change.table
            key = change.key if isinstance(change, Delete) else table.key(change.value)
            earlier = latest.get((table.name, key))
            current = earlier.after if earlier else self.get(table, key)
            if isinstance(change, Delete):
                after = None
            elif current is not None and current.value == change.value and not change.always:
                continue
            else:
                created = current.create_index if current is not None else revision
                after = Stored(change.value, created, revision)
            before = earlier.before if earlier else current
            latest[table.name, key] = Touched(table, key, before, after)
        return tuple(t for t in latest.values() if t.before is not None or t.after is not None)

    def _forgetting_tombstones(self) -> Snapshot:
        """Drop the older half of the tombstones once there are too many, raising the floor to match."""
        if len(self._tombstones) <= MAX_TOMBSTONES:
            return self
        stamps = sorted(self._tombstones.values())
        floor = stamps[len(stamps) // 2]
        kept = {place: stamp for place, stamp in self._tombstones.items() if stamp > floor}
        return replace(self, floor=floor, _tombstones=Map(kept))

    @classmethod
    def loaded(cls, revision: int, rows: Mapping[Table[Any], Mapping[Key, Stored[Any]]]) -> Snapshot:
        """The snapshot an engine starts from.

        Stamps are not persisted beyond each row's own, so every bucket and table counts as changed at
        the loaded revision: a blocking query wakes once after a restart, and no index ever falls.
        """
        tables = {table.name: _contents(table, stored, revision) for table, stored in rows.items()}
        return cls(revision, revision, Map(tables), Map())


def _empty(table: Table[Any], floor: int) -> Contents:
    return Contents(_EMPTY_ROWS, floor, dict.fromkeys(table.indexes, Index(Map(), floor)))


def _contents(table: Table[Any], rows: Mapping[Key, Stored[Any]], revision: int) -> Contents:
    indexes = {}
    for name, values in table.indexes.items():
        members: dict[Hashable, dict[Key, Stored[Any]]] = {}
        for key, stored in rows.items():
            for value in values(stored.value):
                members.setdefault(value, {})[key] = stored
        buckets = {value: Bucket(Map(found), revision) for value, found in members.items()}
        indexes[name] = Index(Map(buckets), revision)
    return Contents(Map(rows), revision, indexes)


def _edited(
    contents: Contents, table: Table[Any], edits: Sequence[Touched], revision: int, tombstones: Tombstones
) -> Contents:
    """A table after some of its rows were touched; what vanished is added to the tombstones."""
    for edit in edits:
        if edit.after is None:
            tombstones[table.name, edit.key] = revision
        elif edit.before is None:
            tombstones.pop((table.name, edit.key), None)
    rows = _with_rows(contents.rows, [(edit.key, edit.after) for edit in edits])
    indexes = {}
    for name, values in table.indexes.items():
        index = contents.indexes[name]
        members = _membership(edits, values)
        indexes[name] = _reindexed(index, (table.name, name), members, revision, tombstones)
    return Contents(rows, revision, indexes)


Edit = tuple[Key, Stored[Any] | None]
"""A row to set, or (None) to take out."""


def _membership(
    edits: Iterable[Touched], values: Callable[[Any], Iterable[Hashable]]
) -> dict[Hashable, list[Edit]]:
    """What touched rows mean for an index: for each of its values, the rows that are under it or left it."""
    members: dict[Hashable, list[Edit]] = {}
    for edit in edits:
        now = () if edit.after is None else tuple(values(edit.after.value))
        for value in now:
            members.setdefault(value, []).append((edit.key, edit.after))
        if edit.before is not None:
            for value in values(edit.before.value):
                if value not in now:
                    members.setdefault(value, []).append((edit.key, None))
    return members


def _reindexed(
    index: Index,
    place: tuple[str, str],
    members: Mapping[Hashable, Sequence[Edit]],
    revision: int,
    tombstones: Tombstones,
) -> Index:
    if not members:
        return index
    changed_at = index.changed_at
    buckets = index.buckets.mutate()
    for value, edits in members.items():
        before = buckets.get(value)
        rows = _with_rows(_EMPTY_ROWS if before is None else before.rows, edits)
        if rows:
            buckets[value] = Bucket(rows, revision)
        elif before is not None:
            del buckets[value]
            tombstones[(*place, value)] = revision
        if before is None:
            tombstones.pop((*place, value), None)
        if (before is None) == bool(rows):
            changed_at = revision
    return Index(buckets.finish(), changed_at)


def _with_rows(rows: Rows, edits: Sequence[Edit]) -> Rows:
    if len(edits) == 1:
        ((key, stored),) = edits
        return rows.set(key, stored) if stored is not None else rows.delete(key)
    mutable = rows.mutate()
    for key, stored in edits:
        if stored is None:
            mutable.pop(key, None)
        else:
            mutable[key] = stored
    return mutable.finish()


def _in_key_order(rows: Rows) -> tuple[Stored[Any], ...]:
    return tuple(stored for _, stored in sorted(rows.items(), key=itemgetter(0)))
