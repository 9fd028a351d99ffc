"""`service-defaults`: settings of one service and of its proxies.

Source: Consul 1.10 docs, "Service Defaults"; agent/structs/config_entry.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from pellucid.model.config_entries.shared import (
    ConfigEntryError,
    UpstreamConfig,
    UpstreamConfiguration,
    require,
    validate_meta,
)
from pellucid.model.go_text import errors_occurred
from pellucid.model.names import WILDCARD
from pellucid.model.services import (
    ExposeConfig,
    MeshGatewayConfig,
    TransparentProxyConfig,
    transparent_proxy_as_mode,
)
from pellucid.model.wire import AlwaysWritten


class ServiceDefaults(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="service-defaults"
):
    """Defaults of the service called `name`. `protocol`: tcp, http, http2, grpc, or `""` to inherit."""

    kind: ClassVar[Literal["service-defaults"]] = "service-defaults"

    name: AlwaysWritten[str] = ""
    protocol: AlwaysWritten[str] = ""
    mode: str = ""
    transparent_proxy: TransparentProxyConfig = TransparentProxyConfig()
    mesh_gateway: MeshGatewayConfig = MeshGatewayConfig()
    expose: ExposeConfig = ExposeConfig()
    external_sni: str = ""
    upstream_config: UpstreamConfiguration | None = None
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    @classmethod
    def before_decoding(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Accept `TransparentProxy = true`."""
        return transparent_proxy_as_mode(data)

    def normalized(self) -> ServiceDefaults:
        """With protocols in lower case."""
        return msgspec.structs.replace(
            self,
            protocol=self.protocol.lower(),
            upstream_config=_normalized(self.upstream_config) if self.upstream_config else None,
        )

    def validate(self) -> None:
        """Raises ConfigEntryError naming every upstream that is wrong."""
        require(bool(self.name), "Name is required")
        require(
            self.name != WILDCARD, "service-defaults name must be the name of a service, and not a wildcard"
        )
        validate_meta(self.meta)
        if self.upstream_config:
            faults = _faults(self.upstream_config)
            require(not faults, errors_occurred(faults))


def _normalized(configuration: UpstreamConfiguration) -> UpstreamConfiguration:
    return UpstreamConfiguration(
        overrides=tuple(override.normalized() for override in configuration.overrides),
        defaults=configuration.defaults.normalized() if configuration.defaults else None,
    )


def _faults(configuration: UpstreamConfiguration) -> list[str]:
    faults = []
    for override in configuration.overrides:
        try:
            _validate_override(override)
        except ConfigEntryError as error:
            faults.append(f"error in upstream override for {override.name}: {error}")
    if configuration.defaults:
        try:
            _validate_defaults(configuration.defaults)
        except ConfigEntryError as error:
            faults.append(f"error in upstream defaults: {error}")
    return faults


def _validate_override(override: UpstreamConfig) -> None:
    require(bool(override.name), "Name is required")
    require(override.name != WILDCARD, "Wildcard name is not supported")
    override.validate()


def _validate_defaults(defaults: UpstreamConfig) -> None:
    require(not defaults.name, "Name must be empty")
    defaults.validate()
