"""`proxy-defaults`: settings of every proxy, unless something nearer says otherwise.

Source: Consul 1.10 docs, "Proxy Defaults"; agent/structs/config_entry.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from pellucid.model.config_entries.shared import require, validate_meta
from pellucid.model.go_text import quote
from pellucid.model.services import (
    ExposeConfig,
    MeshGatewayConfig,
    TransparentProxyConfig,
    transparent_proxy_as_mode,
)
from pellucid.model.wire import AlwaysWritten

GLOBAL_NAME = "global"
"""The only name a proxy-defaults entry can have."""


class ProxyDefaults(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="proxy-defaults"):
    """Defaults for all proxies. `config["protocol"]` is the mesh's default protocol."""

    kind: ClassVar[Literal["proxy-defaults"]] = "proxy-defaults"

    name: AlwaysWritten[str] = ""
    config: AlwaysWritten[Mapping[str, Any] | None] = None
    mode: str = ""
    transparent_proxy: TransparentProxyConfig = TransparentProxyConfig()
    mesh_gateway: MeshGatewayConfig = MeshGatewayConfig()
    expose: ExposeConfig = ExposeConfig()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    @classmethod
    def before_decoding(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Accept `TransparentProxy = true`."""
        return transparent_proxy_as_mode(data)

    def normalized(self) -> ProxyDefaults:
        """Under the one name there is."""
        return msgspec.structs.replace(self, name=GLOBAL_NAME)

    def validate(self) -> None:
        """Raises ConfigEntryError."""
        require(
            self.name == GLOBAL_NAME,
            f"invalid name ({quote(self.name)}), only {quote(GLOBAL_NAME)} is supported",
        )
        validate_meta(self.meta)
