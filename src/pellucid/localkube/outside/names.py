"""The names that a stand-in for the outside world answers to, as people write them.

Source: RFC 1035 section 2.3.1 and RFC 1123 section 2.1 for what a host's name is; RFC 5737 for addresses that
nobody has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from pellucid.localkube.network.addresses import AddressPlan

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_MOST_NAMES = 64
OUTSIDE_V4, OUTSIDE_V6 = "203.0.113.1", "2001:db8:203::1"
"""Where the stand-in is when a name is given no address of its own."""


class InvalidOutsideName(ValueError):
    """The message says which name or address, and why it cannot be one."""


def outside_names(texts: Iterable[str], plan: AddressPlan) -> dict[str, tuple[str, ...]]:
    """From `example.com` or `example.org=203.0.113.9`, also several with commas, to addresses by name.

    Raises InvalidOutsideName.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in (one.strip() for several in texts for one in several.split(",")):
        if not text:
            continue
        name, equals, address = text.lower().partition("=")
        name = name.removesuffix(".")
        _check_name(name)
        chosen = _address(address, text, plan) if equals else OUTSIDE_V4
        found[name] = (*(one for one in found.get(name, ()) if one != chosen), chosen)
    if len(found) > _MOST_NAMES:
        raise InvalidOutsideName(f"{len(found)} names outside are too many: {_MOST_NAMES} at most")
    return found


def _check_name(name: str) -> None:
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise InvalidOutsideName(
            f"{name!r} is no host name; write it as in example.com or example.com=ADDRESS"
        )
    if labels[-1] == "local" or name == "localhost":
        raise InvalidOutsideName(f"{name!r} is not outside: names in `local` are the cluster's own")


def _address(text: str, whole: str, plan: AddressPlan) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise InvalidOutsideName(f"{whole!r}: {text!r} is no IP address") from None
    if plan.keeps(address):
        raise InvalidOutsideName(
            f"{whole!r}: {address} is not outside the cluster; 203.0.113.0/24 is free for this"
        )
    return str(address)
