"""Workload credentials: the secret by which a sidecar proves which registration it belongs to.

The secret is shown once, at registration; only its SHA-256 is kept. It has 256 random bits, so a
plain hash cannot be searched and needs no salt or stretching.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from pellucid.model.identity import WorkloadCredential

PREFIX = "pellucid-"
"""Lets people and secret scanners recognise a leaked credential."""

_SECRET_BYTES = 32


def mint(node: str, service_id: str) -> tuple[str, WorkloadCredential]:
    """Make a credential for one registered instance.

    Returns the secret (url-safe text, to be handed to the workload and then forgotten) and the
    value to store.
    """
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    return secret, WorkloadCredential(node, service_id, hash_of(secret))


def hash_of(secret: str) -> str:
    """What is stored in place of a secret: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(credential: WorkloadCredential, secret: str) -> bool:
    """True when `secret` is the one `credential` was made with; takes the same time either way."""
    return hmac.compare_digest(hash_of(secret), credential.secret_sha256)
