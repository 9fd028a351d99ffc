"""How roots succeed each other, and which CA settings are valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.identity.authority import CROSS_SIGNED_TTL_S, MOST_CROSS_SIGNED
from pellucid.identity.rotation import (
    CaConfigurationError,
    CaSettings,
    Succession,
    active_root,
    change,
    prunable,
    read_settings,
    start,
)
from pellucid.model.identity import CaConfiguration, CaRoot
from tests.identity.clock import CLUSTER_ID, HOUR_S, NOW, certificate, root, serial_numbers


def configuration(provider: str = "consul", *, force: bool = False, **config: Any) -> CaConfiguration:
    return CaConfiguration(CLUSTER_ID, provider, config, force)


def started(**config: Any) -> Succession:
    return start(configuration(**config), next_serial_number=serial_numbers(), now=NOW)


def changed(before: Succession, wanted: CaConfiguration, *, at: float = NOW) -> Succession:
    return change(before.configuration, wanted, before.roots, next_serial_number=serial_numbers(200), now=at)


def rotated(before: Succession, *, at: float = NOW) -> Succession:
    bits = 384 if active(before).private_key_bits == 256 else 256
    return changed(before, configuration(PrivateKeyBits=bits), at=at)


def active(succession: Succession) -> CaRoot:
    found = active_root(succession.roots)
    assert found is not None
    return found


def test_first_root_is_active_at_once() -> None:
    mesh = started()
    (first,) = mesh.roots
    assert (first.active, first.serial_number, mesh.rotated) == (True, 100, True)


def test_first_root_may_be_of_another_kind() -> None:
    first = active(started(PrivateKeyType="ec", PrivateKeyBits=384))
    assert (first.private_key_type, first.private_key_bits) == ("ec", 384)


def test_lifetime_alone_changes_settings_and_no_root() -> None:
    mesh = started()
    after = changed(mesh, configuration(LeafCertTTL="48h"))
    assert (after.rotated, after.roots) == (False, mesh.roots)
    assert read_settings(after.configuration).leaf_cert_ttl_s == 48 * HOUR_S


def test_other_kind_of_key_rotates() -> None:
    mesh = started()
    after = changed(mesh, configuration(PrivateKeyBits=384), at=NOW + 5)
    retired, successor = after.roots
    assert after.rotated
    assert (retired.id, retired.active, retired.rotated_out_at) == (active(mesh).id, False, NOW + 5)
    assert (successor.active, successor.private_key_bits, successor.rotated_out_at) == (True, 384, 0)


def test_new_root_carries_itself_signed_by_the_old_one() -> None:
    mesh = started()
    (cross,) = active(rotated(mesh)).intermediate_certs
    assert certificate(cross).issuer == certificate(active(mesh).root_cert).subject
    certificate(cross).verify_directly_issued_by(certificate(active(mesh).root_cert))


def test_roots_in_a_row_vouch_for_each_other_down_to_one_that_a_proxy_knows() -> None:
    first = started()
    second = rotated(first)
    third = rotated(second)
    newest, older = active(third).intermediate_certs
    certificate(newest).verify_directly_issued_by(certificate(active(second).root_cert))
    assert older == active(second).intermediate_certs[0]


def test_only_so_many_and_none_that_has_ended() -> None:
    mesh = started()
    for _ in range(5):
        mesh = rotated(mesh)
    assert len(active(mesh).intermediate_certs) == MOST_CROSS_SIGNED
    later = rotated(mesh, at=NOW + CROSS_SIGNED_TTL_S)
    assert len(active(later).intermediate_certs) == 1


def test_given_key_and_root_become_the_root() -> None:
    after = changed(started(), configuration(PrivateKey=root(1).signing_key, RootCert=root(1).root_cert))
    assert active(after).id == root(1).id


def test_given_root_again_changes_only_settings() -> None:
    given_root: dict[str, Any] = {"PrivateKey": root(1).signing_key, "RootCert": root(1).root_cert}
    mesh = changed(started(), configuration(**given_root))
    after = changed(mesh, configuration(**given_root, LeafCertTTL="1h"))
    assert (after.rotated, after.roots) == (False, mesh.roots)


def test_given_key_alone_makes_a_root_around_it() -> None:
    after = changed(started(), configuration(PrivateKey=root(1).signing_key))
    assert active(after).signing_key_id == root(1).signing_key_id
    assert not changed(after, configuration(PrivateKey=root(1).signing_key)).rotated


def test_going_back_to_an_earlier_root_lists_it_once() -> None:
    first: dict[str, Any] = {"PrivateKey": root(1).signing_key, "RootCert": root(1).root_cert}
    second: dict[str, Any] = {"PrivateKey": root(2).signing_key, "RootCert": root(2).root_cert}
    mesh = changed(changed(started(**first), configuration(**second)), configuration(**first))
    assert sorted(each.id for each in mesh.roots) == sorted((root(1).id, root(2).id))
    assert active(mesh).id == root(1).id


def test_change_keeps_the_mesh_its_identity() -> None:
    wanted = CaConfiguration("another-cluster", "consul", {"PrivateKeyBits": 384})
    after = changed(started(), wanted)
    assert after.configuration.cluster_id == CLUSTER_ID
    assert active(after).external_trust_domain == CLUSTER_ID


def test_rotation_without_cross_signing_must_be_forced() -> None:
    mesh = started()
    with pytest.raises(CaConfigurationError) as refused:
        changed(mesh, configuration(PrivateKeyBits=384, DisableCrossSigning=True))
    assert str(refused.value) == (
        "The current CA Provider does not support cross-signing. You can try again with "
        "ForceWithoutCrossSigningSet but this may cause disruption - see documentation for more."
    )
    after = changed(mesh, configuration(force=True, PrivateKeyBits=384, DisableCrossSigning=True))
    assert active(after).intermediate_certs == ()


def test_rotated_root_is_kept_for_two_leaf_lifetimes_and_then_pruned() -> None:
    mesh = rotated(started(), at=NOW)
    retired = mesh.roots[0]
    assert prunable(mesh.roots, NOW + 144 * HOUR_S, 72 * HOUR_S) == ()
    assert prunable(mesh.roots, NOW + 144 * HOUR_S + 1, 72 * HOUR_S) == (retired.id,)


def test_active_root_is_never_pruned() -> None:
    assert prunable(started().roots, NOW + 10**9, 72 * HOUR_S) == ()


@given(st.lists(st.sampled_from(("rotate", "settings")), max_size=6))
def test_whatever_happens_one_root_is_active_and_the_others_say_since_when_not(steps: list[str]) -> None:
    mesh = started()
    for hours, step in enumerate(steps, start=1):
        at = NOW + hours * HOUR_S
        if step == "rotate":
            mesh = rotated(mesh, at=at)
        else:
            bits = active(mesh).private_key_bits
            mesh = changed(mesh, configuration(LeafCertTTL="48h", PrivateKeyBits=bits), at=at)
    assert [each.active for each in mesh.roots].count(True) == 1
    assert all(bool(each.rotated_out_at) != each.active for each in mesh.roots)
    assert len({each.id for each in mesh.roots}) == len(mesh.roots)
    assert len(mesh.roots) == 1 + steps.count("rotate")


def test_settings_without_any_given_are_consuls() -> None:
    assert read_settings(configuration()) == CaSettings(
        leaf_cert_ttl_s=72 * HOUR_S,
        intermediate_cert_ttl_s=8760 * HOUR_S,
        private_key_type="ec",
        private_key_bits=256,
    )


@pytest.mark.parametrize("key", ["LeafCertTTL", "leaf_cert_ttl", "leafcertttl"])
def test_keys_are_read_in_either_spelling(key: str) -> None:
    config: dict[str, Any] = {key: "1h"}
    assert read_settings(configuration(**config)).leaf_cert_ttl_s == HOUR_S


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"LeafCertTTL": "1s"}, "leaf cert TTL must be greater or equal than 1h0m0s"),
        ({"LeafCertTTL": "8761h"}, "leaf cert TTL must be less than 8760h0m0s"),
        (
            {"LeafCertTTL": "72h", "IntermediateCertTTL": "100h"},
            "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>=216h0m0s).",
        ),
        ({"PrivateKeyType": "dsa"}, "private key type must be either 'ec' or 'rsa'"),
        ({"PrivateKeyBits": 255}, "EC key length must be one of (224, 256, 384, 521) bits"),
        ({"PrivateKeyType": "rsa", "PrivateKeyBits": 1024}, "RSA key length must be 2048 or 4096 bits"),
        ({"RootCert": "x"}, "must provide a private key when providing a root cert"),
        (
            {"LeafCertTTL": "soon"},
            "error decoding config: 'LeafCertTTL': time: invalid duration \"soon\"",
        ),
        (
            {"PrivateKeyBits": "many"},
            "error decoding config: 'PrivateKeyBits' must be a number, not 'many'",
        ),
        (
            {"DisableCrossSigning": "maybe"},
            "error decoding config: 'DisableCrossSigning' must be true or false, not 'maybe'",
        ),
    ],
)
def test_settings_are_refused_with_consuls_text(config: Mapping[str, Any], text: str) -> None:
    with pytest.raises(CaConfigurationError) as refused:
        read_settings(configuration(**config))
    assert str(refused.value) == f"error configuring provider: {text}"


def test_misspelt_setting_is_named_with_those_there_are() -> None:
    with pytest.raises(CaConfigurationError, match='unknown key "LeafTTL"; the keys are LeafCertTTL,'):
        read_settings(configuration(LeafTTL="1h"))


@pytest.mark.parametrize(
    ("key", "value"), [("RotationPeriod", "2160h"), ("CSRMaxPerSecond", 50), ("CSRMaxConcurrent", 0)]
)
def test_setting_without_effect_is_passed_over(key: str, value: object) -> None:
    assert read_settings(CaConfiguration(CLUSTER_ID, config={key: value})) == CaSettings()


def test_only_the_built_in_provider_exists() -> None:
    with pytest.raises(CaConfigurationError) as refused:
        read_settings(configuration(provider="nope"))
    assert str(refused.value) == 'could not initialize provider: unknown CA provider "nope"'


def test_key_that_is_none_changes_nothing() -> None:
    mesh = started()
    with pytest.raises(CaConfigurationError, match="error configuring provider: error parsing private key"):
        changed(mesh, configuration(PrivateKey="nonsense"))
    assert active(mesh).active
