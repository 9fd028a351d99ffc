"""What an operator may set about DNS: the `dns_config` block and its neighbours.

Source: Consul 1.10 docs, "Configuration", `dns_config`, `domain`, `alt_domain`, `recursors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from ipaddress import ip_address
from types import MappingProxyType

import msgspec

DNS_PORT = 53


class SoaSettings(msgspec.Struct, frozen=True):
    """The timers of the zone's SOA record, in seconds."""

    refresh_s: int = 3600
    retry_s: int = 600
    expire_s: int = 86400
    min_ttl_s: int = 0


class DnsSettings(msgspec.Struct, frozen=True, dict=True):
    """How one DNS listener answers. Times are seconds; a limit of 0 means none."""

    datacenter: str = "dc1"
    domain: str = "consul."
    alt_domain: str = ""
    node_ttl_s: int = 0
    service_ttl_s: Mapping[str, int] = MappingProxyType({})
    """By service name, or by prefix when the key ends in `*`."""
    only_passing: bool = False
    udp_answer_limit: int = 3
    a_record_limit: int = 0
    enable_truncate: bool = False
    disable_compression: bool = False
    enable_additional_node_meta_txt: bool = True
    soa: SoaSettings = SoaSettings()
    recursors: tuple[str, ...] = ()
    """`address` or `address:port`, asked in order."""
    recursor_timeout_s: float = 2.0
    service_names_resolve_to_virtual: bool = False
    """Answer `<service>.service.<domain>` with the service's virtual address, where it has one: right for a
    listener whose askers are inside the mesh, because that address is what their sidecars route on."""

    @cached_property
    def zones(self) -> tuple[tuple[str, ...], ...]:
        """The domains served, as lower-case labels."""
        names = (self.domain, self.alt_domain)
        return tuple(tuple(name.lower().strip(".").split(".")) for name in names if name.strip("."))

    def service_ttl(self, service: str) -> int:
        """The TTL of answers about `service`: its own entry, else the longest matching prefix's, else 0."""
        exact = self.service_ttl_s.get(service)
        if exact is not None:
            return exact
        prefixes = [key for key in self.service_ttl_s if key.endswith("*") and service.startswith(key[:-1])]
        return self.service_ttl_s[max(prefixes, key=len)] if prefixes else 0


def parse_recursor(text: str) -> tuple[str, int]:
    """The host and port of a recursor: `10.0.0.1`, `10.0.0.1:5353`, `::1`, `[::1]:5353`.

    Raises ValueError, naming the text, when it is none of these.
    """
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, port = text.split(":")
    try:
        ip_address(host)
        number = int(port) if port else DNS_PORT
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise ValueError(f'recursor "{text}" is not an IP address, optionally with a port (10.0.0.1:53)')
    return host, number
