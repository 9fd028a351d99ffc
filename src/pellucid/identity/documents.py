"""Roots and leaves in the shapes the HTTP API answers with.

Key order and formats are Consul's: ids and serial numbers in colon-separated hex, times in RFC 3339.
Private keys of roots never appear.

Source: Consul 1.10 docs, "Connect CA HTTP API", "Agent Connect HTTP API".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pellucid.identity.authority import rfc3339
from pellucid.identity.leaves import Leaf
from pellucid.model.identity import CaRoot
from pellucid.model.names import trust_domain_of


def roots_document(roots: Iterable[tuple[CaRoot, int, int]], cluster_id: str) -> dict[str, Any]:
    """The answer of `/v1/connect/ca/roots`. roots: each with its create and modify index."""
    rows = list(roots)
    return {
        "ActiveRootID": next((root.id for root, _, _ in rows if root.active), ""),
        "TrustDomain": trust_domain_of(cluster_id),
        "Roots": [_root(*row) for row in rows],
    }


def roots_pem(roots: Iterable[CaRoot]) -> str:
    """Every trusted root as one PEM bundle, the active one first."""
    ordered = sorted(roots, key=lambda root: not root.active)
    return "".join(root.root_cert + "".join(root.intermediate_certs) for root in ordered)


def trust_bundle(roots: Iterable[CaRoot]) -> str:
    """The roots alone as PEM, the active one first: what a proxy verifies its peers against."""
    return "".join(root.root_cert for root in sorted(roots, key=lambda root: not root.active))


def leaf_document(leaf: Leaf, create_index: int, modify_index: int) -> dict[str, Any]:
    """The answer of `/v1/agent/connect/ca/leaf/<service>`."""
    return {
        "SerialNumber": leaf.serial_number,
        "CertPEM": leaf.cert_chain_pem,
        "PrivateKeyPEM": leaf.private_key_pem,
        "Service": leaf.service,
        "ServiceURI": leaf.spiffe_uri,
        "ValidAfter": rfc3339(leaf.valid_after),
        "ValidBefore": rfc3339(leaf.valid_before),
        "CreateIndex": create_index,
        "ModifyIndex": modify_index,
    }


def _root(root: CaRoot, create_index: int, modify_index: int) -> dict[str, Any]:
    return {
        "ID": root.id,
        "Name": root.name,
        "SerialNumber": root.serial_number,
        "SigningKeyID": root.signing_key_id,
        "ExternalTrustDomain": root.external_trust_domain,
        "NotBefore": rfc3339(root.not_before),
        "NotAfter": rfc3339(root.not_after),
        "RootCert": root.root_cert,
        "IntermediateCerts": list(root.intermediate_certs) or None,
        "Active": root.active,
        "PrivateKeyType": root.private_key_type,
        "PrivateKeyBits": root.private_key_bits,
        "CreateIndex": create_index,
        "ModifyIndex": modify_index,
    }
