"""Certificates of the stand-in for the outside world, and an authority that images of this cluster trust.

Both are made anew when the cluster starts and no key outlives it, so trusting the authority means nothing
anywhere else.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pellucid.foundation.tls import show_certificate
from pellucid.localkube.certificates import begun_certificate, pem_of

_VALID_FOR = timedelta(days=365)


@dataclass(frozen=True)
class OutsideCredentials:
    """The authority's certificate (PEM), for those who trust it, and the server's side of TLS."""

    authority: bytes
    server: ssl.SSLContext


def make_credentials(names: Mapping[str, tuple[str, ...]], now: datetime) -> OutsideCredentials:
    """One certificate for all names and their addresses."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "outside this cluster")])
    authority = (
        begun_certificate(issuer, issuer, authority_key, now, _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    reached_by: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    every = sorted({address for addresses in names.values() for address in addresses})
    reached_by += [x509.IPAddress(ipaddress.ip_address(address)) for address in every]
    certificate = (
        begun_certificate(x509.Name([]), issuer, key, now, _VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(reached_by), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return OutsideCredentials(authority.public_bytes(pem), _server(certificate.public_bytes(pem), key))


def subject_hash(authority: bytes) -> str:
    """The name, less `.0`, under which OpenSSL looks for a certificate in a directory.

    For a subject whose text is lower case with single spaces, which is its own canonical form.
    Source: OpenSSL, X509_NAME_hash_ex.
    """
    subject = x509.load_pem_x509_certificate(authority).subject.public_bytes()
    content = subject[2:]
    digest = hashlib.sha1(content, usedforsecurity=False).digest()
    return digest[3::-1].hex()


def _server(certificate: bytes, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    show_certificate(context, certificate + pem_of(key))
    return context
