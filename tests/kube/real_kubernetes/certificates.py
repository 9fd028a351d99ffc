"""A cluster's certificates: one authority, and what it signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.self_signed import SelfSigned

_DAY = timedelta(days=1)


class Authority:
    """Signs for clients, by user and group, and for servers, by name and address."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
        unsigned = self._unsigned(self._name, self._key).add_extension(
            x509.BasicConstraints(True, None), True
        )
        certificate = unsigned.sign(self._key, hashes.SHA256())
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, user: str, group: str = "", names: tuple[str, ...] = ()) -> SelfSigned:
        """A certificate and its key. names: DNS names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        unsigned = self._unsigned(x509.Name(attributes), key).add_extension(
            x509.ExtendedKeyUsage(usages), False
        )
        if names:
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName(map(_general_name, names)), False)
        certificate = unsigned.sign(self._key, hashes.SHA256())
        return SelfSigned(certificate.public_bytes(serialization.Encoding.PEM), key_pem(key))

    def _unsigned(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        return builder.not_valid_before(now - _DAY).not_valid_after(now + _DAY)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """In the form that all of Kubernetes reads."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
