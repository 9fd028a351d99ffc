"""One side of all decisions at once says the same as each decision alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.model.intentions import Intention
from pellucid.rules.access import callers_of, reachable_from
from pellucid.rules.intentions import NO_ACLS, DefaultPolicy, decide, default_policy, view_of
from tests.rules.intention_cases import NAMES, any_intentions, intentions

DENY_BY_ACL = default_policy(acls_enabled=True, acl_default_policy="deny")
DEFAULTS = st.sampled_from((NO_ACLS, DENY_BY_ACL))
UNNAMED = "a-service-no-intention-names"


@given(any_intentions(), DEFAULTS)
def test_callers_agree_with_decide(rows: tuple[Intention, ...], default: DefaultPolicy) -> None:
    for destination in NAMES:
        access = callers_of(rows, destination, default)
        for source in (*NAMES, UNNAMED):
            assert access.allows(source) == decide(source, destination, view_of(rows, default)).is_allowed


@given(any_intentions(), DEFAULTS)
def test_reach_agrees_with_decide(rows: tuple[Intention, ...], default: DefaultPolicy) -> None:
    for source in NAMES:
        access = reachable_from(rows, source, default)
        for destination in (*NAMES, UNNAMED):
            assert (
                access.allows(destination) == decide(source, destination, view_of(rows, default)).is_reachable
            )


def test_size_does_not_grow_with_intentions_that_say_what_holds_anyway() -> None:
    rows = intentions("* -> * deny", "web -> db deny", "api -> db allow")
    access = callers_of(rows, "db", NO_ACLS)
    assert (access.otherwise, access.exceptions) == (False, frozenset({"api"}))
