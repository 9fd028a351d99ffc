"""What the custom resource controller is told when it starts."""

from __future__ import annotations

import msgspec

from pellucid.kube.server_client import ServerAddress


class ControllerSettings(msgspec.Struct, frozen=True):
    """server: where entries go; datacenter: its name, which marks the entries as this cluster's."""

    server: ServerAddress
    datacenter: str = "dc1"
    full_comparison_s: float = 300.0
    """Seconds between comparisons of every resource with its entry."""
