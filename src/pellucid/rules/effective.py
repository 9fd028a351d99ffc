"""What a proxy's settings come to: `proxy-defaults`, then `service-defaults`, then its registration.

| setting                        | lowest to highest                                                       |
|--------------------------------|-------------------------------------------------------------------------|
| protocol of the own service    | tcp, proxy-defaults, service-defaults, registration                     |
| mode, outbound listener port   | `""` and 15001, proxy-defaults, service-defaults, registration          |
| dialed directly, expose checks | true if any of the three says so                                        |
| expose paths                   | the whole list of the highest that has one                              |
| other keys of `Config`         | proxy-defaults, registration                                            |
| protocol of an upstream        | proxy-defaults, service-defaults, `Defaults`, `Overrides`, registration |
| mesh gateway of an upstream    | `Defaults`, the proxy's registration, `Overrides`, its registration     |
| other keys of an upstream      | `Defaults`, `Overrides`, its registration                               |

A setting that is empty inherits; `direct` set higher up beats `transparent` below it.
Source: Consul 1.10 docs, "Proxy Defaults", "Service Defaults"; agent/consul/config_endpoint.go
(ResolveServiceConfig), agent/service_manager.go (mergeServiceConfig).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from pellucid.model.config_entries import ProxyDefaults, ServiceDefaults, UpstreamConfig
from pellucid.model.services import (
    ExposeConfig,
    MeshGatewayConfig,
    Proxy,
    TransparentProxyConfig,
    Upstream,
)
from pellucid.rules.protocol import TCP, global_protocol
from pellucid.rules.proxy_config import ProxySettings, proxy_settings, upstream_config

TRANSPARENT = "transparent"
OUTBOUND_LISTENER_PORT = 15001

DefaultsOf: TypeAlias = Callable[[str], ServiceDefaults | None]
"""Looks up the `service-defaults` of a service by name."""

_replace = msgspec.structs.replace


class EffectiveProxy(msgspec.Struct, frozen=True):
    """A proxy with its settings settled."""

    proxy: Proxy
    """The registration with every inherited setting filled in; its upstreams are those registered."""
    settings: ProxySettings
    """What `proxy.config` means."""
    registered_mesh_gateway: str = ""
    """The mesh gateway mode of the registration alone, which outranks `Defaults` but not `Overrides`."""

    @property
    def is_transparent(self) -> bool:
        """True if the proxy takes in traffic that was never meant for it by address."""
        return self.proxy.mode == TRANSPARENT

    @property
    def protocol(self) -> str:
        """What the proxy's own application speaks."""
        return self.settings.protocol or TCP

    @property
    def outbound_listener_port(self) -> int:
        """The port that redirected connections arrive at."""
        return self.proxy.transparent_proxy.outbound_listener_port or OUTBOUND_LISTENER_PORT

    @property
    def dialed_directly(self) -> bool:
        """True if callers dial the instances of this service by their own addresses."""
        return self.proxy.transparent_proxy.dialed_directly


def effective_proxy(
    registration: Proxy,
    *,
    proxy_defaults: ProxyDefaults | None,
    service_defaults: ServiceDefaults | None,
    defaults_of: DefaultsOf,
) -> EffectiveProxy:
    """Settle the settings of a proxy.

    service_defaults: of the service the proxy stands for (a gateway's own).
    defaults_of: looked up for the upstreams that the registration names.
    """
    proxy = _merged(registration, _inherited(proxy_defaults, service_defaults))

    def completed(upstream: Upstream) -> Upstream:
        if upstream.destination_type != "service":
            return upstream
        central = central_upstream_config(
            upstream.destination_name,
            proxy_defaults=proxy_defaults,
            service_defaults=service_defaults,
            upstream_defaults=defaults_of(upstream.destination_name),
            proxy_mesh_gateway=registration.mesh_gateway.mode,
        )
        return _merged_upstream(upstream, central) if central else upstream

    return EffectiveProxy(
        proxy=_replace(proxy, upstreams=tuple(completed(upstream) for upstream in registration.upstreams)),
        settings=proxy_settings(proxy.config or {}),
        registered_mesh_gateway=registration.mesh_gateway.mode,
    )


def central_upstream_config(
    upstream: str,
    *,
    proxy_defaults: ProxyDefaults | None,
    service_defaults: ServiceDefaults | None,
    upstream_defaults: ServiceDefaults | None,
    proxy_mesh_gateway: str = "",
) -> dict[str, Any]:
    """The `Config` that config entries give to one upstream of a service.

    service_defaults: the entry of the service that calls. upstream_defaults: the entry of the service
    called. proxy_mesh_gateway: `MeshGateway.Mode` of the calling proxy's registration.
    """
    config: dict[str, Any] = {}
    own_protocol = upstream_defaults.protocol.lower() if upstream_defaults else ""
    if protocol := own_protocol or global_protocol(proxy_defaults):
        config["protocol"] = protocol
    if (defaults := _upstream_defaults(service_defaults)) is not None:
        config |= upstream_config(defaults)
    if proxy_mesh_gateway:
        config["mesh_gateway"] = {"mode": proxy_mesh_gateway}
    if (override := _override(service_defaults, upstream)) is not None:
        config |= upstream_config(override)
    return config


def _upstream_defaults(service_defaults: ServiceDefaults | None) -> UpstreamConfig | None:
    if service_defaults is None or service_defaults.upstream_config is None:
        return None
    return service_defaults.upstream_config.defaults


def _override(service_defaults: ServiceDefaults | None, upstream: str) -> UpstreamConfig | None:
    """The last override of that name, as Consul takes it."""
    if service_defaults is None or service_defaults.upstream_config is None:
        return None
    named = [item for item in service_defaults.upstream_config.overrides if item.name == upstream]
    return named[-1] if named else None


def _inherited(proxy_defaults: ProxyDefaults | None, service_defaults: ServiceDefaults | None) -> Proxy:
    """The settings a proxy gets if its registration says nothing, in the shape of a registration."""
    below = (
        Proxy() if proxy_defaults is None else _proxy_of(proxy_defaults, dict(proxy_defaults.config or {}))
    )
    if service_defaults is None:
        return below
    own_protocol = {"protocol": service_defaults.protocol} if service_defaults.protocol else {}
    return _merged(_proxy_of(service_defaults, own_protocol), below)


def _proxy_of(entry: ProxyDefaults | ServiceDefaults, config: Mapping[str, Any]) -> Proxy:
    return Proxy(
        config=config,
        mode=entry.mode,
        transparent_proxy=entry.transparent_proxy,
        mesh_gateway=entry.mesh_gateway,
        expose=entry.expose,
    )


def _merged(above: Proxy, below: Proxy) -> Proxy:
    """`above` with what it leaves empty taken from `below`."""
    config = _filled(above.config or {}, below.config or {})
    return _replace(
        above,
        config=config or None,
        mode=above.mode or below.mode,
        transparent_proxy=TransparentProxyConfig(
            outbound_listener_port=above.transparent_proxy.outbound_listener_port
            or below.transparent_proxy.outbound_listener_port,
            dialed_directly=above.transparent_proxy.dialed_directly
            or below.transparent_proxy.dialed_directly,
        ),
        mesh_gateway=above.mesh_gateway if above.mesh_gateway.mode else below.mesh_gateway,
        expose=ExposeConfig(
            checks=above.expose.checks or below.expose.checks,
            paths=above.expose.paths or below.expose.paths,
        ),
    )


def _filled(above: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    """`above` with keys that are missing or empty there taken from `below`."""
    return dict(above) | {key: value for key, value in below.items() if above.get(key) in (None, "")}


def _merged_upstream(upstream: Upstream, central: Mapping[str, Any]) -> Upstream:
    """The upstream as registered, with what it leaves empty taken from config entries."""
    given_mode = (central.get("mesh_gateway") or {}).get("mode", "")
    config = dict(central) | dict(upstream.config or {})
    config.pop("mesh_gateway", None)
    return _replace(
        upstream,
        config=config or None,
        mesh_gateway=upstream.mesh_gateway if upstream.mesh_gateway.mode else MeshGatewayConfig(given_mode),
    )
