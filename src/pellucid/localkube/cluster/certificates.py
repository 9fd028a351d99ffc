"""A cluster's keys and certificates: its authority, the API server's, the administrator's.

Source: Kubernetes docs, "PKI certificates and requirements".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pellucid.foundation.private_file import write_private
from pellucid.localkube.certificates import begun_certificate, pem_of

VALID_FOR = timedelta(days=3650)
ADMINISTRATOR, ADMINISTRATORS = "kubernetes-admin", "system:masters"
SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


def make_certificates(
    directory: Path, node_names: Sequence[str], addresses: Sequence[str], now: datetime
) -> None:
    """Fill `directory` with ca, apiserver and admin, each as `.crt` and `.key` (PEM), and with sa.key.

    sa.key signs service account tokens, whose RS256 wants an RSA key. `addresses` are those at which the
    API server is reached.
    """
    directory.mkdir(mode=0o700)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, now)
    _write(directory, "ca", authority, authority_key)

    server_key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(name) for name in (*SERVER_NAMES, *node_names)]
    reached_at = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    server = _leaf(server_key, _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, authority, now)
    server = server.add_extension(x509.SubjectAlternativeName([*names, *reached_at]), critical=False)
    _write(directory, "apiserver", server.sign(authority_key, hashes.SHA256()), server_key)

    admin_key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(ADMINISTRATOR, ADMINISTRATORS)
    admin = _leaf(admin_key, subject, ExtendedKeyUsageOID.CLIENT_AUTH, authority, now)
    _write(directory, "admin", admin.sign(authority_key, hashes.SHA256()), admin_key)

    write_private(
        directory / "sa.key", pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    )


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name("kubernetes")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=True,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        begun_certificate(name, name, key, now, VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    purpose: x509.ObjectIdentifier,
    authority: x509.Certificate,
    now: datetime,
) -> x509.CertificateBuilder:
    issuer_key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key)
    return (
        begun_certificate(subject, authority.subject, key, now, VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(issued_by, critical=False)
    )


def _name(common: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _write(
    directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    write_private(directory / f"{name}.key", pem_of(key))
    write_private(directory / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
