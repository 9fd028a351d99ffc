"""Which protocol a service speaks: `service-defaults`, else `proxy-defaults`, else `tcp`.

Consul 1.10 answers this in two ways: for a service whose `service-defaults` names no protocol, the
proxy's own listener inherits from `proxy-defaults` while the discovery chain says `tcp`. Here an
empty protocol always inherits, so that both ends of a connection agree.

Source: Consul 1.10 docs, "Service Defaults - Protocol", "Proxy Defaults - Config".
"""

from __future__ import annotations

from pellucid.model.config_entries import ProxyDefaults, ServiceDefaults

TCP = "tcp"
HTTP_LIKE = frozenset({"http", "http2", "grpc"})
"""Protocols whose requests can be routed, split and judged one by one."""


def service_protocol(service_defaults: ServiceDefaults | None, proxy_defaults: ProxyDefaults | None) -> str:
    """The protocol of a service, in lower case.

    service_defaults: the service's own entry, or None when it has none.
    """
    own = service_defaults.protocol if service_defaults else ""
    return own.lower() or global_protocol(proxy_defaults) or TCP


def global_protocol(proxy_defaults: ProxyDefaults | None) -> str:
    """The protocol `proxy-defaults` gives to services that name none, in lower case; `""` for none.

    A value that is no text counts as none.
    """
    protocol = (proxy_defaults.config or {}).get("protocol") if proxy_defaults else None
    return protocol.lower() if isinstance(protocol, str) else ""


def is_http_like(protocol: str) -> bool:
    """True if requests of this protocol can be told apart."""
    return protocol in HTTP_LIKE
