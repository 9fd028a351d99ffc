"""The built-in certificate authority: makes roots, signs leaves, cross-signs a successor.

A root is an ordinary value of the store (`CaRoot`); an `Authority` is that root with its key
loaded, ready to sign. Nothing here reads a clock or keeps a counter: `now` is unix seconds,
a serial number is an argument, and a private key comes from a `KeySource`.

Source: Consul 1.10 docs, "Built-In Certificate Authority", agent/connect (ca_provider_consul);
SPIFFE X.509-SVID; RFC 5280.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pellucid.identity.keys import (
    KeySource,
    PrivateKey,
    PublicKey,
    colon_hex,
    generate_private_key,
    key_digest,
    key_id,
    key_type_of,
    load_private_key,
    private_key_pem,
    public_bytes,
    signature_hash,
    supported_key,
)
from pellucid.model.identity import CaRoot
from pellucid.model.names import (
    SpiffeAgentId,
    SpiffeServiceId,
    trust_domain_of,
)

IpAddress = IPv4Address | IPv6Address

ROOT_NAME = "Consul CA Root Cert"
ROOT_YEARS = 10
BACKDATED_S = 600
"""A certificate is valid from ten minutes ago, so that a peer whose clock is behind accepts it.

Consul gives leaves one minute and roots none.
"""
CROSS_SIGNED_TTL_S = 7 * 24 * 3600
MOST_CROSS_SIGNED = 3
"""So many roots in a row vouch for each other: leaves carry these certificates."""

_LOOPBACK: tuple[IpAddress, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_COMMON_NAME_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class SigningError(ValueError):
    """The authority cannot sign: its root has expired."""


class SubjectNames(msgspec.Struct, frozen=True):
    """The names a certificate carries: one SPIFFE URI, and for listeners DNS names and IP addresses."""

    uri: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[IpAddress, ...] = ()


def random_serial_number() -> int:
    """A serial number that needs no counter: 63 random bits, the first one set so its length never varies."""
    return secrets.randbits(62) | 1 << 62


def new_root(
    cluster_id: str,
    *,
    serial_number: int,
    now: float,
    key_type: str = "ec",
    key_bits: int = 256,
    key_source: KeySource = generate_private_key,
) -> CaRoot:
    """Make a self-signed root for the trust domain of `cluster_id` (a UUID).

    The root is valid for ten years from ten minutes before `now`. It is not yet active: `rotation` decides
    that.
    """
    key = key_source(key_type, key_bits)
    public_key = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _common_name(public_key, cluster_id))])
    not_before = _moment(now - BACKDATED_S)
    builder = _certificate(
        subject=name,
        issuer=name,
        public_key=public_key,
        issuer_key_id=key_digest(public_key),
        serial_number=serial_number,
        not_before=not_before,
        not_after=_years_later(not_before, ROOT_YEARS),
    )
    certificate = _as_authority(builder, f"spiffe://{trust_domain_of(cluster_id)}").sign(
        key, signature_hash(key)
    )
    return _root_value(certificate, key, cluster_id, key_type, key_bits)


def import_root(root_cert_pem: str, private_key_pem: str, cluster_id: str) -> CaRoot:
    """Take in a root that was made elsewhere (`RootCert` and `PrivateKey` of the CA configuration).

    Raises ValueError when either is not PEM, when the two do not belong together, or when the
    certificate is not an authority.
    """
    try:
        certificate = x509.load_pem_x509_certificate(root_cert_pem.encode())
    except ValueError as error:
        raise ValueError(f"error parsing root cert: {error}") from error
    key = load_private_key(private_key_pem)
    if public_bytes(certificate.public_key()) != public_bytes(key.public_key()):
        raise ValueError("the root cert does not belong to the private key")
    if not _is_authority(certificate):
        raise ValueError("the root cert is not a certificate authority: basic constraint CA is not true")
    key_type, bits = key_type_of(key)
    return _root_value(certificate, key, cluster_id, key_type, bits)


def new_root_from_key(private_key_pem: str, cluster_id: str, *, serial_number: int, now: float) -> CaRoot:
    """Make a self-signed root around a given private key (`PrivateKey` without `RootCert`)."""
    key = load_private_key(private_key_pem)
    key_type, bits = key_type_of(key)
    return new_root(
        cluster_id,
        serial_number=serial_number,
        now=now,
        key_type=key_type,
        key_bits=bits,
        key_source=lambda _type, _bits: key,
    )


class Authority:
    """A root that can sign, its key and certificate loaded once."""

    def __init__(self, root: CaRoot, datacenter: str = "dc1") -> None:
        """Load `root`. `datacenter` is the one whose services this authority vouches for."""
        self.root = root
        self.datacenter = datacenter
        self.trust_domain = trust_domain_of(root.external_trust_domain)
        self._key = load_private_key(root.signing_key)
        self._certificate = x509.load_pem_x509_certificate(root.root_cert.encode())

    @cached_property
    def _key_id(self) -> bytes:
        return key_digest(self._certificate.public_key())

    @cached_property
    def chain_below_root(self) -> str:
        """The PEM certificates a leaf carries after itself, so that holders of the old root trust it too."""
        return "".join(self.root.intermediate_certs)

    def service_uri(self, service: str) -> str:
        """The SPIFFE URI of `service` here."""
        return SpiffeServiceId(self.trust_domain, self.datacenter, service).uri()

    def agent_uri(self, node: str) -> str:
        """The SPIFFE URI of the agent on `node` here."""
        return SpiffeAgentId(self.trust_domain, self.datacenter, node).uri()

    def sign_leaf(
        self, public_key: PublicKey, names: SubjectNames, *, serial_number: int, now: float, ttl_s: float
    ) -> x509.Certificate:
        """Sign a leaf for `public_key`, valid for `ttl_s` seconds from ten minutes before `now`.

        Raises SigningError when the root itself has expired.
        """
        if now > self.root.not_after:
            raise SigningError(f"root expired: {rfc3339(self.root.not_after)}")
        builder = _certificate(
            subject=x509.Name([]),
            issuer=self._certificate.subject,
            public_key=public_key,
            issuer_key_id=self._key_id,
            serial_number=serial_number,
            not_before=_moment(now - BACKDATED_S),
            not_after=_moment(now - BACKDATED_S + ttl_s),
        )
        return _as_leaf(builder, names).sign(self._key, signature_hash(self._key))

    def cross_sign(self, successor: CaRoot, *, serial_number: int, now: float) -> str:
        """Vouch for the root that follows: its name and key, signed by this root for seven days, as PEM."""
        certificate = x509.load_pem_x509_certificate(successor.root_cert.encode())
        public_key = supported_key(certificate.public_key())
        builder = _certificate(
            subject=certificate.subject,
            issuer=self._certificate.subject,
            public_key=public_key,
            issuer_key_id=self._key_id,
            serial_number=serial_number,
            not_before=_moment(now - BACKDATED_S),
            not_after=_moment(min(now + CROSS_SIGNED_TTL_S, self.root.not_after)),
        )
        trust_domain = trust_domain_of(successor.external_trust_domain)
        signed = _as_authority(builder, f"spiffe://{trust_domain}").sign(self._key, signature_hash(self._key))
        return pem_of(signed)


def lasts(pem: str, now: float) -> bool:
    """Whether a certificate has not ended yet."""
    return now < x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp()


def server_names(authority: Authority, node: str, names: Sequence[str]) -> SubjectNames:
    """What the certificate of an agent's own listener carries: its SPIFFE id, `localhost`, and `names`.

    names: DNS names and IP addresses under which clients dial the listener, mixed.
    """
    dns_names, addresses = ["localhost"], [*_LOOPBACK]
    for name in names:
        try:
            addresses.append(ip_address(name))
        except ValueError:
            dns_names.append(name)
    return SubjectNames(
        authority.agent_uri(node), tuple(dict.fromkeys(dns_names)), tuple(dict.fromkeys(addresses))
    )


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate as PEM text that ends in a newline."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def serial_hex(serial_number: int) -> str:
    """A serial number in the form of the leaf API: `09`, `01:a3`."""
    return colon_hex(serial_number.to_bytes(max(1, (serial_number.bit_length() + 7) // 8), "big"))


def root_id(certificate: x509.Certificate) -> str:
    """The id of a root: SHA-1 of its DER encoding."""
    return colon_hex(certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - a name, not a protection


def _root_value(
    certificate: x509.Certificate, key: PrivateKey, cluster_id: str, key_type: str, key_bits: int
) -> CaRoot:
    return CaRoot(
        id=root_id(certificate),
        name=ROOT_NAME,
        serial_number=certificate.serial_number,
        signing_key_id=key_id(key.public_key()),
        external_trust_domain=cluster_id.lower(),
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        root_cert=pem_of(certificate),
        signing_key=private_key_pem(key),
        private_key_type=key_type,
        private_key_bits=key_bits,
    )


def _certificate(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    public_key: PublicKey,
    issuer_key_id: bytes,
    serial_number: int,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial_number)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier(key_digest(public_key)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(issuer_key_id, None, None), critical=False)
    )


def _as_authority(builder: x509.CertificateBuilder, uri: str) -> x509.CertificateBuilder:
    return (
        builder.add_extension(_usage(cert_sign=True), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]),
            critical=False,
        )
    )


def _as_leaf(builder: x509.CertificateBuilder, names: SubjectNames) -> x509.CertificateBuilder:
    alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(names.uri)]
    alternatives += [x509.DNSName(name) for name in names.dns_names]
    alternatives += [x509.IPAddress(address) for address in names.ip_addresses]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    return (
        builder.add_extension(_usage(cert_sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # The subject is empty, so RFC 5280 4.2.1.6 makes the alternative name critical.
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
    )


def _usage(*, cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not cert_sign,
        data_encipherment=not cert_sign,
        key_agreement=not cert_sign,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _common_name(public_key: PublicKey, cluster_id: str) -> str:
    """`pri-<8 base36>.consul.ca.<first 8 of cluster id>.consul`, unique because the key is."""
    number = int.from_bytes(key_digest(public_key)[:8], "big")
    digits = ""
    for _ in range(8):
        number, digit = divmod(number, 36)
        digits += _COMMON_NAME_DIGITS[digit]
    return f"pri-{digits}.consul.ca.{cluster_id[:8].lower()}.consul"


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(int(now), UTC)


def _years_later(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        # 29 February in a year that has none.
        return moment.replace(year=moment.year + years, month=3, day=1)


def rfc3339(now: float) -> str:
    """A moment as Consul writes it: whole seconds, UTC."""
    return _moment(now).strftime("%Y-%m-%dT%H:%M:%SZ")
