"""A fixed moment, a fixed mesh, and keys that need not be made again for every test."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

from cryptography import x509

from pellucid.identity.authority import Authority, new_root
from pellucid.identity.keys import PrivateKey, generate_private_key
from pellucid.model.identity import CaRoot

NOW = 1_700_000_000.0
HOUR_S = 3600.0
CLUSTER_ID = "74c1f9fd-ca1e-4003-0aa9-94d231064cc5"
TRUST_DOMAIN = f"{CLUSTER_ID}.consul"


@functools.cache
def key_number(number: int, key_type: str = "ec", bits: int = 256) -> PrivateKey:
    return generate_private_key(key_type, bits)


def root(number: int = 0, key_type: str = "ec", bits: int = 256) -> CaRoot:
    """One of several roots of the same mesh, made at NOW; always the same one for a number."""
    return _root(number, key_type, bits)


@functools.cache
def _root(number: int, key_type: str, bits: int) -> CaRoot:
    return new_root(
        CLUSTER_ID,
        serial_number=7 + number,
        now=NOW,
        key_type=key_type,
        key_bits=bits,
        key_source=lambda type_, size: key_number(number, type_, size),
    )


def authority(number: int = 0) -> Authority:
    return Authority(root(number), "dc1")


def serial_numbers(first: int = 100) -> Callable[[], int]:
    """A counter."""
    counter = itertools.count(first)
    return lambda: next(counter)


def certificate(pem: str) -> x509.Certificate:
    """The first certificate of a chain."""
    return x509.load_pem_x509_certificate(pem.encode())


def certificates(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode())
