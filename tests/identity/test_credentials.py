"""Workload credentials: who holds the secret is the workload."""

from __future__ import annotations

import base64

from pellucid.identity.credentials import PREFIX, is_secret_of, mint


def test_secret_proves_the_registration_it_was_minted_for() -> None:
    secret, credential = mint("n1", "web-1")
    assert (credential.node, credential.service_id) == ("n1", "web-1")
    assert is_secret_of(credential, secret)


def test_secret_of_another_registration_proves_nothing() -> None:
    _, credential = mint("n1", "web-1")
    other, _ = mint("n1", "web-1")
    assert not is_secret_of(credential, other)
    assert not is_secret_of(credential, "")
    assert not is_secret_of(credential, credential.secret_sha256)


def test_secret_is_recognisable_and_has_256_bits() -> None:
    secret, _ = mint("n1", "web-1")
    assert secret.startswith(PREFIX)
    assert len(base64.urlsafe_b64decode(secret.removeprefix(PREFIX) + "=")) == 32


def test_what_is_stored_does_not_contain_the_secret() -> None:
    secret, credential = mint("n1", "web-1")
    assert secret not in repr(credential)
