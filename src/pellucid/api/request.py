"""A request as the handlers see it: parsed once, never changed.

Source: Go standard library, packages `net/url` (ParseQuery) and `net/http`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from urllib.parse import unquote_plus, unquote_to_bytes, urlencode

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BEARER = "bearer"


class UnparsableQuery(ValueError):
    """The query string has a percent sign that begins no escape."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a request: an IP address, or None for a unix socket; and whether over TLS."""

    address: str | None = None
    encrypted: bool = False

    @property
    def is_local(self) -> bool:
        """True for unix sockets and loopback: a program on this machine that may reach the agent."""
        if self.address is None:
            return True
        address = ip_address(self.address)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback

    @property
    def keeps_secrets(self) -> bool:
        """True if nobody on the way can read what it sends."""
        return self.encrypted or self.is_local


class Parameters:
    """The query parameters: each name with its values in order."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = values

    @classmethod
    def parse(cls, query: str) -> Parameters:
        """Read a query string as Go 1.16 does: `&` and `;` separate, `+` is a space.

        Raises UnparsableQuery.
        """
        if not query:
            return _NO_PARAMETERS
        if _BAD_ESCAPE.search(query):
            raise UnparsableQuery(query)
        values: dict[str, tuple[str, ...]] = {}
        for part in query.replace(";", "&").split("&"):
            if part:
                name, _, value = part.partition("=")
                key = unquote_plus(name)
                values[key] = (*values.get(key, ()), unquote_plus(value))
        return cls(values)

    def get(self, name: str) -> str:
        """The first value, or the empty string when the parameter is absent."""
        values = self._values.get(name)
        return values[0] if values else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Every value, in the order given."""
        return self._values.get(name, ())

    def encoded(self) -> str:
        """All of them as a query string, in order of their names."""
        return urlencode(sorted(self._values.items()), doseq=True)

    def __contains__(self, name: str) -> bool:
        return name in self._values


_NO_PARAMETERS = Parameters({})


@dataclass(eq=False)
class Request:
    """One request; header names are lower-case. Not frozen, which would triple the time to make one."""

    method: str
    raw_path: str
    """As sent, percent-escapes and all."""
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    peer: Peer
    below: str = ""
    """What follows the endpoint's pattern in the path: `web` of `/v1/catalog/service/web`.

    Set when the endpoint is found. May be empty and may contain `/`.
    """

    @cached_property
    def path(self) -> str:
        """The path with its escapes undone; bytes that are no UTF-8 become U+FFFD."""
        if "%" not in self.raw_path:
            return self.raw_path
        return unquote_to_bytes(self.raw_path).decode("utf-8", "replace")

    @cached_property
    def parameters(self) -> Parameters:
        """The query parameters. Raises UnparsableQuery."""
        return Parameters.parse(self.raw_query)

    @cached_property
    def token(self) -> str:
        """The secret the caller presents, or the empty string.

        First of: `?token=`, `X-Consul-Token`, `Authorization: Bearer`.
        Source: Consul 1.10 docs, "HTTP API Structure - Authentication".
        """
        named = self.parameters.get("token") or self.headers.get("x-consul-token", "")
        if named:
            return named
        scheme, _, rest = self.headers.get("authorization", "").strip().partition(" ")
        return rest.split()[0] if scheme.lower() == _BEARER and rest.split() else ""
