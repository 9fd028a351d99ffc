"""A webhook's certificates: an authority that all replicas share, and short-lived certificates of it.

Pure: time comes in, PEM goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=365)
AUTHORITY_RENEWED_BEFORE_END = timedelta(days=60)
CERTIFICATE_LIFE = timedelta(hours=24)
_BACKDATED = timedelta(minutes=10)
"""For an API server or another replica whose clock is behind."""
_MOST_PREDECESSORS = 2
"""Replicas whose clocks are a year apart replace each other's at every look; the Secret must not grow."""
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n"


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its private key, PEM."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        """Without the key."""
        return "Pair(...)"


class Authority(msgspec.Struct, frozen=True):
    """What the API server is to trust, and what new certificates are signed with.

    bundle: PEM certificates, the one in use first, then earlier ones that have not ended yet.
    """

    bundle: str
    key: str

    @classmethod
    def of(cls, pair: Pair) -> Authority:
        """An authority without predecessors."""
        return cls(pair.certificate, pair.key)

    @property
    def pair(self) -> Pair:
        """The certificate in use and its key."""
        return Pair(next(iter(_certificates(self.bundle)), ""), self.key)

    def __repr__(self) -> str:
        """Without the key."""
        return "Authority(...)"


def new_authority(now: datetime) -> Pair:
    """A self-signed authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook authority")])
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def new_certificate(authority: Pair, names: Sequence[str], now: datetime) -> Pair:
    """A certificate for a server of these DNS names."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(x509.Name([]), issuer.subject, key.public_key(), now, CERTIFICATE_LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def is_usable(authority: Authority, now: datetime) -> bool:
    """False for an authority that should be replaced: near its end, not yet valid, or none at all."""
    try:
        certificate = x509.load_pem_x509_certificate(authority.pair.certificate.encode())
        key = serialization.load_pem_private_key(authority.key.encode(), password=None)
    except (ValueError, TypeError):
        return False
    valid_until = certificate.not_valid_after_utc - AUTHORITY_RENEWED_BEFORE_END
    is_in_time = certificate.not_valid_before_utc <= now < valid_until
    return is_in_time and certificate.public_key() == key.public_key()


def succeeded(before: Authority, successor: Pair, now: datetime) -> Authority:
    """The successor, with those before it for as long as certificates of theirs may be shown."""
    kept = [pem for pem in _certificates(before.bundle) if _has_not_ended(pem, now)]
    return Authority("".join((successor.certificate, *kept[:_MOST_PREDECESSORS])), successor.key)


def _has_not_ended(pem: str, now: datetime) -> bool:
    try:
        return now < x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except ValueError:
        return False


def _certificates(bundle: str) -> list[str]:
    return [f"{_BEGIN}{rest.partition(_END)[0]}{_END}" for rest in bundle.split(_BEGIN)[1:]]


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    now = now.astimezone(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
