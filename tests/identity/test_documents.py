"""Roots and leaves as the HTTP API shows them."""

from __future__ import annotations

import json

import msgspec

from pellucid.identity.documents import leaf_document, roots_document, roots_pem, trust_bundle
from pellucid.identity.leaves import LeafKeeper
from tests.identity.clock import (
    CLUSTER_ID,
    HOUR_S,
    NOW,
    TRUST_DOMAIN,
    authority,
    certificates,
    root,
    serial_numbers,
)

ACTIVE = msgspec.structs.replace(
    root(1), active=True, intermediate_certs=(authority(0).cross_sign(root(1), serial_number=50, now=NOW),)
)
RETIRED = msgspec.structs.replace(root(0), rotated_out_at=int(NOW))


def test_roots_in_consuls_shape() -> None:
    document = roots_document([(RETIRED, 9, 12), (ACTIVE, 12, 12)], CLUSTER_ID)
    assert list(document) == ["ActiveRootID", "TrustDomain", "Roots"]
    assert (document["ActiveRootID"], document["TrustDomain"]) == (root(1).id, TRUST_DOMAIN)
    assert document["Roots"][0] == {
        "ID": root(0).id,
        "Name": "Consul CA Root Cert",
        "SerialNumber": 7,
        "SigningKeyID": root(0).signing_key_id,
        "ExternalTrustDomain": CLUSTER_ID,
        "NotBefore": "2023-11-14T22:03:20Z",
        "NotAfter": "2033-11-14T22:03:20Z",
        "RootCert": root(0).root_cert,
        "IntermediateCerts": None,
        "Active": False,
        "PrivateKeyType": "ec",
        "PrivateKeyBits": 256,
        "CreateIndex": 9,
        "ModifyIndex": 12,
    }
    assert document["Roots"][1]["IntermediateCerts"] == list(ACTIVE.intermediate_certs)


def test_private_keys_of_roots_are_nowhere_in_it() -> None:
    shown = json.dumps(roots_document([(RETIRED, 1, 1), (ACTIVE, 1, 1)], CLUSTER_ID))
    assert "PRIVATE" not in shown + roots_pem([RETIRED, ACTIVE]) + trust_bundle([RETIRED, ACTIVE])


def test_pem_has_the_active_root_and_its_links_first() -> None:
    serials = [each.serial_number for each in certificates(roots_pem([RETIRED, ACTIVE]))]
    assert serials == [8, 50, 7]


def test_trust_bundle_has_roots_only() -> None:
    serials = [each.serial_number for each in certificates(trust_bundle([RETIRED, ACTIVE]))]
    assert serials == [8, 7]


def test_leaf_in_consuls_shape() -> None:
    keeper = LeafKeeper(authority(), ttl_s=72 * HOUR_S, next_serial_number=serial_numbers(9))
    leaf = keeper.leaf("web", NOW)
    assert leaf_document(leaf, 24, 24) == {
        "SerialNumber": "09",
        "CertPEM": leaf.cert_chain_pem,
        "PrivateKeyPEM": leaf.private_key_pem,
        "Service": "web",
        "ServiceURI": f"spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/web",
        "ValidAfter": "2023-11-14T22:03:20Z",
        "ValidBefore": "2023-11-17T22:03:20Z",
        "CreateIndex": 24,
        "ModifyIndex": 24,
    }
