"""Private and public keys: made, read, written, and named by their digests.

Source: Consul 1.10 docs, "Built-In Certificate Authority"; RFC 5280.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
KeySource = Callable[[str, int], PrivateKey]
"""Makes a private key of a type (`ec`, `rsa`) and a size in bits."""
_CURVES: dict[int, Callable[[], ec.EllipticCurve]] = {
    224: ec.SECP224R1,
    256: ec.SECP256R1,
    384: ec.SECP384R1,
    521: ec.SECP521R1,
}


class UnsupportedKeyError(ValueError):
    """A public key is neither EC nor RSA."""


def generate_private_key(key_type: str = "ec", bits: int = 256) -> PrivateKey:
    """Make a new private key; the `KeySource` of production.

    Raises ValueError for a type or size that `rotation.read_settings` refuses too.
    """
    if key_type == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    if key_type != "ec" or bits not in _CURVES:
        raise ValueError(f"no private keys of type {key_type!r} with {bits} bits")
    return ec.generate_private_key(_CURVES[bits]())


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


def key_id(public_key: PublicKey) -> str:
    """The id of a public key: SHA-256 of its PKIX encoding."""
    return colon_hex(key_digest(public_key))


def supported_key(public_key: object) -> PublicKey:
    """The key, if it is of a type that is spoken here. Raises UnsupportedKeyError."""
    if isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        return public_key
    raise UnsupportedKeyError("the public key of a certificate must be EC or RSA")


def public_bytes(public_key: object) -> bytes:
    """The PKIX (DER) encoding of a public key, by which two keys are the same or not."""
    return supported_key(public_key).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_digest(public_key: object) -> bytes:
    """SHA-256 of a public key's PKIX encoding."""
    return hashlib.sha256(public_bytes(public_key)).digest()


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """SHA-256, or for the longer curves a hash as long as the key's security."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384() if key.key_size == 384 else hashes.SHA512()
    return hashes.SHA256()
