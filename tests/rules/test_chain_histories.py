"""A mesh that was only ever changed by accepted writes has no broken chain."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pellucid.model.config_entries import ConfigEntry, ServiceIntentions
from pellucid.rules.chain import compile_chain
from pellucid.rules.chain_graph import EntrySet, check_delete, check_write
from pellucid.rules.chain_nodes import ChainError
from pellucid.rules.compiled_chain import RESOLVER, SPLITTER, CompiledDiscoveryChain
from pellucid.rules.protocol import is_http_like
from tests.rules.entries import entry, redirect, router, splitter, subsets

SERVICES = ("a", "b", "c")
"""Those that entries are written for; `d` is only ever led to."""

services = st.sampled_from(SERVICES)
destinations = st.fixed_dictionaries({}, optional={"Service": services, "ServiceSubset": st.just("v1")})


def judged(service: str) -> ConfigEntry:
    permissions = [{"Action": "deny", "HTTP": {"PathPrefix": "/"}}]
    return entry("service-intentions", service, Sources=[{"Name": "x", "Permissions": permissions}])


def listener(protocol: str, service: str) -> ConfigEntry:
    behind = [{"Name": service}]
    return entry("ingress-gateway", "gw", Listeners=[{"Port": 80, "Protocol": protocol, "Services": behind}])


protocols = st.sampled_from(("tcp", "http"))
writes = st.one_of(
    st.builds(lambda p: entry("proxy-defaults", "global", Config={"protocol": p}), protocols),
    st.builds(lambda s, p: entry("service-defaults", s, Protocol=p), services, protocols | st.just("")),
    st.builds(lambda s, to: router(s, ("/x", to)), services, destinations),
    st.builds(lambda s, to: splitter(s, (60, to), (40, {"Service": "d"})), services, destinations),
    st.builds(lambda s, to: redirect(s, Service=to), services, services),
    st.builds(lambda s: subsets(s, "v1", DefaultSubset="v1"), services),
    st.builds(lambda s, to: subsets(s, "v1", Failover={"*": {"Service": to}}), services, services),
    st.builds(judged, services),
    st.builds(listener, protocols, services),
)
deletes = st.tuples(
    st.sampled_from(
        ("service-defaults", "service-router", "service-splitter", "service-resolver", "proxy-defaults")
    ),
    services | st.just("global"),
)


def written(before: EntrySet, made: ConfigEntry) -> EntrySet:
    try:
        check_write(before, made)
    except ChainError:
        return before
    return before.with_entry(made)


def deleted(before: EntrySet, kind: str, name: str) -> EntrySet:
    try:
        check_delete(before, kind, name)
    except ChainError:
        return before
    return before.without(kind, name)


def chain_of(service: str, mesh: EntrySet) -> CompiledDiscoveryChain:
    return compile_chain(service, mesh.find, datacenter="dc1", trust_domain="x.consul")


def require_sound(chain: CompiledDiscoveryChain) -> None:
    assert chain.start_node in chain.nodes
    for key, node in chain.nodes.items():
        assert key == node.key
        assert set(node.next_nodes) <= chain.nodes.keys()
        if node.type == SPLITTER:
            assert round(sum(split.weight for split in node.splits), 2) == 100
            assert all(chain.nodes[split.next_node].type == RESOLVER for split in node.splits)
        if node.resolver is not None:
            failover = node.resolver.failover.targets if node.resolver.failover else ()
            assert {node.resolver.target, *failover} <= chain.targets.keys()


@given(st.lists(writes | deletes, max_size=25))
def test_accepted_changes_never_break_a_chain(changes: Sequence[ConfigEntry | tuple[str, str]]) -> None:
    mesh = EntrySet()
    for change in changes:
        mesh = deleted(mesh, *change) if isinstance(change, tuple) else written(mesh, change)
    for service in SERVICES:
        require_sound(chain_of(service, mesh))
    for intentions in mesh.of(ServiceIntentions):
        assert is_http_like(chain_of(intentions.name, mesh).protocol)


@given(st.lists(writes, max_size=12), writes)
def test_entry_just_accepted_is_accepted_again(changes: Sequence[ConfigEntry], last: ConfigEntry) -> None:
    mesh = EntrySet()
    for change in changes:
        mesh = written(mesh, change)
    if written(mesh, last) is not mesh:
        check_write(mesh.with_entry(last), last)
