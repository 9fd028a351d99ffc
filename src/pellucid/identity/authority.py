"""The built-in certificate authority: makes roots, signs leaves, cross-signs a successor.

A root is an ordinary value of the store (`CaRoot`); an `Authority` is that root with its key
loaded, ready to sign. Nothing here reads a clock or keeps a counter: `now` is unix seconds,
a serial number is an argument, and a private key comes from a `KeySource`.

Source: Consul 1.10 docs, "Built-In Certificate Authority", agent/connect (ca_provider_consul);
SPIFFE X.509-SVID; RFC 5280.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pellucid.model.identity import CaRoot
from pellucid.model.names import (
    SpiffeAgentId,
    SpiffeError,
    SpiffeServiceId,
    parse_spiffe,
    trust_domain_of,
)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
KeySource = Callable[[str, int], PrivateKey]
"""Makes a private key of a type (`ec`, `rsa`) and a size in bits."""
IpAddress = IPv4Address | IPv6Address

ROOT_NAME = "Consul CA Root Cert"
ROOT_YEARS = 10
LEAF_BACKDATE_S = 60
"""A leaf is valid from a minute ago, so that a peer whose clock is a little behind accepts it."""
CROSS_SIGNED_TTL_S = 7 * 24 * 3600

_CURVES: dict[int, Callable[[], ec.EllipticCurve]] = {
    224: ec.SECP224R1,
    256: ec.SECP256R1,
    384: ec.SECP384R1,
    521: ec.SECP521R1,
}
_LOOPBACK: tuple[IpAddress, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_COMMON_NAME_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class SigningError(ValueError):
    """The authority refuses to sign: the request names somebody it may not, or the root cannot sign."""


class SubjectNames(msgspec.Struct, frozen=True):
    """The names a certificate carries: one SPIFFE URI, and for listeners DNS names and IP addresses."""

    uri: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[IpAddress, ...] = ()


def generate_private_key(key_type: str = "ec", bits: int = 256) -> PrivateKey:
    """Make a new private key; the `KeySource` of production.

    Raises ValueError for a type or size that `rotation.read_settings` refuses too.
    """
    if key_type == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    if key_type != "ec" or bits not in _CURVES:
        raise ValueError(f"no private keys of type {key_type!r} with {bits} bits")
    return ec.generate_private_key(_CURVES[bits]())


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

    The root is valid for ten years from `now` and is not yet active: `rotation` decides that.
    """
    key = key_source(key_type, key_bits)
    public_key = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _common_name(public_key, cluster_id))])
    not_before = _moment(now)
    builder = _certificate(
        subject=name,
        issuer=name,
        public_key=public_key,
        issuer_key_id=_key_digest(public_key),
        serial_number=serial_number,
        not_before=not_before,
        not_after=_years_later(not_before, ROOT_YEARS),
    )
    certificate = _as_authority(builder, f"spiffe://{trust_domain_of(cluster_id)}").sign(
        key, _signature_hash(key)
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
    if _public_bytes(certificate.public_key()) != _public_bytes(key.public_key()):
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
        return _key_digest(self._certificate.public_key())

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
        """Sign a leaf for `public_key`, valid for `ttl_s` seconds from one minute before `now`.

        Raises SigningError when the root itself has expired.
        """
        if now > self.root.not_after:
            raise SigningError(f"root expired: {_rfc3339(self.root.not_after)}")
        builder = _certificate(
            subject=x509.Name([]),
            issuer=self._certificate.subject,
            public_key=public_key,
            issuer_key_id=self._key_id,
            serial_number=serial_number,
            not_before=_moment(now - LEAF_BACKDATE_S),
            not_after=_moment(now - LEAF_BACKDATE_S + ttl_s),
        )
        return _as_leaf(builder, names).sign(self._key, _signature_hash(self._key))

    def cross_sign(self, successor: CaRoot, *, serial_number: int, now: float) -> str:
        """Vouch for the root that follows: its name and key, signed by this root for seven days, as PEM."""
        certificate = x509.load_pem_x509_certificate(successor.root_cert.encode())
        public_key = _supported(certificate.public_key())
        builder = _certificate(
            subject=certificate.subject,
            issuer=self._certificate.subject,
            public_key=public_key,
            issuer_key_id=self._key_id,
            serial_number=serial_number,
            not_before=_moment(now - LEAF_BACKDATE_S),
            not_after=_moment(min(now + CROSS_SIGNED_TTL_S, self.root.not_after)),
        )
        trust_domain = trust_domain_of(successor.external_trust_domain)
        signed = _as_authority(builder, f"spiffe://{trust_domain}").sign(
            self._key, _signature_hash(self._key)
        )
        return pem_of(signed)

    def sign_request(self, csr_pem: str, *, serial_number: int, now: float, ttl_s: float) -> x509.Certificate:
        """Sign a certificate signing request after checking whom it names.

        A service must be of this trust domain and datacenter. An agent cannot know the trust domain
        before its first certificate, so an agent's is rewritten to ours.
        Raises SigningError with Consul's texts.
        """
        request = _read_request(csr_pem)
        uri = self._permitted_uri(_only_uri(request))
        names = SubjectNames(uri, *_listener_names(request))
        public_key = _supported(request.public_key())
        return self.sign_leaf(public_key, names, serial_number=serial_number, now=now, ttl_s=ttl_s)

    def _permitted_uri(self, uri: str) -> str:
        try:
            identity = parse_spiffe(uri)
        except SpiffeError as error:
            raise SigningError(str(error)) from error
        if isinstance(identity, str):
            raise SigningError("SPIFFE ID in CSR must be a service or agent ID")
        if isinstance(identity, SpiffeAgentId):
            identity = msgspec.structs.replace(identity, trust_domain=self.trust_domain)
        elif identity.trust_domain.lower() != self.trust_domain:
            raise SigningError(
                f"SPIFFE ID in CSR from a different trust domain: {identity.trust_domain}, "
                f"we are {self.trust_domain}"
            )
        if identity.datacenter != self.datacenter:
            raise SigningError(
                f"SPIFFE ID in CSR from a different datacenter: {identity.datacenter}, "
                f"we are {self.datacenter}"
            )
        return identity.uri()


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


def load_private_key(pem: str) -> PrivateKey:
    """Read a private key. Raises ValueError when it is not an unencrypted EC or RSA key in PEM."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"error parsing private key: {error}") from error
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return key
    raise ValueError("private key type must be either 'ec' or 'rsa'")


def key_type_of(key: PrivateKey) -> tuple[str, int]:
    """The type (`ec`, `rsa`) and size in bits of a private key."""
    return ("rsa" if isinstance(key, rsa.RSAPrivateKey) else "ec"), key.key_size


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate as PEM text that ends in a newline."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_key_pem(key: PrivateKey) -> str:
    """A private key as PEM in the form Consul hands out: `EC PRIVATE KEY` or `RSA PRIVATE KEY`."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def colon_hex(data: bytes) -> str:
    """Bytes as lower-case hex pairs joined by colons, the form of every id of a certificate."""
    return data.hex(":")


def serial_hex(serial_number: int) -> str:
    """A serial number in the form of the leaf API: `09`, `01:a3`."""
    return colon_hex(serial_number.to_bytes(max(1, (serial_number.bit_length() + 7) // 8), "big"))


def root_id(certificate: x509.Certificate) -> str:
    """The id of a root: SHA-1 of its DER encoding."""
    return colon_hex(certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - a name, not a protection


def key_id(public_key: PublicKey) -> str:
    """The id of a public key: SHA-256 of its PKIX encoding."""
    return colon_hex(_key_digest(public_key))


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
        .add_extension(x509.SubjectKeyIdentifier(_key_digest(public_key)), critical=False)
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


def _read_request(csr_pem: str) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        signed_by_its_key = request.is_signature_valid
    except (ValueError, InvalidSignature) as error:
        raise SigningError(f"error parsing CSR: {error}") from error
    if not signed_by_its_key:
        raise SigningError("error parsing CSR: the signature does not match the public key")
    return request


def _alternative_names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _only_uri(request: x509.CertificateSigningRequest) -> str:
    uris = _alternative_names(request).get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise SigningError(f"CSR SAN contains an invalid number of URIs: {len(uris)}")
    return uris[0]


def _listener_names(
    request: x509.CertificateSigningRequest,
) -> tuple[tuple[str, ...], tuple[IpAddress, ...]]:
    names = _alternative_names(request)
    addresses: Sequence[object] = names.get_values_for_type(x509.IPAddress)
    return (
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(address for address in addresses if isinstance(address, IPv4Address | IPv6Address)),
    )


def _supported(public_key: object) -> PublicKey:
    if isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        return public_key
    raise SigningError("the public key of a certificate must be EC or RSA")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _public_bytes(public_key: object) -> bytes:
    return _supported(public_key).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _key_digest(public_key: object) -> bytes:
    return hashlib.sha256(_public_bytes(public_key)).digest()


def _common_name(public_key: PublicKey, cluster_id: str) -> str:
    """`pri-<8 base36>.consul.ca.<first 8 of cluster id>.consul`, unique because the key is."""
    number = int.from_bytes(_key_digest(public_key)[:8], "big")
    digits = ""
    for _ in range(8):
        number, digit = divmod(number, 36)
        digits += _COMMON_NAME_DIGITS[digit]
    return f"pri-{digits}.consul.ca.{cluster_id[:8].lower()}.consul"


def _signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """SHA-256, or for the longer curves a hash as long as the key's security."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384() if key.key_size == 384 else hashes.SHA512()
    return hashes.SHA256()


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(int(now), UTC)


def _years_later(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        # 29 February in a year that has none.
        return moment.replace(year=moment.year + years, month=3, day=1)


def _rfc3339(now: float) -> str:
    return _moment(now).strftime("%Y-%m-%dT%H:%M:%SZ")
