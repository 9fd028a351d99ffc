"""kuma-init's command line (Istio's proxy-init under another name) as `RedirectSettings`.

The meshes' first transparent-proxy demonstrations start their init container with

    -p 15001 -z 20000 -u 0 -g 0 -d "" -o "" -m REDIRECT -i '*' -b '*'

Ours differs in two things. IPv6 is redirected like IPv4, where kuma-init rejects it. And a list of ports
after `-b` is captured by the inbound port, where kuma-init sends it to the outbound one, past the proxy's
check of who is calling.
Source: kuma-init 1.0 / istio-iptables, flag table and generated rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pellucid.dataplane.redirect_settings import (
    DEFAULT_OUTBOUND_PORT,
    InvalidSettingError,
    IpNetwork,
    RedirectSettings,
    parse_cidr,
    parse_id,
    parse_port,
)

T = TypeVar("T")

_DEFAULTS = {
    "-p": str(DEFAULT_OUTBOUND_PORT),
    "-z": "15006",
    "-u": "1337",
    "-g": "",
    "-d": "",
    "-o": "",
    "-m": "REDIRECT",
    "-i": "",
    "-b": "",
    "-x": "",
    "-k": "",
}
_EVERYTHING = "*"
_SSH_PORT = 22


def parse_kuma_flags(arguments: Sequence[str]) -> RedirectSettings:
    """Read kuma-init's arguments; an empty string is a value ("none"), not a missing one.

    Raises InvalidSettingError naming the flag.
    """
    given = _values_of(arguments)
    _refuse_the_unsupported(given)
    proxy_uid, *exclude_uids = _list_of("-u", given["-u"], parse_id) or (None,)
    if proxy_uid is None:
        raise InvalidSettingError("-u", given["-u"], "the user id that the proxy runs as")
    capture_all_inbound = given["-b"] == _EVERYTHING
    return RedirectSettings(
        proxy_uid=proxy_uid,
        exclude_uids=tuple(exclude_uids),
        exclude_gids=_list_of("-g", given["-g"], parse_id),
        inbound_port=parse_port("-z", given["-z"]) if given["-b"] else None,
        outbound_port=parse_port("-p", given["-p"]),
        include_inbound_ports=None if capture_all_inbound else _list_of("-b", given["-b"], parse_port),
        exclude_inbound_ports=(_SSH_PORT, *_list_of("-d", given["-d"], parse_port))
        if capture_all_inbound
        else (),
        exclude_outbound_ports=_list_of("-o", given["-o"], parse_port),
        include_outbound_cidrs=_included_cidrs(given["-i"]),
        exclude_outbound_cidrs=_list_of("-x", given["-x"], parse_cidr),
        self_calls_to_inbound=True,
    )


def _values_of(arguments: Sequence[str]) -> dict[str, str]:
    if len(arguments) % 2:
        raise InvalidSettingError("arguments", arguments[-1], "every flag with its value")
    given = dict(_DEFAULTS)
    for flag, value in zip(arguments[::2], arguments[1::2], strict=True):
        if flag not in _DEFAULTS:
            raise InvalidSettingError("flag", flag, f"one of {' '.join(_DEFAULTS)}")
        given[flag] = value
    return given


def _refuse_the_unsupported(given: dict[str, str]) -> None:
    if given["-m"] != "REDIRECT":
        raise InvalidSettingError(
            "-m", given["-m"], "REDIRECT, the only way in which traffic is captured here"
        )
    if given["-k"]:
        raise InvalidSettingError(
            "-k", given["-k"], "no interface; traffic of virtual machines is not captured"
        )


def _included_cidrs(text: str) -> tuple[IpNetwork, ...] | None:
    return None if text == _EVERYTHING else _list_of("-i", text, parse_cidr)


def _list_of(flag: str, text: str, parse: Callable[[str, str], T]) -> tuple[T, ...]:
    return tuple(parse(flag, part) for part in text.split(",") if part.strip())
