"""What the store keeps of the mesh's identity: roots, CA configuration, workload credentials.

Source: Consul 1.10 docs, "Connect - Certificate Authority", "Connect CA HTTP API".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

CREDENTIAL_HEADER = "X-Pellucid-Workload-Credential"
"""The header in which the HTTP API hands out the secret of a `WorkloadCredential`, once."""


class CaRoot(msgspec.Struct, frozen=True):
    """A certificate authority root the mesh trusts. Key: `id`. Times are unix seconds."""

    id: str
    """Colon-separated hex SHA-1 of the DER certificate."""
    name: str
    serial_number: int
    signing_key_id: str
    external_trust_domain: str
    not_before: int
    not_after: int
    root_cert: str
    """PEM."""
    signing_key: str
    """PEM of the private key; never leaves the store through an API."""
    intermediate_certs: tuple[str, ...] = ()
    """PEM certificates a leaf's chain carries, such as the cross-signed new root during a rotation."""
    active: bool = False
    private_key_type: str = "ec"
    private_key_bits: int = 256
    rotated_out_at: int = 0
    """When it stopped being the active root; 0 while it is active."""

    def __repr__(self) -> str:
        """Says which root it is, and keeps the private key out of logs and tracebacks."""
        return f"CaRoot({self.id}, active={self.active})"


class CaConfiguration(msgspec.Struct, frozen=True):
    """The CA provider's settings. A single row, key: `consul` provider name is not part of it."""

    cluster_id: str
    provider: str = "consul"
    config: Mapping[str, Any] | None = None
    force_without_cross_signing: bool = False


class WorkloadCredential(msgspec.Struct, frozen=True):
    """Ties an xDS stream (or a leaf request) to one registered instance. Key: (`node`, `service_id`).

    Only a hash of the secret is kept: SHA-256, hex.
    """

    node: str
    service_id: str
    secret_sha256: str
    pod_uid: str = ""
    """The pod that logged in for it; empty for one handed out at registration."""

    def has_same_holder(self, other: WorkloadCredential) -> bool:
        """True if who holds the one is who holds the other: the same secret, or one of the same pod's."""
        same_pod = bool(self.pod_uid) and self.pod_uid == other.pod_uid
        return same_pod or self.secret_sha256 == other.secret_sha256


class VirtualAddress(msgspec.Struct, frozen=True):
    """The stable address of a mesh service, by which it is dialled outside Kubernetes. Key: `service`."""

    service: str
    number: int
    """Position in the pool: 240.0.0.0/4 plus `number`, and the ULA prefix plus `number`."""
