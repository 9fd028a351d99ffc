"""The leaves in use: issued on demand, renewed in time, one per service."""

from __future__ import annotations

import ssl
from pathlib import Path
from random import Random

import msgspec
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pellucid.identity.authority import BACKDATED_S, Authority, SigningError
from pellucid.identity.documents import trust_bundle
from pellucid.identity.keys import PrivateKey
from pellucid.identity.leaves import Leaf, LeafKeeper, issue_server
from pellucid.identity.rotation import active_root, change
from pellucid.model.identity import CaConfiguration, CaRoot
from tests.identity.clock import (
    CLUSTER_ID,
    HOUR_S,
    NOW,
    TRUST_DOMAIN,
    authority,
    certificate,
    certificates,
    key_number,
    root,
    serial_numbers,
)

TTL_S = 72 * HOUR_S

X509_V_FLAG_NO_CHECK_TIME = 0x200000
"""OpenSSL's name; these certificates live at the tests' fixed moment, not now."""


def keeper(signer: Authority | None = None) -> LeafKeeper:
    return LeafKeeper(
        signer or authority(), ttl_s=TTL_S, random=Random(7), next_serial_number=serial_numbers()
    )


def test_leaf_is_issued_on_first_demand() -> None:
    leaf = keeper().leaf("web", NOW)
    assert leaf.spiffe_uri == f"spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/web"
    assert (leaf.valid_after, leaf.valid_before) == (NOW - BACKDATED_S, NOW - BACKDATED_S + TTL_S)
    assert (leaf.serial_number, leaf.root_id) == ("64", root().id)
    assert leaf.private_key_pem.startswith("-----BEGIN EC PRIVATE KEY-----")


def test_every_asker_gets_the_same_leaf_until_it_is_renewed() -> None:
    leaves = keeper()
    first = leaves.leaf("web", NOW)
    due = leaves.next_due()
    assert due is not None
    assert leaves.leaf("web", due - 1) == first
    assert leaves.renew_due(due) == ("web",)
    assert leaves.leaf("web", due) != first


def test_nothing_is_due_before_its_time() -> None:
    leaves = keeper()
    leaves.leaf("web", NOW)
    due = leaves.next_due()
    assert due is not None
    assert leaves.renew_due(due - 1) == ()
    assert leaves.next_due() == due


def test_keeper_without_leaves_has_nothing_due() -> None:
    assert keeper().next_due() is None
    assert keeper().renew_due(NOW) == ()


def test_renewed_leaf_has_a_new_key() -> None:
    leaves = keeper()
    first = leaves.leaf("web", NOW)
    leaves.renew_due(NOW + TTL_S)
    assert leaves.leaf("web", NOW + TTL_S).private_key_pem != first.private_key_pem


def test_new_root_renews_every_leaf_within_30_seconds_and_not_all_at_once() -> None:
    leaves = keeper()
    services = {f"service-{number}" for number in range(20)}
    for service in services:
        leaves.leaf(service, NOW)
    leaves.use(authority(1), NOW)
    early = set(leaves.renew_due(NOW + 15))
    late = set(leaves.renew_due(NOW + 30))
    assert early and late  # noqa: PT018
    assert early | late == services
    assert {leaves.leaf(service, NOW + 30).root_id for service in services} == {root(1).id}


def test_new_lifetime_alone_waits_for_the_next_renewal() -> None:
    leaves = keeper()
    first = leaves.leaf("web", NOW)
    leaves.use(authority(), NOW, ttl_s=HOUR_S)
    assert leaves.leaf("web", NOW) == first
    leaves.renew_due(NOW + TTL_S)
    renewed = leaves.leaf("web", NOW + TTL_S)
    assert renewed.valid_before - renewed.valid_after == HOUR_S


def test_forgotten_service_is_renewed_no_more() -> None:
    leaves = keeper()
    leaves.leaf("web", NOW)
    leaves.forget("web")
    assert (len(leaves), leaves.next_due(), leaves.renew_due(NOW + TTL_S)) == (0, None, ())


def test_clock_an_hour_ahead_renews_nothing_that_still_lives() -> None:
    leaves = keeper()
    first = leaves.leaf("web", NOW)
    assert leaves.renew_due(NOW + HOUR_S) == ()
    assert leaves.leaf("web", NOW + HOUR_S) == first


def test_leaf_issued_by_a_clock_that_ran_ahead_is_replaced_when_it_comes_back() -> None:
    leaves = keeper()
    leaves.leaf("early", NOW)
    leaves.leaf("web", NOW + HOUR_S)
    assert leaves.renew_due(NOW) == ("web",)
    assert leaves.leaf("web", NOW).valid_after == NOW - BACKDATED_S


def test_leaf_that_died_while_nobody_looked_is_not_handed_out() -> None:
    leaves = keeper()
    leaves.leaf("web", NOW)
    later = NOW + 2 * TTL_S
    assert leaves.leaf("web", later).valid_before > later


def test_expired_root_leaves_the_old_leaf_in_use_and_due() -> None:
    leaves = keeper()
    first = leaves.leaf("web", NOW)
    due = leaves.next_due()
    with pytest.raises(SigningError, match="root expired"):
        leaves.renew_due(root().not_after + 1)
    assert leaves.next_due() == due
    assert leaves.leaf("web", NOW) == first


def test_thousand_services_cost_a_thousand_keys_however_often_they_are_asked_for() -> None:
    made = 0

    def counting(_key_type: str, _bits: int) -> PrivateKey:
        nonlocal made
        made += 1
        return key_number(9)

    leaves = LeafKeeper(authority(), ttl_s=TTL_S, key_source=counting, random=Random(7))
    for _ in range(3):
        for number in range(1000):
            leaves.leaf(f"service-{number}", NOW)
    assert made == 1000


def test_private_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(keeper().leaf("web", NOW))
    leaves = keeper()
    leaves.leaf("web", NOW)
    assert "PRIVATE" not in repr(leaves)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("ask", "renew", "rotate")), st.sampled_from(("web", "db")), st.integers(-4, 40)
        ),
        max_size=12,
    )
)
def test_leaf_handed_out_is_always_valid_now(steps: list[tuple[str, str, int]]) -> None:
    leaves, now, generation = keeper(), NOW, 0
    for action, service, hours in steps:
        now = max(NOW, now + hours * HOUR_S)
        if action == "rotate":
            generation += 1
            leaves.use(authority(generation % 2), now)
        elif action == "renew":
            leaves.renew_due(now)
        leaf = leaves.leaf(service, now)
        assert leaf.valid_after <= now < leaf.valid_before


def rotated_mesh() -> tuple[Leaf, Leaf, tuple[CaRoot, ...]]:
    """A leaf from before a rotation, one from after it, and the roots trusted meanwhile."""
    first = msgspec.structs.replace(root(0), active=True)
    before, wanted = CaConfiguration(CLUSTER_ID), CaConfiguration(CLUSTER_ID, config={"PrivateKeyBits": 384})
    after = change(before, wanted, (first,), next_serial_number=serial_numbers(400), now=NOW).roots
    successor = active_root(after)
    assert successor is not None
    leaves = keeper()
    old = leaves.leaf("web", NOW)
    leaves.use(Authority(successor), NOW)
    leaves.renew_due(NOW + 30)
    return old, leaves.leaf("web", NOW + 30), after


def test_leaf_of_the_new_root_carries_the_link_to_the_old_one() -> None:
    _, new, roots = rotated_mesh()
    _, link = certificates(new.cert_chain_pem)
    assert link.issuer == certificate(roots[0].root_cert).subject


@pytest.mark.parametrize("client_is_new", [False, True])
@pytest.mark.parametrize("server_is_new", [False, True])
@pytest.mark.parametrize("client_trusts", ["both", "its own"])
def test_peers_on_either_side_of_a_rotation_still_talk(
    tmp_path: Path, client_is_new: bool, server_is_new: bool, client_trusts: str
) -> None:
    old, new, roots = rotated_mesh()
    client, server = (new if client_is_new else old), (new if server_is_new else old)
    knows_only_old = client_trusts == "its own" and not client_is_new
    trusted = roots[0].root_cert if knows_only_old else trust_bundle(roots)
    assert handshake(
        _context(tmp_path / "c", client, trusted), _context(tmp_path / "s", server, trust_bundle(roots))
    )


def test_leaf_of_another_mesh_is_no_peer(tmp_path: Path) -> None:
    old, _, roots = rotated_mesh()
    stranger = keeper(authority(5)).leaf("web", NOW)
    client = _context(tmp_path / "c", stranger, trust_bundle(roots))
    server = _context(tmp_path / "s", old, trust_bundle(roots))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(client, server)


def _context(directory: Path, leaf: Leaf, trusted: str) -> ssl.SSLContext:
    """TLS with `leaf`, which demands a certificate of the peer; names are judged elsewhere."""
    directory.mkdir()
    (directory / "leaf.pem").write_text(leaf.private_key_pem + leaf.cert_chain_pem)
    side = ssl.PROTOCOL_TLS_CLIENT if directory.name == "c" else ssl.PROTOCOL_TLS_SERVER
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= X509_V_FLAG_NO_CHECK_TIME
    context.load_verify_locations(cadata=trusted)
    context.load_cert_chain(directory / "leaf.pem")
    return context


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> bool:
    """Whether the two come to an understanding, each having verified the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    unfinished = list(sides)
    for _ in range(10):
        for side in list(unfinished):
            try:
                side.do_handshake()
                unfinished.remove(side)
            except ssl.SSLWantReadError:
                continue
    return not unfinished and all(side.getpeercert(binary_form=True) for side in sides)


def test_certificate_of_a_listener() -> None:
    leaf = issue_server(authority(), "n1", ["192.0.2.1"], now=NOW, ttl_s=TTL_S, serial_number=5)
    names = certificate(leaf.cert_chain_pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [str(address) for address in names.value.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "::1",
        "192.0.2.1",
    ]
    assert (leaf.service, leaf.serial_number) == ("", "05")
