"""What the engine remembers: one memo per query and arguments.

Memos point at each other by what they recorded: `calls` downwards, always, and `readers` upwards while
they are live. Only the engine changes a memo.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import msgspec

from pellucid.state.tables import Selector

if TYPE_CHECKING:
    from pellucid.derive.engine import Subscription
    from pellucid.derive.query import Query


class Cycle(Exception):
    """A query came to depend on itself; the message is the path, each query with its arguments."""


class CellSelector(msgspec.Struct, frozen=True):
    """A value set by the edge of the program, by name."""

    name: Hashable


Input = Selector | CellSelector


class Raised:
    """A value that stands for an error: what a memo holds when its query raised. Compared by content."""

    __slots__ = ("error",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, error: Exception) -> None:
        self.error = error.with_traceback(None)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Raised)
            and type(other.error) is type(self.error)
            and other.error.args == self.error.args
        )


class NeverRun:
    """The value of a memo before its first run; equal to nothing."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return False


NEVER_RUN = NeverRun()
NEVER = -1


class Memo:
    """One query for one set of arguments, and what it came to."""

    __slots__ = (
        "__weakref__",
        "args",
        "calls",
        "changed_at",
        "height",
        "inputs",
        "query",
        "readers",
        "running",
        "stale",
        "subscriptions",
        "value",
        "verified_at",
        "verified_revision",
    )

    def __init__(self, query: Query[..., Any], args: tuple[Hashable, ...]) -> None:
        self.query, self.args = query, args
        self.value: Any = NEVER_RUN
        self.inputs: tuple[Input, ...] = ()
        self.calls: tuple[Memo, ...] = ()
        self.readers: dict[Memo, None] = {}
        self.subscriptions: dict[Subscription[Any], None] = {}
        self.height = 0
        self.changed_at = NEVER
        """The engine's clock when the value last changed."""
        self.verified_at = NEVER
        """The engine's clock when the value was last known to be right."""
        self.verified_revision = NEVER
        """The snapshot's revision at that time."""
        self.stale = False
        self.running = False

    @property
    def live(self) -> bool:
        """True while a subscription depends on it."""
        return bool(self.readers) or bool(self.subscriptions)

    @property
    def in_cycle(self) -> bool:
        """True if it depends on itself, or on something that does. Such a value is not kept."""
        return type(self.value) is Raised and isinstance(self.value.error, Cycle)

    def __repr__(self) -> str:
        return f"{self.query.name}({', '.join(map(repr, self.args))})"


class Run:
    """A memo's query under way, with what it has read so far."""

    __slots__ = ("calls", "cycle", "inputs", "memo")

    def __init__(self, memo: Memo) -> None:
        self.memo = memo
        self.inputs: dict[Input, None] = {}
        self.calls: dict[Memo, None] = {}
        self.cycle: Cycle | None = None
