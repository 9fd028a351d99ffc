"""Addresses in configuration: IP literals, unix sockets and the go-sockaddr templates in use.

Source: Consul 1.10 docs, "Configuration" (addresses, client_addr); github.com/hashicorp/go-sockaddr/template.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from pellucid.agent.configuration_sources import ConfigurationError
from pellucid.agent.host import Host
from pellucid.model.addresses import host_and_port

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX_SCHEME = "unix://"
_TEMPLATE = re.compile(r"\{\{\s*(?P<function>\w+)\s*(?:\"(?P<argument>[^\"]*)\")?\s*\}\}")


class ListenAddress(msgspec.Struct, frozen=True):
    """A place to listen: an IP address and port, or a unix socket's path (then the others are empty)."""

    host: str = ""
    port: int = 0
    unix_path: str = ""

    def __str__(self) -> str:
        if self.unix_path:
            return f"{UNIX_SCHEME}{self.unix_path}"
        return host_and_port(self.host, self.port)

    @property
    def is_local(self) -> bool:
        """True when only this machine can reach it."""
        return bool(self.unix_path) or ipaddress.ip_address(self.host).is_loopback


def ip_address(key: str, text: str, host: Host) -> str:
    """The one IP address that `text` says. Raises ConfigurationError naming `key`."""
    words = _expanded(key, text, host).split()
    if not words:
        raise ConfigurationError(f"{key} cannot be empty")
    if len(words) > 1:
        raise ConfigurationError(f"{key} cannot contain multiple addresses: {' '.join(words)}")
    return _ip(key, words[0])


def listen_addresses(
    key: str, text: str, port: int, host: Host, *, unix_allowed: bool = True
) -> tuple[ListenAddress, ...]:
    """The addresses of a space-separated list, each with `port`; none when the port is off (0 or less).

    Unix sockets have no port and stay even then. Raises ConfigurationError naming `key`.
    """
    found: list[ListenAddress] = []
    for word in _expanded(key, text, host).split():
        if word.startswith(UNIX_SCHEME):
            if not unix_allowed:
                raise ConfigurationError(f"{key}: cannot use a unix socket: {word}")
            found.append(ListenAddress(unix_path=word.removeprefix(UNIX_SCHEME)))
        elif port > 0:
            found.append(ListenAddress(_ip(key, word), port))
    return tuple(found)


def networks(key: str, texts: Iterable[str]) -> tuple[Network, ...]:
    """The ranges that CIDRs spell; host bits are dropped. Raises ConfigurationError naming `key`."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise ConfigurationError(f"{key}: {error}; give a range such as 10.0.0.0/8") from None


def _ip(key: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ConfigurationError(f"{key}: invalid ip address: {text}") from None


def _expanded(key: str, text: str, host: Host) -> str:
    """`text` with its templates replaced."""

    def address(match: re.Match[str]) -> str:
        found = _template_addresses(match["function"], match["argument"], host)
        if found is None:
            raise ConfigurationError(
                f"{key}: cannot expand {match[0]}; known are GetPrivateIP, GetPrivateIPs "
                'and GetInterfaceIP "name"'
            )
        if not found:
            raise ConfigurationError(f"{key}: {match[0]} finds no address on this machine")
        return " ".join(found)

    return _TEMPLATE.sub(address, text)


def _template_addresses(function: str, argument: str | None, host: Host) -> tuple[str, ...] | None:
    """What a template function gives on this machine; None when it is not one we know."""
    match function, argument:
        case "GetPrivateIP", None:
            return host.private_addresses()[:1]
        case "GetPrivateIPs", None:
            return host.private_addresses()
        case "GetInterfaceIP", str():
            return tuple(address for name, address in host.addresses if name == argument)[:1]
    return None
