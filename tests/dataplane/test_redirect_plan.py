"""The plan's laws, by walking its rules the way the kernel does."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dataplane.redirect_plan import (
    CHAINS,
    Family,
    RedirectPlan,
    Rule,
    apply_script,
    is_installed,
    plan_redirection,
    undo_script,
)
from pellucid.dataplane.redirect_settings import RedirectSettings

PROXY_UID = 5995

ports = st.integers(1, 65535)
ids = st.integers(0, 2**32 - 2)
addresses = {4: st.ip_addresses(v=4), 6: st.ip_addresses(v=6)}
cidrs = st.builds(
    lambda address, prefix: ip_network((address, min(prefix, address.max_prefixlen)), strict=False),
    st.ip_addresses(),
    st.integers(0, 128),
)
settings = st.builds(
    RedirectSettings,
    proxy_uid=st.just(PROXY_UID),
    proxy_mark=st.none() | st.integers(1, 2**32 - 1),
    inbound_port=st.just(20000),
    outbound_port=st.just(15001),
    include_inbound_ports=st.none() | st.lists(ports, max_size=3).map(tuple),
    include_outbound_cidrs=st.none() | st.lists(cidrs, max_size=3).map(tuple),
    exclude_inbound_ports=st.lists(ports, max_size=3).map(tuple),
    exclude_outbound_ports=st.lists(ports, max_size=3).map(tuple),
    exclude_outbound_cidrs=st.lists(cidrs, max_size=3).map(tuple),
    exclude_uids=st.lists(ids, max_size=3).map(tuple),
    exclude_gids=st.lists(ids, max_size=3).map(tuple),
)


class Connection(NamedTuple):
    destination: str
    port: int
    uid: int = 1000
    gid: int = 1000
    mark: int = 0
    out_interface: str = "eth0"


def landing_port(plan: RedirectPlan, hook: str, connection: Connection) -> int | None:
    """Where the kernel sends the connection: a port of the proxy, or None for its own destination."""
    family = Family.IPV4 if ip_address(connection.destination).version == 4 else Family.IPV6
    return _walk(plan.rules(family), hook, connection)


def _walk(rules: tuple[Rule, ...], chain: str, connection: Connection) -> int | None:
    for rule in rules:
        if rule.chain != chain or not _applies(rule, connection):
            continue
        if rule.target == "RETURN":
            return None
        if rule.target == "REDIRECT":
            return rule.to_port
        if (landed := _walk(rules, rule.target, connection)) is not None:
            return landed
    return None


def _applies(rule: Rule, connection: Connection) -> bool:
    destination = ip_address(connection.destination)
    return (
        (rule.destination is None or destination in ip_network(rule.destination))
        and (rule.not_destination is None or destination not in ip_network(rule.not_destination))
        and rule.out_interface in (None, connection.out_interface)
        and rule.destination_port in (None, connection.port)
        and rule.owner_uid in (None, connection.uid)
        and rule.owner_gid in (None, connection.gid)
        and rule.mark in (None, connection.mark)
    )


connections = st.builds(
    Connection,
    destination=st.ip_addresses().map(str),
    port=ports,
    uid=ids,
    gid=ids,
    mark=st.just(0),
    out_interface=st.just("eth0"),
)


@given(settings, connections)
def test_the_proxys_own_connections_are_never_redirected(
    wanted: RedirectSettings, connection: Connection
) -> None:
    plan = plan_redirection(wanted)
    assert landing_port(plan, "OUTPUT", connection._replace(uid=PROXY_UID)) is None
    if wanted.proxy_mark is not None:
        assert landing_port(plan, "OUTPUT", connection._replace(mark=wanted.proxy_mark)) is None


@given(settings, connections, st.data())
def test_excluded_outbound_connections_keep_their_destination(
    wanted: RedirectSettings, connection: Connection, data: st.DataObject
) -> None:
    plan = plan_redirection(wanted)
    excluded = [
        *(connection._replace(port=port) for port in wanted.exclude_outbound_ports),
        *(connection._replace(uid=uid) for uid in wanted.exclude_uids),
        *(connection._replace(gid=gid) for gid in wanted.exclude_gids),
        *(connection._replace(destination=str(cidr[0])) for cidr in wanted.exclude_outbound_cidrs),
        *(connection._replace(destination=str(cidr[-1])) for cidr in wanted.exclude_outbound_cidrs),
        connection._replace(destination="127.0.0.1"),
        connection._replace(destination="::1"),
    ]
    assert landing_port(plan, "OUTPUT", data.draw(st.sampled_from(excluded))) is None


@given(settings, connections)
def test_what_is_included_and_not_excluded_lands_on_the_outbound_port(
    wanted: RedirectSettings, connection: Connection
) -> None:
    destination = ip_address(connection.destination)
    exempt = (
        connection.uid in (PROXY_UID, *wanted.exclude_uids)
        or connection.gid in wanted.exclude_gids
        or connection.port in wanted.exclude_outbound_ports
        or any(destination in cidr for cidr in wanted.exclude_outbound_cidrs)
        or connection.destination in ("127.0.0.1", "::1")
    )
    included = wanted.include_outbound_cidrs is None or any(
        destination in cidr for cidr in wanted.include_outbound_cidrs
    )
    expected = wanted.outbound_port if included and not exempt else None
    assert landing_port(plan_redirection(wanted), "OUTPUT", connection) == expected


@given(settings, connections)
def test_inbound_connections_land_on_the_inbound_port_unless_excluded(
    wanted: RedirectSettings, connection: Connection
) -> None:
    included = wanted.include_inbound_ports is None or connection.port in wanted.include_inbound_ports
    expected = (
        wanted.inbound_port if included and connection.port not in wanted.exclude_inbound_ports else None
    )
    assert landing_port(plan_redirection(wanted), "PREROUTING", connection) == expected


@given(settings)
def test_only_our_chains_and_two_jumps_are_ever_named(wanted: RedirectSettings) -> None:
    plan = plan_redirection(wanted)
    for family in Family:
        rules = plan.rules(family)
        assert {rule.chain for rule in rules} <= {"PREROUTING", "OUTPUT", *CHAINS}
        jumps = [(rule.chain, rule.target) for rule in rules if rule.chain in ("PREROUTING", "OUTPUT")]
        assert jumps == [("PREROUTING", "CONSUL_PROXY_INBOUND"), ("OUTPUT", "CONSUL_PROXY_OUTPUT")]


RULE = re.compile(
    r"-A (?P<chain>\S+)(?: -d (?P<destination>\S+))?(?: ! -d (?P<not_destination>\S+))?"
    r"(?: -o (?P<out_interface>\S+))?(?P<tcp> -p tcp)?(?: -m tcp --dport (?P<destination_port>\d+))?"
    r"(?: -m owner --uid-owner (?P<owner_uid>\d+))?(?: -m owner --gid-owner (?P<owner_gid>\d+))?"
    r"(?: -m mark --mark (?P<mark>0x[0-9a-f]+))? -j (?P<target>\S+)(?: --to-ports (?P<to_port>\d+))?"
)


def parsed(line: str) -> Rule:
    match = RULE.fullmatch(line)
    assert match is not None, line
    fields: dict[str, str | int | bool | None] = dict(match.groupdict())
    fields["tcp"] = fields["tcp"] is not None
    for name in ("destination_port", "owner_uid", "owner_gid", "mark", "to_port"):
        if (text := match[name]) is not None:
            fields[name] = int(text, 0)
    return Rule(**fields)  # type: ignore[arg-type]


@given(settings)
def test_a_rendered_rule_says_all_that_the_rule_says(wanted: RedirectSettings) -> None:
    plan = plan_redirection(wanted)
    for family in Family:
        lines = [line for line in apply_script(plan, family).splitlines() if line.startswith("-A")]
        assert tuple(map(parsed, lines)) == plan.rules(family)


@given(settings, settings)
def test_applying_over_another_plan_removes_that_plans_jumps(
    before: RedirectSettings, after: RedirectSettings
) -> None:
    installed = apply_script(plan_redirection(before), Family.IPV4)
    script = apply_script(plan_redirection(after), Family.IPV4, installed).splitlines()
    assert "-D PREROUTING -p tcp -j CONSUL_PROXY_INBOUND" in script
    assert "-D OUTPUT -p tcp -j CONSUL_PROXY_OUTPUT" in script


def test_a_changed_rule_is_not_the_plan() -> None:
    plan = plan_redirection(RedirectSettings(proxy_uid=PROXY_UID))
    installed = apply_script(plan, Family.IPV4)
    assert is_installed(plan, Family.IPV4, installed)
    assert not is_installed(plan, Family.IPV4, installed.replace("20000", "20001"))
    assert not is_installed(plan, Family.IPV4, "")


def test_undoing_nothing_does_nothing() -> None:
    assert undo_script("*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j RETURN\nCOMMIT\n") == ""


def test_dry_run_shows_consuls_rules_for_both_families() -> None:
    plan = plan_redirection(RedirectSettings(proxy_uid=PROXY_UID, exclude_outbound_ports=(5432,)))
    assert plan.render() == IPV4_SCRIPT + "\n" + IPV6_SCRIPT


def test_kuma_style_self_calls_land_on_the_inbound_port() -> None:
    plan = plan_redirection(RedirectSettings(proxy_uid=PROXY_UID, self_calls_to_inbound=True))
    own = Connection("10.0.0.7", 8080, out_interface="lo")
    assert landing_port(plan, "OUTPUT", own) == 20000
    assert landing_port(plan, "OUTPUT", own._replace(destination="127.0.0.1")) is None


@pytest.mark.parametrize("family", list(Family))
def test_no_inbound_port_means_no_inbound_rule(family: Family) -> None:
    plan = plan_redirection(RedirectSettings(proxy_uid=PROXY_UID, inbound_port=None))
    assert {rule.chain for rule in plan.rules(family)} == {
        "OUTPUT",
        "CONSUL_PROXY_OUTPUT",
        "CONSUL_PROXY_REDIRECT",
    }


IPV4_SCRIPT = """\
# iptables-restore --noflush
*nat
:CONSUL_PROXY_INBOUND - [0:0]
:CONSUL_PROXY_IN_REDIRECT - [0:0]
:CONSUL_PROXY_OUTPUT - [0:0]
:CONSUL_PROXY_REDIRECT - [0:0]
-A PREROUTING -p tcp -j CONSUL_PROXY_INBOUND
-A OUTPUT -p tcp -j CONSUL_PROXY_OUTPUT
-A CONSUL_PROXY_INBOUND -p tcp -j CONSUL_PROXY_IN_REDIRECT
-A CONSUL_PROXY_IN_REDIRECT -p tcp -j REDIRECT --to-ports 20000
-A CONSUL_PROXY_OUTPUT -m owner --uid-owner 5995 -j RETURN
-A CONSUL_PROXY_OUTPUT -p tcp -m tcp --dport 5432 -j RETURN
-A CONSUL_PROXY_OUTPUT -d 127.0.0.1/32 -j RETURN
-A CONSUL_PROXY_OUTPUT -j CONSUL_PROXY_REDIRECT
-A CONSUL_PROXY_REDIRECT -p tcp -j REDIRECT --to-ports 15001
COMMIT
"""

IPV6_SCRIPT = IPV4_SCRIPT.replace("iptables", "ip6tables").replace("127.0.0.1/32", "::1/128")
