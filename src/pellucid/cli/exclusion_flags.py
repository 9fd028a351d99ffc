"""The flags that keep connections out of the proxy: the same for `run` and for `connect redirect-traffic`.

Source: Consul 1.10 command/connect/redirecttraffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from pellucid.cli.go_flags import Flag, FlagValues

if TYPE_CHECKING:
    from pellucid.dataplane.redirect_settings import IpNetwork

EXCLUSION_FLAGS = (
    Flag("exclude-inbound-port", "An inbound port to leave alone; repeatable.", "list", placeholder="port"),
    Flag("exclude-outbound-cidr", "Destinations to leave alone; repeatable.", "list", placeholder="cidr"),
    Flag("exclude-outbound-port", "An outbound port to leave alone; repeatable.", "list", placeholder="port"),
    Flag("exclude-uid", "A user whose connections to leave alone; repeatable.", "list", placeholder="uid"),
)


class Exclusions(TypedDict):
    """Fields of the settings of both commands."""

    exclude_inbound_ports: tuple[int, ...]
    exclude_outbound_ports: tuple[int, ...]
    exclude_outbound_cidrs: tuple[IpNetwork, ...]
    exclude_uids: tuple[int, ...]


def exclusions(flags: FlagValues) -> Exclusions:
    """What the flags exclude. Raises InvalidSettingError naming the flag."""
    from pellucid.dataplane.redirect_settings import parse_cidr, parse_id, parse_port

    def ports(flag: str) -> tuple[int, ...]:
        return tuple(parse_port(f"-{flag}", port) for port in flags.list(flag))

    return Exclusions(
        exclude_inbound_ports=ports("exclude-inbound-port"),
        exclude_outbound_ports=ports("exclude-outbound-port"),
        exclude_outbound_cidrs=tuple(
            parse_cidr("-exclude-outbound-cidr", cidr) for cidr in flags.list("exclude-outbound-cidr")
        ),
        exclude_uids=tuple(parse_id("-exclude-uid", uid) for uid in flags.list("exclude-uid")),
    )
