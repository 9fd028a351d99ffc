"""Intentions as derived values: the rows that speak of a service, and what they come to."""

from __future__ import annotations

from pellucid.derive.engine import Db, query
from pellucid.derive.entries import service_intentions
from pellucid.model.config_entries import ServiceIntentions
from pellucid.model.intentions import Intention, rows_of
from pellucid.model.names import WILDCARD
from pellucid.rules.access import Access, callers_of, reachable_from
from pellucid.rules.intentions import NO_ACLS, DefaultPolicy, Verdict, decide, view_of
from pellucid.state.mesh_tables import CONFIG_ENTRIES

INTENTION_DEFAULT = "intention-default"
"""The cell that holds the DefaultPolicy of this agent."""


@query
def default_policy(db: Db) -> DefaultPolicy:
    """What holds where no intention speaks."""
    policy: DefaultPolicy = db.cell(INTENTION_DEFAULT, NO_ACLS)
    return policy


@query
def intentions_to(db: Db, destination: str) -> tuple[Intention, ...]:
    """The intentions that guard a service: its own and those of every destination."""
    names = dict.fromkeys((destination, WILDCARD))
    entries = [service_intentions(db, name) for name in names]
    return tuple(row for entry in entries if entry for row in rows_of(entry))


@query
def intentions_from(db: Db, source: str) -> tuple[Intention, ...]:
    """The intentions that speak of a service as a source: its own and those of every source."""
    names = (source, WILDCARD)
    entries = {
        stored.value.name: stored.value
        for name in dict.fromkeys(names)
        for stored in db.rows(CONFIG_ENTRIES, "intention-source", name)
        if isinstance(stored.value, ServiceIntentions)
    }
    return tuple(row for entry in entries.values() for row in rows_of(entry) if row.source_name in names)


@query
def callers(db: Db, destination: str) -> Access:
    """Who may open a connection to a service."""
    return callers_of(intentions_to(db, destination), destination, default_policy(db))


@query
def reachable(db: Db, source: str) -> Access:
    """Whom a service may try to reach."""
    return reachable_from(intentions_from(db, source), source, default_policy(db))


@query
def verdict(db: Db, source: str, destination: str) -> Verdict:
    """Whether a service may connect to another, and which intention says so."""
    return decide(source, destination, view_of(intentions_to(db, destination), default_policy(db)))
