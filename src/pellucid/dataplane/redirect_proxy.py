"""`redirect-traffic -proxy-id`: the settings that follow from a proxy's registration.

Input is the agent's own JSON (`GET /v1/agent/service/<proxy id>` and `GET /v1/agent/checks`), decoded.
Source: Consul 1.10 command/connect/redirecttraffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from pellucid.dataplane.redirect_settings import (
    DEFAULT_OUTBOUND_PORT,
    InvalidSettingError,
    RedirectSettings,
    parse_port,
)

_BIND_ADDRESSES = ("envoy_prometheus_bind_addr", "envoy_stats_bind_addr")

AgentJson = Mapping[str, Any]


class NotAProxyError(ValueError):
    """The registered service is no proxy, so there is nothing to redirect traffic to."""


def settings_of_proxy(
    service: AgentJson, checks: Iterable[AgentJson], given: RedirectSettings
) -> RedirectSettings:
    """Redirection for a registered proxy: its ports, and exclusions for the ports others reach directly.

    service: the proxy, as the agent shows it; checks: all of the agent's checks;
    given: the proxy's user and the exclusions of the command line, which come after the registration's.
    Raises NotAProxyError, InvalidSettingError.
    """
    proxy = service.get("Proxy")
    if service.get("Kind") != "connect-proxy" or proxy is None:
        raise NotAProxyError(f"service {service.get('ID')} is not a proxy service")
    transparent = proxy.get("TransparentProxy") or {}
    return msgspec.structs.replace(
        given,
        inbound_port=_inbound_port(service, proxy.get("Config") or {}),
        outbound_port=transparent.get("OutboundListenerPort") or DEFAULT_OUTBOUND_PORT,
        exclude_inbound_ports=(*_directly_reached_ports(proxy, checks), *given.exclude_inbound_ports),
    )


def _inbound_port(service: AgentJson, config: AgentJson) -> int:
    return parse_port("bind_port", config.get("bind_port") or service.get("Port") or 0)


def _directly_reached_ports(proxy: AgentJson, checks: Iterable[AgentJson]) -> Iterator[int]:
    config = proxy.get("Config") or {}
    for key in _BIND_ADDRESSES:
        if config.get(key):
            yield _port_of(key, config[key])
    expose = proxy.get("Expose") or {}
    for path in expose.get("Paths") or ():
        if path.get("ListenerPort"):
            yield parse_port("Expose.Paths.ListenerPort", path["ListenerPort"])
    if expose.get("Checks"):
        yield from _exposed_check_ports(proxy.get("DestinationServiceName"), checks)


def _exposed_check_ports(destination: str | None, checks: Iterable[AgentJson]) -> Iterator[int]:
    for check in checks:
        if check.get("ServiceName") == destination and check.get("ExposedPort"):
            yield parse_port("ExposedPort", check["ExposedPort"])


def _port_of(field: str, address: object) -> int:
    host, separator, port = str(address).rpartition(":")
    if not separator or not host:
        raise InvalidSettingError(field, address, "an address with a port, such as 0.0.0.0:9102")
    return parse_port(field, port)
