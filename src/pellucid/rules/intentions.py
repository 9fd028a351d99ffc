"""Which intention decides a connection.

Intentions are compared by precedence, highest first: exact source and exact destination (9), any
source to exact destination (8), exact source to any destination (6), any to any (5). The first that
matches decides alone; with no match the default policy decides: allow while ACLs are off, else
`acl.default_policy`.

An intention with permissions speaks about requests, so a connection alone cannot settle it: the
source may be shown the destination (`is_reachable`), but nobody is promised access (`is_allowed`).

Imports only `model`. `derive`, `xds`, `api` and `explain` call it, so the HTTP API, every proxy and
every explanation give the same answer.
Source: Consul 1.10 docs, Intentions, "Precedence and Match Order"; agent/connect_auth.go.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pellucid.model.config_entries.service_intentions import ALLOW, DENY
from pellucid.model.intentions import Intention, order
from pellucid.model.names import WILDCARD


class DefaultPolicy(msgspec.Struct, frozen=True):
    """What decides when no intention matches."""

    action: str = ALLOW
    """`allow` or `deny`."""
    acls_enabled: bool = False


class IntentionView(msgspec.Struct, frozen=True):
    """The intentions a decision may look at, strongest first, and what holds without any.

    Rows that match one side of a connection are enough. Make one with `view_of`.
    """

    rows: tuple[Intention, ...] = ()
    default: DefaultPolicy = DefaultPolicy()


class Verdict(msgspec.Struct, frozen=True):
    """Whether a source may connect to a destination, and what says so."""

    action: str
    """`allow` or `deny` for the connection; `deny` where requests are judged one by one."""
    rule: Intention | DefaultPolicy
    """What decided."""
    considered: tuple[Intention, ...] = ()
    """The weaker intentions that match too, strongest first."""

    @property
    def is_allowed(self) -> bool:
        """The answer of intention checks and of `authorize`: every request would be let in."""
        return self.action == ALLOW

    @property
    def judges_requests(self) -> bool:
        """True when the deciding intention has permissions."""
        return isinstance(self.rule, Intention) and bool(self.rule.permissions)

    @property
    def is_reachable(self) -> bool:
        """The answer of topology and upstream inference: some request may be let in."""
        return self.is_allowed or self.judges_requests

    @property
    def reason(self) -> str:
        """The sentence `POST /v1/agent/connect/authorize` gives."""
        if isinstance(self.rule, DefaultPolicy):
            if self.rule.acls_enabled:
                return "Default behavior configured by ACLs"
            return "ACLs disabled, access is allowed by default"
        return _reason_of(self.rule)


def default_policy(*, acls_enabled: bool, acl_default_policy: str) -> DefaultPolicy:
    """What holds without intentions. acl_default_policy: `acl.default_policy` of the configuration."""
    if not acls_enabled:
        return DefaultPolicy(ALLOW, acls_enabled=False)
    return DefaultPolicy(ALLOW if acl_default_policy == ALLOW else DENY, acls_enabled=True)


NO_ACLS = default_policy(acls_enabled=False, acl_default_policy=ALLOW)


def view_of(rows: Iterable[Intention], default: DefaultPolicy = NO_ACLS) -> IntentionView:
    """The view of these intentions, in whatever order they come."""
    return IntentionView(tuple(sorted(rows, key=order)), default)


def match_destination(rows: Iterable[Intention], name: str) -> tuple[Intention, ...]:
    """The intentions that guard `name`: its own and those of every destination, strongest first."""
    return tuple(sorted((row for row in rows if row.destination_name in (name, WILDCARD)), key=order))


def match_source(rows: Iterable[Intention], name: str) -> tuple[Intention, ...]:
    """The intentions that speak of `name` as a source: its own and those of every source, strongest first."""
    return tuple(sorted((row for row in rows if row.source_name in (name, WILDCARD)), key=order))


def decide(source: str, destination: str, view: IntentionView) -> Verdict:
    """Say whether `source` may open a connection to `destination`; both are names of services."""
    matching = tuple(row for row in view.rows if matches(row, source, destination))
    if not matching:
        return Verdict(view.default.action, view.default)
    deciding, *weaker = matching
    action = ALLOW if deciding.action == ALLOW and not deciding.permissions else DENY
    return Verdict(action, deciding, tuple(weaker))


def matches(row: Intention, source: str, destination: str) -> bool:
    """True if the intention speaks about connections from `source` to `destination`."""
    return row.source_name in (source, WILDCARD) and row.destination_name in (destination, WILDCARD)


def _reason_of(row: Intention) -> str:
    layer = "L7" if row.permissions else "L4"
    substance = f"Permissions: {len(row.permissions)}" if row.permissions else f"Action: {row.action.upper()}"
    identity = f"ID: {row.id}, " if row.id else ""
    return (
        f"Matched {layer} intention: {row.source_ns}/{row.source_name} => "
        f"{row.destination_ns}/{row.destination_name} "
        f"({identity}Precedence: {row.precedence}, {substance})"
    )
