"""The rules that hand a workload's traffic to its proxy, as data.

A plan holds, for IPv4 and for IPv6, the full content of four chains of our own in the nat table and the
two jumps that lead into them:

    PREROUTING -> CONSUL_PROXY_INBOUND -> CONSUL_PROXY_IN_REDIRECT -> REDIRECT to the inbound port
    OUTPUT     -> CONSUL_PROXY_OUTPUT  -> CONSUL_PROXY_REDIRECT    -> REDIRECT to the outbound port

It renders to one `iptables-restore --noflush` transaction per family: all of it or nothing. Declaring a
chain empties it, so applying again replaces our rules and cannot meet "Chain already exists"; foreign
chains and rules are never named. Rules are spelt as `iptables-save` spells them, so what the kernel holds
can be compared with the plan line by line.

Source of names, order and exemptions: Consul 1.10 sdk/iptables (IPv4 there; here IPv6 likewise, with
::1/128 where Consul has 127.0.0.1/32).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec

from pellucid.dataplane.redirect_settings import IpNetwork, RedirectSettings

INBOUND = "CONSUL_PROXY_INBOUND"
IN_REDIRECT = "CONSUL_PROXY_IN_REDIRECT"
OUTPUT = "CONSUL_PROXY_OUTPUT"
REDIRECT = "CONSUL_PROXY_REDIRECT"

CHAINS = (INBOUND, IN_REDIRECT, OUTPUT, REDIRECT)


class Family(Enum):
    """An address family, with the one loopback address whose traffic is never redirected.

    REDIRECT sends locally opened connections to that same address, so the proxy has to listen there.
    """

    IPV4 = (4, "127.0.0.1/32", "iptables")
    IPV6 = (6, "::1/128", "ip6tables")

    def __init__(self, version: int, loopback: str, command: str) -> None:
        self.version = version
        self.loopback = loopback
        self.command = command


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of the nat table; a condition that is None is not asked."""

    chain: str
    target: str
    """A chain of ours, RETURN or REDIRECT."""
    destination: str | None = None
    not_destination: str | None = None
    out_interface: str | None = None
    tcp: bool = False
    destination_port: int | None = None
    owner_uid: int | None = None
    owner_gid: int | None = None
    mark: int | None = None
    to_port: int | None = None
    """Where REDIRECT sends the connection."""

    def render(self) -> str:
        """The rule as `iptables-save` prints it."""
        return " ".join(("-A", self.chain, *self._conditions(), "-j", self.target, *self._target_options()))

    def _conditions(self) -> Iterator[str]:
        if self.destination is not None:
            yield f"-d {self.destination}"
        if self.not_destination is not None:
            yield f"! -d {self.not_destination}"
        if self.out_interface is not None:
            yield f"-o {self.out_interface}"
        if self.tcp:
            yield "-p tcp"
        if self.destination_port is not None:
            yield f"-m tcp --dport {self.destination_port}"
        if self.owner_uid is not None:
            yield f"-m owner --uid-owner {self.owner_uid}"
        if self.owner_gid is not None:
            yield f"-m owner --gid-owner {self.owner_gid}"
        if self.mark is not None:
            yield f"-m mark --mark {self.mark:#x}"

    def _target_options(self) -> Iterator[str]:
        if self.to_port is not None:
            yield f"--to-ports {self.to_port}"


class RedirectPlan(msgspec.Struct, frozen=True):
    """All the rules for one workload, in the order in which the kernel asks them."""

    ipv4: tuple[Rule, ...]
    ipv6: tuple[Rule, ...]

    def rules(self, family: Family) -> tuple[Rule, ...]:
        return self.ipv4 if family is Family.IPV4 else self.ipv6

    def render(self) -> str:
        """Both families' transactions for a person to read: what a first application would do."""
        return "\n".join(f"# {f.command}-restore --noflush\n{apply_script(self, f)}" for f in Family)


def plan_redirection(settings: RedirectSettings) -> RedirectPlan:
    """The rules that `settings` ask for. Pure; every RedirectSettings value has a plan."""
    return RedirectPlan(*(tuple(_rules_of_family(settings, family)) for family in Family))


def apply_script(plan: RedirectPlan, family: Family, installed: str = "") -> str:
    """The `iptables-restore --noflush` input that makes the kernel hold exactly this plan's rules.

    installed: what `iptables-save -t nat` prints now; jumps of ours found in it are replaced.
    """
    return _transaction(
        *(f":{chain} - [0:0]" for chain in CHAINS),
        *_removals_of_jumps(installed),
        *(rule.render() for rule in plan.rules(family)),
    )


def undo_script(installed: str) -> str:
    """The `iptables-restore --noflush` input that removes our chains and jumps; empty when there are none.

    installed: what `iptables-save -t nat` prints now.
    """
    chains = _our_chains(installed)
    if not chains:
        return ""
    return _transaction(
        *_removals_of_jumps(installed),
        *(f"-F {chain}" for chain in chains),
        *(f"-X {chain}" for chain in chains),
    )


def restore_script(before: str, installed: str) -> str:
    """The input that brings our chains and jumps back to what `before` shows.

    before, installed: what `iptables-save -t nat` printed then and prints now.
    """
    if not _our_chains(before):
        return undo_script(installed)
    return _transaction(
        *(f":{chain} - [0:0]" for chain in CHAINS), *_removals_of_jumps(installed), *_our_rules(before)
    )


def is_installed(plan: RedirectPlan, family: Family, installed: str) -> bool:
    """Whether the kernel holds this plan's rules, all of them, no other of ours, in the plan's order."""
    wanted = [rule.render() for rule in plan.rules(family)]
    return sorted(_our_rules(installed), key=_chain_of) == sorted(wanted, key=_chain_of)


def _rules_of_family(settings: RedirectSettings, family: Family) -> Iterator[Rule]:
    if settings.inbound_port is not None:
        yield Rule(chain="PREROUTING", tcp=True, target=INBOUND)
    yield Rule(chain="OUTPUT", tcp=True, target=OUTPUT)
    yield from _inbound_rules(settings)
    yield from _output_rules(settings, family)
    yield Rule(chain=REDIRECT, tcp=True, target="REDIRECT", to_port=settings.outbound_port)


def _inbound_rules(settings: RedirectSettings) -> Iterator[Rule]:
    if settings.inbound_port is None:
        return
    for port in _each_once(settings.exclude_inbound_ports):
        yield Rule(chain=INBOUND, tcp=True, destination_port=port, target="RETURN")
    if settings.include_inbound_ports is None:
        yield Rule(chain=INBOUND, tcp=True, target=IN_REDIRECT)
    for port in _each_once(settings.include_inbound_ports or ()):
        yield Rule(chain=INBOUND, tcp=True, destination_port=port, target=IN_REDIRECT)
    yield Rule(chain=IN_REDIRECT, tcp=True, target="REDIRECT", to_port=settings.inbound_port)


def _output_rules(settings: RedirectSettings, family: Family) -> Iterator[Rule]:
    """The proxy first, so that it can never loop; then what else is exempt; the rest is redirected."""
    if settings.self_calls_to_inbound and settings.inbound_port is not None:
        yield Rule(chain=OUTPUT, not_destination=family.loopback, out_interface="lo", target=IN_REDIRECT)
    yield from _exempt_senders(settings)
    for port in _each_once(settings.exclude_outbound_ports):
        yield Rule(chain=OUTPUT, tcp=True, destination_port=port, target="RETURN")
    for cidr in _of_family(settings.exclude_outbound_cidrs, family):
        yield _to_destination(cidr, "RETURN")
    yield Rule(chain=OUTPUT, destination=family.loopback, target="RETURN")
    if settings.include_outbound_cidrs is None:
        yield Rule(chain=OUTPUT, target=REDIRECT)
    for cidr in _of_family(settings.include_outbound_cidrs or (), family):
        yield _to_destination(cidr, REDIRECT)


def _exempt_senders(settings: RedirectSettings) -> Iterator[Rule]:
    if settings.proxy_mark is not None:
        yield Rule(chain=OUTPUT, mark=settings.proxy_mark, target="RETURN")
    proxy_uids = () if settings.proxy_uid is None else (settings.proxy_uid,)
    for uid in _each_once((*proxy_uids, *settings.exclude_uids)):
        yield Rule(chain=OUTPUT, owner_uid=uid, target="RETURN")
    for gid in _each_once(settings.exclude_gids):
        yield Rule(chain=OUTPUT, owner_gid=gid, target="RETURN")


def _to_destination(cidr: IpNetwork, target: str) -> Rule:
    # iptables-save prints no -d for a range that holds every address.
    return Rule(chain=OUTPUT, destination=None if cidr.prefixlen == 0 else str(cidr), target=target)


def _of_family(cidrs: Iterable[IpNetwork], family: Family) -> Iterator[IpNetwork]:
    return (cidr for cidr in dict.fromkeys(cidrs) if cidr.version == family.version)


def _each_once(values: Iterable[int]) -> Iterable[int]:
    return dict.fromkeys(values)


def _transaction(*lines: str) -> str:
    return "\n".join(("*nat", *lines, "COMMIT", ""))


def _our_chains(installed: str) -> list[str]:
    return [chain for chain in CHAINS if f":{chain} " in installed]


def _our_rules(installed: str) -> list[str]:
    """The rules in our chains and the jumps into them, as they stand in `iptables-save` output."""
    rules = [line for line in installed.splitlines() if line.startswith("-A ")]
    return [line for line in rules if _chain_of(line) in CHAINS or _is_our_jump(line)]


def _removals_of_jumps(installed: str) -> list[str]:
    return [
        f"-D{line[2:]}" for line in installed.splitlines() if line.startswith("-A ") and _is_our_jump(line)
    ]


def _is_our_jump(line: str) -> bool:
    """A foreign chain's jump into ours is not ours to remove; only the kernel's own two chains hold ours."""
    return _chain_of(line) in ("PREROUTING", "OUTPUT") and line.split()[-1] in CHAINS


def _chain_of(line: str) -> str:
    return line.split()[1]
