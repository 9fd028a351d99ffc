"""What a table is, what a stored row is, and what can be asked of or done to it.

A table is declared once, with the type of its rows, the function that gives a row's key, and its
secondary indexes. A *selector* names something a reader may depend on: one row, one bucket of an
index, the values of an index, or a whole table. Commits stamp selectors; readers compare stamps.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

R = TypeVar("R")

Key = tuple[str, ...]
"""A row's primary key: one string per key field."""


class Stored(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """A row's value with the revisions of the commits that created and last changed it."""

    value: R
    create_index: int
    modify_index: int


@dataclass(frozen=True, eq=False)
class Table(Generic[R]):
    """A kind of row. Tables are compared by identity; `name` is what is persisted."""

    name: str
    key: Callable[[R], Key]
    encode: Callable[[R], bytes]
    decode: Callable[[Key, bytes], R]
    indexes: Mapping[str, Callable[[R], Iterable[Hashable]]] = field(default_factory=dict)
    """Index name -> the index values of a row (none, one or several), of one sortable type."""

    @classmethod
    def of(
        cls,
        name: str,
        row_type: type[R],
        key: Callable[[R], Key],
        indexes: Mapping[str, Callable[[R], Iterable[Hashable]]] | None = None,
    ) -> Table[R]:
        """A table whose rows are msgspec Structs, persisted as MessagePack."""
        decoder = msgspec.msgpack.Decoder(row_type)
        encoder = msgspec.msgpack.Encoder()
        return cls(name, key, encoder.encode, lambda _key, data: decoder.decode(data), indexes or {})


class RowSelector(msgspec.Struct, frozen=True, gc=False):
    """One row, by key."""

    table: Table[Any]
    key: Key


class BucketSelector(msgspec.Struct, frozen=True, gc=False):
    """All rows that have one value in one index."""

    table: Table[Any]
    index: str
    value: Hashable


class TableSelector(msgspec.Struct, frozen=True, gc=False):
    """All rows of a table."""

    table: Table[Any]


class ValuesSelector(msgspec.Struct, frozen=True, gc=False):
    """Which values of an index have any row at all: moves only when one appears or vanishes."""

    table: Table[Any]
    index: str


Selector = RowSelector | BucketSelector | TableSelector | ValuesSelector


class Put(msgspec.Struct, Generic[R], frozen=True):
    """Create the row, or replace the one with the same key.

    A put of an equal value changes nothing and moves no index, unless `always` is set
    (config entries move their index on every write).
    """

    table: Table[R]
    value: R
    always: bool = False


class Delete(msgspec.Struct, frozen=True):
    """Remove a row; removing an absent row changes nothing."""

    table: Table[Any]
    key: Key


Change = Put[Any] | Delete


class Unstorable(ValueError):
    """A value has something in it that cannot be kept; the commit it was in did not happen."""


class Record(msgspec.Struct, frozen=True):
    """A row as engines keep it. A deleted row has no value."""

    table: str
    key: Key
    value: bytes | None
    create_index: int = 0
    modify_index: int = 0


class Touched(msgspec.Struct, frozen=True):
    """What one change came to: a row before and after (None where it did not exist)."""

    table: Table[Any]
    key: Key
    before: Stored[Any] | None
    after: Stored[Any] | None

    def record(self) -> Record:
        """The row as it is to be kept. Raises Unstorable."""
        if self.after is None:
            return Record(self.table.name, self.key, None)
        try:
            value = self.table.encode(self.after.value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Unstorable(f"{self.table.name} {'/'.join(self.key)} cannot be stored: {error}") from error
        return Record(self.table.name, self.key, value, self.after.create_index, self.after.modify_index)


class Batch(msgspec.Struct, frozen=True):
    """One commit as applied: the revision it made and what it touched, each row at most once."""

    revision: int
    touched: tuple[Touched, ...]
    values_moved: frozenset[ValuesSelector] = frozenset()
    """The indexes in which a value appeared or vanished."""

    def records(self) -> tuple[Record, ...]:
        """What an engine keeps of it. Raises Unstorable."""
        return tuple(change.record() for change in self.touched)

    def selectors(self) -> set[Selector]:
        """Every selector whose stamp this commit moved."""
        moved: set[Selector] = set(self.values_moved)
        for change in self.touched:
            moved.add(TableSelector(change.table))
            moved.add(RowSelector(change.table, change.key))
            for stored in (change.before, change.after):
                if stored is not None:
                    for index, values in change.table.indexes.items():
                        moved.update(BucketSelector(change.table, index, v) for v in values(stored.value))
        return moved
