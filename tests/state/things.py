"""A small table for testing the log, and what tests do with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pellucid.state.sqlite import SqliteEngine
from pellucid.state.tables import Delete, Key, Put, Record, Table


class Thing(msgspec.Struct, frozen=True):
    name: str
    colour: str = ""
    tags: tuple[str, ...] = ()
    more: dict[str, Any] = {}


THINGS = Table.of(
    "things",
    Thing,
    lambda thing: (thing.name,),
    {"colour": lambda thing: (thing.colour,) if thing.colour else (), "tag": lambda thing: thing.tags},
)


def put(name: str, colour: str = "", *tags: str, always: bool = False) -> Put[Thing]:
    return Put(THINGS, Thing(name, colour, tags), always)


def delete(name: str) -> Delete:
    return Delete(THINGS, (name,))


def key(name: str) -> Key:
    return (name,)


class CountingEngine(SqliteEngine):
    """The SQLite engine, counting its transactions."""

    transactions = 0

    def append(self, revision: int, records: Sequence[Record]) -> None:
        self.transactions += 1
        super().append(revision, records)
