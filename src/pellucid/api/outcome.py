"""What a handler decides, for the edge to carry out.

A handler never waits and never writes: it answers at once (`Response`), names a query whose value
is the answer (`Read`), or names the changes that make the request true (`Commit`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.api.query_options import Answered, QueryOptions
from pellucid.api.response import EMPTY, JSON, Headers, Response
from pellucid.derive.engine import Query
from pellucid.state.snapshot import Conflict
from pellucid.state.tables import Change, Key, Table


@dataclass(frozen=True)
class Content:
    """The value of a query that answers a read: ready bytes, and when they last changed."""

    index: int
    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Headers = ()
    content_hash: str = ""
    """For reads that block on the content rather than on the index."""


@dataclass(frozen=True)
class Read:
    """Answer with the value of `query(db, *args)`, waiting for a change when the options ask for it."""

    query: Query[..., Content]
    args: tuple[Any, ...]
    options: QueryOptions
    answered: Answered | None
    """None for reads whose only header of this family is the index, or (index 0) not even that."""
    on_error: Headers = ()
    """Headers of the answer when the query raises an HttpError that has none."""
    sends_index: bool = True
    by_hash: bool = False
    repeatable: bool = False
    """True if the same target always leads to this read, whoever asks: it need not be decided again."""


@dataclass(frozen=True)
class Commit:
    """Make these changes in one commit, then answer."""

    changes: Sequence[Change]
    response: Response = EMPTY
    expect: Mapping[tuple[Table[Any], Key], int] = field(default_factory=dict)
    on_conflict: Callable[[Conflict], Response] | None = None
    """The answer when `expect` does not hold; without one the handler is run again."""
    committed: Callable[[], None] | None = None
    """Called once the changes hold, before the answer (to tell the check runner, for example)."""


Outcome = Response | Read | Commit | Awaitable[Response]
