"""Both forms of an access rule in Envoy, chains by identity and RBAC by request, say what `Access` says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from envoy.config.rbac.v3 import rbac_pb2
from hypothesis import given
from hypothesis import strategies as st

from pellucid.rules.access import Access
from pellucid.xds.lookup import allowed_sources as allowed_view
from pellucid.xds.lookup import source_rules
from pellucid.xds.resources import rbac
from pellucid.xds.resources.public_listener import allowed_sources
from tests.xds.mesh import Mesh

NAMES = ("a", "b", "a.b", "axb", "a-b", "b (old)")
KNOWN = ("a", "b", "a.b")

accesses = st.builds(Access, st.booleans(), st.frozensets(st.sampled_from(NAMES)))


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    made = Mesh()
    for name in KNOWN:
        made.register(name)
    return made


def lets_in(rules: Any, uri: str) -> bool:
    """What Envoy's RBAC filter does: the action if a policy matches, else its opposite."""
    expressions = [
        principal.authenticated.principal_name.safe_regex.regex
        for policy in rules.policies.values()
        for principal in policy.principals
    ]
    matched = any(re.fullmatch(expression, uri) for expression in expressions)
    allows: bool = rules.action == rbac_pb2.RBAC.ALLOW
    return matched if allows else not matched


def is_proxied(listener: Any, uri: str) -> bool:
    """What the inner listener does: the chain that its matcher names, and whether it leads anywhere."""
    matcher = listener.filter_chain_matcher
    chosen = matcher.matcher_tree.exact_match_map.map
    action = chosen[uri].action if uri in chosen else matcher.on_no_match.action
    name = action.typed_config.value[2:].decode()
    (chain,) = [chain for chain in listener.filter_chains if chain.name == name] or [None]
    return chain is not None and chain.filters[0].name.endswith("tcp_proxy")


@given(access=accesses)
def test_requests_are_judged_as_the_access_says(mesh: Mesh, access: Access) -> None:
    rules = rbac.rules(source_rules(access))
    for name in NAMES:
        assert lets_in(rules, mesh.authority.service_uri(name)) == access.allows(name), name


@given(access=accesses)
def test_connections_are_taken_as_the_access_says(mesh: Mesh, access: Access) -> None:
    listener = allowed_sources(allowed_view(mesh.engine.db, access))
    for name in NAMES:
        assert is_proxied(listener, mesh.authority.service_uri(name)) == access.allows(name), name


@given(before=accesses, after=accesses)
def test_a_change_of_access_leaves_alone_the_chains_of_known_services_it_does_not_concern(
    mesh: Mesh, before: Access, after: Access
) -> None:
    def chain_bytes(access: Access) -> dict[str, bytes]:
        listener = allowed_sources(allowed_view(mesh.engine.db, access))
        return {chain.name: chain.SerializeToString() for chain in listener.filter_chains}

    then, now = chain_bytes(before), chain_bytes(after)
    for name in KNOWN:
        uri = mesh.authority.service_uri(name)
        if before.allows(name) and after.allows(name):
            assert then[uri] == now[uri]
        if before.allows(name) and not after.allows(name):
            assert uri not in now
