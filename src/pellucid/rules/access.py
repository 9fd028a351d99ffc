"""One side of every decision at once: who may call a service, and whom a service may call.

`decide` answers for one pair. A proxy needs the answer for everybody, in a form that does not grow with
the mesh: the names that intentions single out, and what holds for all others. The two agree for every
pair; a property test holds them to it.

Source: the precedence of `rules.intentions`. Rows are compared strongest first, and the first row that
speaks of every name on the far side hides all rows after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pellucid.model.config_entries.service_intentions import ALLOW
from pellucid.model.intentions import Intention
from pellucid.model.names import WILDCARD
from pellucid.rules.intentions import DefaultPolicy, match_destination, match_source


class Access(msgspec.Struct, frozen=True):
    """Which names are allowed: `exceptions` are the ones that differ from `otherwise`, in order."""

    otherwise: bool
    exceptions: frozenset[str] = frozenset()

    def allows(self, name: str) -> bool:
        """Whether `name` is allowed."""
        return self.otherwise != (name in self.exceptions)


def callers_of(rows: Iterable[Intention], destination: str, default: DefaultPolicy) -> Access:
    """Who may open a connection to `destination`.

    An intention with permissions lets nobody in by itself: a connection alone cannot settle it.
    """
    return _summarised(match_destination(rows, destination), lambda row: row.source_name, _lets_in, default)


def reachable_from(rows: Iterable[Intention], source: str, default: DefaultPolicy) -> Access:
    """Whom `source` may try to reach; an intention with permissions counts as reachable.

    Source: Consul 1.10 docs, "Transparent Proxy", upstreams inferred from intentions.
    """
    return _summarised(match_source(rows, source), lambda row: row.destination_name, _may_let_in, default)


def _summarised(
    rows: Iterable[Intention],
    far_side: Callable[[Intention], str],
    allows: Callable[[Intention], bool],
    default: DefaultPolicy,
) -> Access:
    decided: dict[str, bool] = {}
    otherwise = default.action == ALLOW
    for row in rows:
        if far_side(row) == WILDCARD:
            otherwise = allows(row)
            break
        decided.setdefault(far_side(row), allows(row))
    return Access(otherwise, frozenset(name for name, allowed in decided.items() if allowed != otherwise))


def _lets_in(row: Intention) -> bool:
    return row.action == ALLOW and not row.permissions


def _may_let_in(row: Intention) -> bool:
    return row.action == ALLOW or bool(row.permissions)
