"""What building an answer has at hand besides the question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from random import Random

import msgspec

from pellucid.dns.records import Record
from pellucid.dns.settings import DnsSettings
from pellucid.dns.view import View

MAX_INTERNAL_ALIASES = 3
"""How many names of our own an answer follows; registrations can point at each other in a circle."""


class Scene(msgspec.Struct, frozen=True):
    """The surroundings of one answer."""

    view: View
    settings: DnsSettings
    zone: str
    """Where the names in the answer live: the zone of the question, with final dot."""
    now_s: float
    rng: Random
    external: Mapping[str, tuple[Record, ...]]
    resolve: Callable[[str, Scene], tuple[Record, ...] | None]
    """Follows a name that an address field holds; None when only a recursor can say."""
    most_answers: int
    """More records than this can't be sent anyway."""
    aliases_left: int

    def node_name(self, node: str) -> str:
        """The full name of a node."""
        return f"{node}.node.{self.settings.datacenter}.{self.zone}"

    def literal_name(self, address: IPv4Address | IPv6Address) -> str:
        """A name that spells an address in hexadecimal digits."""
        return f"{address.packed.hex()}.addr.{self.settings.datacenter}.{self.zone}"
