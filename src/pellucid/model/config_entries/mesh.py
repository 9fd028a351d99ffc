"""`mesh`: settings of the mesh as a whole.

Source: Consul 1.10 docs, "Mesh"; agent/structs/config_entry_mesh.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from pellucid.model.config_entries.shared import validate_meta
from pellucid.model.wire import AlwaysWritten


class TransparentProxyMeshConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """With `mesh_destinations_only`, proxies refuse destinations outside the mesh."""

    mesh_destinations_only: AlwaysWritten[bool] = False


class Mesh(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="mesh"):
    """The one entry of its kind; its name is not a field and is not written."""

    kind: ClassVar[Literal["mesh"]] = "mesh"
    name: ClassVar[Literal["mesh"]] = "mesh"

    transparent_proxy: TransparentProxyMeshConfig = TransparentProxyMeshConfig()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    def normalized(self) -> Mesh:
        """As it is: this kind has one form."""
        return self

    def validate(self) -> None:
        """Raises ConfigEntryError."""
        validate_meta(self.meta)
