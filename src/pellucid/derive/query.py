"""How a query is written, and what it may read.

The functions here only pass on: `engine` does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from pellucid.derive.memo import CellSelector
from pellucid.state.tables import (
    BucketSelector,
    Key,
    RowSelector,
    Selector,
    Stored,
    Table,
    TableSelector,
    ValuesSelector,
)

if TYPE_CHECKING:
    from pellucid.derive.engine import Engine

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class Query(Generic[P, T]):
    """A query, made from a function by `@query`. Calling it asks the engine behind `db`."""

    def __init__(self, function: Callable[Concatenate[Db, P], T]) -> None:
        self.function = function
        self.name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self.__doc__ = function.__doc__

    def __call__(self, db: Db, *args: P.args, **kwargs: P.kwargs) -> T:
        if kwargs:
            raise TypeError(f"{self.name} takes positional arguments only: they are its memo's key")
        value: T = db.engine.ask(self, args)
        return value

    def __repr__(self) -> str:
        return f"<query {self.name}>"


def query(function: Callable[Concatenate[Db, P], T]) -> Query[P, T]:
    """Make a query of a pure function whose first argument is the `Db` and whose others are hashable.

    The function reads only through the `Db` and through other queries, and returns an immutable,
    comparable value. A raised exception is remembered like a value until an input changes.
    """
    return Query(function)


class Db:
    """What a query reads: rows, buckets and tables of the snapshot, stamps, and cells."""

    __slots__ = ("engine",)

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def get(self, table: Table[R], key: Key) -> Stored[R] | None:
        """The row with this key, or None."""
        self.engine.record(RowSelector(table, key))
        return self.engine.snapshot.get(table, key)

    def rows(self, table: Table[R], index: str, value: Hashable) -> tuple[Stored[R], ...]:
        """The rows that have `value` in `index`, in key order."""
        self.engine.record(BucketSelector(table, index, value))
        return self.engine.snapshot.rows(table, index, value)

    def all(self, table: Table[R]) -> tuple[Stored[R], ...]:
        """Every row of the table, in key order."""
        self.engine.record(TableSelector(table))
        return self.engine.snapshot.all(table)

    def values(self, table: Table[Any], index: str) -> tuple[Hashable, ...]:
        """The values of an index that have at least one row, in order.

        Read this, not the rows, to know what exists: it changes only when a value appears or vanishes.
        """
        self.engine.record(ValuesSelector(table, index))
        return self.engine.snapshot.values(table, index)

    def stamp(self, selector: Selector) -> int:
        """The revision that last changed what the selector names.

        Of something that vanished long ago only the least revision it can be is known, and that rises
        as older deletions are forgotten; such a rise alone re-runs nothing.
        """
        self.engine.record(selector)
        return self.engine.snapshot.stamp(selector)

    def cell(self, name: Hashable, default: Any = None) -> Any:
        """The value the edge last set under this name."""
        self.engine.record(CellSelector(name))
        return self.engine.cell(name, default)
