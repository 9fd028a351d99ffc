"""What a workload's traffic redirection shall do: the values, checked once, at construction.

`redirect-traffic` flags, kuma-init flags and a proxy's registration all end as one `RedirectSettings`;
`redirect_plan` turns it into rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

DEFAULT_INBOUND_PORT = 20000
DEFAULT_OUTBOUND_PORT = 15001

IpNetwork = IPv4Network | IPv6Network

_HIGHEST_PORT = 65535
# (uid_t) -1 means "no user" to the kernel; iptables refuses it.
_HIGHEST_ID = 2**32 - 2


class InvalidSettingError(ValueError):
    """A setting that cannot be used: which one, the value seen, and what would be accepted."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: {value!r} is not usable; give {expected}")
        self.field = field
        self.value = value


def parse_port(field: str, text: str | int) -> int:
    """A TCP port, 1 to 65535. Raises InvalidSettingError."""
    return _number_between(field, text, 1, _HIGHEST_PORT, "a port number from 1 to 65535")


def parse_id(field: str, text: str | int) -> int:
    """A numeric user or group id. Raises InvalidSettingError."""
    return _number_between(field, text, 0, _HIGHEST_ID, "a numeric id from 0 to 4294967294")


def parse_cidr(field: str, text: str) -> IpNetwork:
    """An IPv4 or IPv6 range; a bare address is a range of one. Host bits are dropped, as iptables does.

    Raises InvalidSettingError.
    """
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise InvalidSettingError(field, text, "an address range such as 10.0.0.0/8 or fd00::/8") from None


def _number_between(field: str, text: str | int, lowest: int, highest: int, expected: str) -> int:
    digits = str(text).strip()
    # isdigit alone would let other scripts' digits through.
    if not (digits.isascii() and digits.isdigit()) or not lowest <= int(digits) <= highest:
        raise InvalidSettingError(field, text, expected)
    return int(digits)


class RedirectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a workload's TCP connections go through its proxy.

    The proxy's own connections never do. They are told apart by `proxy_uid`, or, where proxy and
    application must share one user (rootless), by `proxy_mark`, the SO_MARK that Envoy puts on its sockets.

    Raises InvalidSettingError at construction.
    """

    proxy_uid: int | None = None
    proxy_mark: int | None = None
    inbound_port: int | None = DEFAULT_INBOUND_PORT
    """Where connections that arrive from the network land; None leaves them alone."""
    outbound_port: int = DEFAULT_OUTBOUND_PORT
    """Where connections that the workload opens land."""
    include_inbound_ports: tuple[int, ...] | None = None
    """Only these ports are redirected inbound; None is every port."""
    include_outbound_cidrs: tuple[IpNetwork, ...] | None = None
    """Only these destinations are redirected outbound; None is every destination."""
    exclude_inbound_ports: tuple[int, ...] = ()
    exclude_outbound_ports: tuple[int, ...] = ()
    exclude_outbound_cidrs: tuple[IpNetwork, ...] = ()
    exclude_uids: tuple[int, ...] = ()
    exclude_gids: tuple[int, ...] = ()
    self_calls_to_inbound: bool = False
    """Connections to the workload's own network address land on the inbound port (kuma-init's habit)."""

    def __post_init__(self) -> None:
        if self.proxy_uid is None and self.proxy_mark is None:
            raise InvalidSettingError("proxy uid", None, "the user id that the proxy runs as")
        if self.proxy_mark is not None:
            _number_between("proxy mark", self.proxy_mark, 1, 2**32 - 1, "a mark from 1 to 4294967295")
        parse_port("outbound port", self.outbound_port)
        if self.inbound_port is not None:
            parse_port("inbound port", self.inbound_port)
        if self.inbound_port == self.outbound_port:
            raise InvalidSettingError("inbound port", self.inbound_port, "a port other than the outbound one")
        _check_each("included inbound port", self.include_inbound_ports or (), parse_port)
        _check_each("excluded inbound port", self.exclude_inbound_ports, parse_port)
        _check_each("excluded outbound port", self.exclude_outbound_ports, parse_port)
        _check_each("user id", [*self.exclude_uids, *_present(self.proxy_uid)], parse_id)
        _check_each("group id", self.exclude_gids, parse_id)


def _present(value: int | None) -> list[int]:
    return [] if value is None else [value]


def _check_each(field: str, values: Iterable[int], parse: Callable[[str, int], int]) -> None:
    for value in values:
        parse(field, value)
