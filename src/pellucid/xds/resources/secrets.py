"""The secrets: a service's certificate with its key, and the roots that peers are verified against."""

from __future__ import annotations

from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2

from pellucid.xds.resources.messages import inline
from pellucid.xds.view import LEAF_SECRET, ROOTS_SECRET, Certificate, TrustBundle


def certificate(view: Certificate) -> secret_pb2.Secret:
    """What a proxy shows to its peers."""
    shown = common_pb2.TlsCertificate(
        certificate_chain=inline(view.chain_pem), private_key=inline(view.private_key_pem)
    )
    return secret_pb2.Secret(name=LEAF_SECRET, tls_certificate=shown)


def trust_bundle(view: TrustBundle) -> secret_pb2.Secret:
    """What a proxy verifies its peers against."""
    trusted = common_pb2.CertificateValidationContext(trusted_ca=inline(view.pem))
    return secret_pb2.Secret(name=ROOTS_SECRET, validation_context=trusted)
