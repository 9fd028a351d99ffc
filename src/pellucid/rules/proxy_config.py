"""What the opaque `Config` maps of proxies and upstreams mean.

Operators write anything into these maps; the keys below have a meaning. Values are weakly typed
(`"5000"` is a number), key case does not matter, and a value that cannot be read counts as not given,
so one bad key never takes a proxy's whole configuration away.

Source: Consul 1.10 docs, "Envoy Integration - Proxy Config Options, Upstream Config Options".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from pellucid.model.config_entries import UpstreamConfig
from pellucid.model.decoding import DecodeError, decode
from pellucid.model.wire import fields_of

DEFAULT_CONNECT_TIMEOUT_MS = 5000

_T = TypeVar("_T", bound=msgspec.Struct)


class ProxySettings(msgspec.Struct, frozen=True):
    """What a proxy's `Config` says of its own listener and of its application."""

    protocol: str = ""
    bind_address: str = ""
    bind_port: int = 0
    local_connect_timeout_ms: int = DEFAULT_CONNECT_TIMEOUT_MS
    local_request_timeout_ms: int | None = None
    """None leaves Envoy's own."""
    envoy_public_listener_json: str = ""
    envoy_local_cluster_json: str = ""


def proxy_settings(config: Mapping[str, Any]) -> ProxySettings:
    """Read the `Config` of a proxy; the protocol comes in lower case, `""` when none is given."""
    settings = _readable(ProxySettings, config)
    timeout = settings.local_connect_timeout_ms
    return msgspec.structs.replace(
        settings,
        protocol=settings.protocol.lower(),
        local_connect_timeout_ms=timeout if timeout > 0 else DEFAULT_CONNECT_TIMEOUT_MS,
    )


def upstream_settings(config: Mapping[str, Any]) -> UpstreamConfig:
    """Read the `Config` of an upstream, keys as in `UpstreamConfig` of service-defaults."""
    return _readable(UpstreamConfig, config).normalized()


def upstream_config(settings: UpstreamConfig) -> dict[str, Any]:
    """The non-empty fields of upstream settings as an opaque map, the reverse of `upstream_settings`."""
    config: dict[str, Any] = {}
    for key in ("envoy_listener_json", "envoy_cluster_json", "protocol", "connect_timeout_ms"):
        if value := getattr(settings, key):
            config[key] = value
    if settings.mesh_gateway.mode:
        config["mesh_gateway"] = {"mode": settings.mesh_gateway.mode}
    if settings.limits is not None and (limits := _given(settings.limits)):
        config["limits"] = limits
    if settings.passive_health_check is not None and (check := _given(settings.passive_health_check)):
        config["passive_health_check"] = check
    return config


def _readable(struct_type: type[_T], config: Mapping[str, Any]) -> _T:
    """The struct made of those entries of `config` that it knows and can read."""
    values: dict[str, Any] = {}
    for field in fields_of(struct_type):
        spellings = (field.name, field.key.lower())
        given = {key: value for key, value in config.items() if key.lower() in spellings}
        if not given:
            continue
        try:
            values[field.name] = getattr(decode(struct_type, given), field.name)
        except DecodeError:
            continue
    return struct_type(**values)


def _given(settings: msgspec.Struct) -> dict[str, Any]:
    """The fields that differ from their defaults; a limit of 0 does, since unset is None."""
    return {
        field.name: getattr(settings, field.name)
        for field in msgspec.structs.fields(settings)
        if getattr(settings, field.name) != field.default
    }
