"""All tables at one revision, as an immutable value.

A snapshot is a handful of persistent hash maps, so taking one is free and applying a commit shares
everything it did not touch. Each selector has a stamp, the revision that last changed what it names.
Deletions leave their stamp behind (a tombstone) so that a reader of something that vanished sees the
index rise; tombstones are bounded, and `floor` is the stamp of whatever has been forgotten.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from immutables import Map

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


class Conflict(Exception):
    """A compare-and-set commit found another modify index than it expected; nothing was applied."""

    def __init__(self, table: Table[Any], key: Key, expected: int, actual: int) -> None:
        self.table, self.key, self.expected, self.actual = table, key, expected, actual
        super().__init__(f"{table.name} {'/'.join(key)}: expected modify index {expected}, found {actual}")


@dataclass(frozen=True, slots=True)
class Bucket:
    """The rows under one index value (or of one table), and the revision that last changed them."""

    rows: Rows
    changed_at: int


@dataclass(frozen=True, slots=True)
class Values:
    """The values of an index that have at least one row, and the revision that last changed the set."""

    values: Map[Hashable, None]
    changed_at: int


_EMPTY_ROWS: Rows = Map()
_NO_VALUES = Values(Map(), 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The value of every table at `revision`."""

    revision: int = 0
    floor: int = 0
    _tables: Map[str, Bucket] = Map()
    _buckets: Map[tuple[str, str, Hashable], Bucket] = Map()
    _tombstones: Map[tuple[str, Key], int] = Map()
    _values: Map[tuple[str, str], Values] = Map()

    # Reading

    def get(self, table: Table[R], key: Key) -> Stored[R] | None:
        """The row with this key, or None."""
        return cast("Stored[R] | None", self._rows_of(table).get(key))

    def rows(self, table: Table[R], index: str, value: Hashable) -> tuple[Stored[R], ...]:
        """The rows that have `value` in `index`, in key order."""
        bucket = self._buckets.get((table.name, index, value))
        return () if bucket is None else _in_key_order(bucket.rows)

    def all(self, table: Table[R]) -> tuple[Stored[R], ...]:
        """Every row of the table, in key order."""
        return _in_key_order(self._rows_of(table))

    def values(self, table: Table[Any], index: str) -> tuple[Hashable, ...]:
        """The values of an index that have at least one row, in order."""
        return tuple(sorted(self._values.get((table.name, index), _NO_VALUES).values))  # type: ignore[type-var]

    def stamp(self, selector: Selector) -> int:
        """The revision that last changed what the selector names; `floor` if nothing is known of it."""
        match selector:
            case RowSelector(table, key):
                stored = self._rows_of(table).get(key)
                if stored is not None:
                    return stored.modify_index
                return self._tombstones.get((table.name, key), self.floor)
            case BucketSelector(table, index, value):
                bucket = self._buckets.get((table.name, index, value))
            case TableSelector(table):
                bucket = self._tables.get(table.name)
            case ValuesSelector(table, index):
                values = self._values.get((table.name, index))
                return self.floor if values is None else values.changed_at
        return self.floor if bucket is None else bucket.changed_at

    def _rows_of(self, table: Table[Any]) -> Rows:
        bucket = self._tables.get(table.name)
        return _EMPTY_ROWS if bucket is None else bucket.rows

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
        after, values_moved = self._with(touched, revision)
        return after._forgetting_tombstones(), Batch(revision, touched, values_moved)

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

    def _with(self, touched: Sequence[Touched], revision: int) -> tuple[Snapshot, frozenset[ValuesSelector]]:
        tables = self._tables.mutate()
        buckets = self._buckets.mutate()
        tombstones = self._tombstones.mutate()
        moved: dict[ValuesSelector, list[tuple[Hashable, bool]]] = {}
        for change in touched:
            name, key = change.table.name, change.key
            tables[name] = _edited(tables.get(name), key, change.after, revision)
            if change.after is None:
                tombstones[name, key] = revision
            else:
                tombstones.pop((name, key), None)
            for index, values in change.table.indexes.items():
                new = set(values(change.after.value)) if change.after is not None else set()
                old = set(values(change.before.value)) if change.before is not None else set()
                for value in old | new:
                    after = change.after if value in new else None
                    place = (name, index, value)
                    bucket = buckets.get(place)
                    edited = buckets[place] = _edited(bucket, key, after, revision)
                    if bool(edited.rows) != bool(bucket and bucket.rows):
                        flips = moved.setdefault(ValuesSelector(change.table, index), [])
                        flips.append((value, bool(edited.rows)))
        snapshot = Snapshot(
            revision,
            self.floor,
            tables.finish(),
            buckets.finish(),
            tombstones.finish(),
            self._values_after(moved, revision),
        )
        return snapshot, frozenset(moved)

    def _values_after(
        self, moved: Mapping[ValuesSelector, Sequence[tuple[Hashable, bool]]], revision: int
    ) -> Map[tuple[str, str], Values]:
        values = self._values
        for selector, flips in moved.items():
            place = (selector.table.name, selector.index)
            known = values.get(place, _NO_VALUES).values.mutate()
            for value, present in flips:
                if present:
                    known[value] = None
                else:
                    known.pop(value, None)
            values = values.set(place, Values(known.finish(), revision))
        return values

    def _forgetting_tombstones(self) -> Snapshot:
        """Drop the older half of the tombstones once there are too many, raising the floor to match."""
        if len(self._tombstones) <= MAX_TOMBSTONES:
            return self
        stamps = sorted(self._tombstones.values())
        floor = stamps[len(stamps) // 2]
        tombstones = {place: at for place, at in self._tombstones.items() if at > floor}
        buckets = {place: b for place, b in self._buckets.items() if b.rows or b.changed_at > floor}
        return replace(self, floor=max(self.floor, floor), _tombstones=Map(tombstones), _buckets=Map(buckets))

    @classmethod
    def loaded(cls, revision: int, rows: Mapping[Table[Any], Mapping[Key, Stored[Any]]]) -> Snapshot:
        """The snapshot an engine starts from.

        Stamps are not persisted beyond each row's own, so every bucket and table counts as changed at
        the loaded revision: a blocking query wakes once after a restart, and no index ever falls.
        """
        tables: dict[str, Bucket] = {}
        members: dict[tuple[str, str, Hashable], dict[Key, Stored[Any]]] = {}
        for table, stored_rows in rows.items():
            tables[table.name] = Bucket(Map(stored_rows), revision)
            for key, stored in stored_rows.items():
                for index, values in table.indexes.items():
                    for value in values(stored.value):
                        members.setdefault((table.name, index, value), {})[key] = stored
        buckets = {place: Bucket(Map(found), revision) for place, found in members.items()}
        known: dict[tuple[str, str], dict[Hashable, None]] = {}
        for table_name, index, value in members:
            known.setdefault((table_name, index), {})[value] = None
        all_values = {place: Values(Map(found), revision) for place, found in known.items()}
        return cls(revision, revision, Map(tables), Map(buckets), Map(), Map(all_values))


def _edited(bucket: Bucket | None, key: Key, after: Stored[Any] | None, revision: int) -> Bucket:
    rows = _EMPTY_ROWS if bucket is None else bucket.rows
    if after is not None:
        rows = rows.set(key, after)
    elif key in rows:
        rows = rows.delete(key)
    return Bucket(rows, revision)


def _in_key_order(rows: Rows) -> tuple[Stored[Any], ...]:
    return tuple(rows[key] for key in sorted(rows))
