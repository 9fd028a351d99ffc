"""What roots and leaves contain, who is signed, and that verifiers accept it."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from pellucid.identity.authority import (
    BACKDATED_S,
    Authority,
    SigningError,
    SubjectNames,
    import_root,
    new_root,
    new_root_from_key,
    pem_of,
    random_serial_number,
    root_id,
    serial_hex,
    server_names,
)
from pellucid.identity.keys import PrivateKey, generate_private_key, key_id, private_key_pem
from pellucid.model.identity import CaRoot
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
)

WEB_URI = f"spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/web"

ROOT_OF_CONSUL_1_10 = """-----BEGIN CERTIFICATE-----
MIICDjCCAbOgAwIBAgIBBzAKBggqhkjOPQQDAjAwMS4wLAYDVQQDEyVwcmktaG02
dW43ZC5jb25zdWwuY2EuNzRjMWY5ZmQuY29uc3VsMB4XDTI2MTEyMzIxMTgzN1oX
DTM2MTEyMzIxMTgzN1owMDEuMCwGA1UEAxMlcHJpLWhtNnVuN2QuY29uc3VsLmNh
Ljc0YzFmOWZkLmNvbnN1bDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABB5AIiqY
XNOXMUWRwpG/NNi4ijCOLs+Kj/73pqjvXlZZF/QDZgcdpdugvI8+Eb0QBKeLNZcv
y7ucTxyXOQ96/qqjgb0wgbowDgYDVR0PAQH/BAQDAgGGMA8GA1UdEwEB/wQFMAMB
Af8wKQYDVR0OBCIEIEDtOLOriOyEX29eXGygmRD3lHMcoH/veR+Q+ZOYWONjMCsG
A1UdIwQkMCKAIEDtOLOriOyEX29eXGygmRD3lHMcoH/veR+Q+ZOYWONjMD8GA1Ud
EQQ4MDaGNHNwaWZmZTovLzc0YzFmOWZkLWNhMWUtNDAwMy0wYWE5LTk0ZDIzMTA2
NGNjNS5jb25zdWwwCgYIKoZIzj0EAwIDSQAwRgIhAJNXC6263J6Uw2W/2qvWkAuU
n6h5d+IkTQrVNnKbWh2TAiEA0qt1ihPgATBc4+Q8Wt63G2ZWum4BT19EhzmnfwAF
LGg=
-----END CERTIFICATE-----
"""
"""A root that a Consul 1.10 server made."""


def leaf(
    signer: Authority, names: SubjectNames | None = None, key: PrivateKey | None = None
) -> x509.Certificate:
    return signer.sign_leaf(
        (key or key_number(9)).public_key(),
        names or SubjectNames(signer.service_uri("web")),
        serial_number=9,
        now=NOW,
        ttl_s=72 * HOUR_S,
    )


def extensions_of(made: x509.Certificate) -> dict[str, tuple[bool, x509.ExtensionType]]:
    return {type(each.value).__name__: (each.critical, each.value) for each in made.extensions}


def accepts(roots: list[CaRoot], made: x509.Certificate, chain: list[x509.Certificate], at: float) -> bool:
    """Whether a verifier that trusts `roots` accepts `made` as a client's certificate."""
    store = Store([certificate(each.root_cert) for each in roots])
    verifier = PolicyBuilder().store(store).time(datetime.fromtimestamp(at, UTC)).build_client_verifier()
    try:
        verifier.verify(made, chain)
    except VerificationError:
        return False
    return True


def test_ids_are_the_ones_consul_1_10_gave_its_own_root() -> None:
    made = certificate(ROOT_OF_CONSUL_1_10)
    public_key = made.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert root_id(made) == "cd:f4:6c:a3:a8:a1:b0:f1:b3:8b:26:3a:92:f8:74:d2:2e:22:c9:72"
    assert key_id(public_key) == (
        "40:ed:38:b3:ab:88:ec:84:5f:6f:5e:5c:6c:a0:99:10:f7:94:73:1c:a0:7f:ef:79:1f:90:f9:93:98:58:e3:63"
    )


def test_root_has_every_extension_of_consuls_with_the_same_content() -> None:
    ours, theirs = (
        extensions_of(certificate(root().root_cert)),
        extensions_of(certificate(ROOT_OF_CONSUL_1_10)),
    )
    assert ours.keys() == theirs.keys()
    assert {name: critical for name, (critical, _) in ours.items()} == {
        name: critical for name, (critical, _) in theirs.items()
    }
    for same in ("KeyUsage", "BasicConstraints", "SubjectAlternativeName"):
        assert ours[same] == theirs[same]


def test_root_is_named_after_its_mesh_and_signed_by_itself() -> None:
    made = certificate(root().root_cert)
    (name,) = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert isinstance(name.value, str)
    prefix, unique, rest = name.value.replace("-", ".", 1).split(".", 2)
    assert (prefix, len(unique), rest) == ("pri", 8, "consul.ca.74c1f9fd.consul")
    assert made.issuer == made.subject
    made.verify_directly_issued_by(made)


def test_root_lives_for_ten_years_to_the_day() -> None:
    made = certificate(root().root_cert)
    assert made.not_valid_before_utc.timestamp() == NOW - BACKDATED_S
    assert made.not_valid_after_utc == made.not_valid_before_utc.replace(
        year=made.not_valid_before_utc.year + 10
    )


def test_root_made_on_a_leap_day() -> None:
    leap_day = datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp()
    made = new_root(CLUSTER_ID, serial_number=1, now=leap_day + BACKDATED_S)
    assert datetime.fromtimestamp(made.not_after, UTC) == datetime(2034, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key_type", "bits"), [("ec", 224), ("ec", 256), ("ec", 384), ("ec", 521), ("rsa", 2048), ("rsa", 4096)]
)
def test_every_kind_of_key_makes_a_root_that_signs(key_type: str, bits: int) -> None:
    made = root(0, key_type, bits)
    assert (made.private_key_type, made.private_key_bits) == (key_type, bits)
    leaf(Authority(made)).verify_directly_issued_by(certificate(made.root_cert))


@pytest.mark.parametrize(("key_type", "bits"), [("ec", 255), ("dsa", 2048)])
def test_no_other_kind_of_key_is_made(key_type: str, bits: int) -> None:
    with pytest.raises(ValueError, match=f"no private keys of type '{key_type}' with {bits} bits"):
        generate_private_key(key_type, bits)


def test_private_key_of_a_root_is_not_shown() -> None:
    assert "PRIVATE KEY" in root().signing_key
    assert "PRIVATE KEY" not in repr(root())


def test_leaf_says_who_it_is_and_what_it_is_for() -> None:
    made = leaf(authority())
    found = extensions_of(made)
    assert made.subject == x509.Name([])
    assert found["SubjectAlternativeName"] == (
        True,
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(WEB_URI)]),
    )
    assert found["ExtendedKeyUsage"] == (
        False,
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    assert found["BasicConstraints"] == (True, x509.BasicConstraints(ca=False, path_length=None))
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and usage.key_encipherment and usage.data_encipherment  # noqa: PT018
    assert usage.key_agreement
    assert not usage.key_cert_sign


def test_leaf_lives_from_ten_minutes_ago_for_its_ttl() -> None:
    made = leaf(authority())
    assert made.not_valid_before_utc.timestamp() == NOW - BACKDATED_S
    assert made.not_valid_after_utc.timestamp() == NOW - BACKDATED_S + 72 * HOUR_S


def test_leaf_is_accepted_by_who_trusts_its_root_and_by_no_one_else() -> None:
    made = leaf(authority(0))
    assert accepts([root(0)], made, [], NOW)
    assert not accepts([root(1)], made, [], NOW)


def test_leaf_is_refused_after_its_life() -> None:
    assert not accepts([root()], leaf(authority()), [], NOW + 73 * HOUR_S)


def test_expired_root_signs_no_more() -> None:
    with pytest.raises(SigningError, match="root expired: 2033-11-14T22:03:20Z"):
        authority().sign_leaf(
            key_number(9).public_key(),
            SubjectNames(WEB_URI),
            serial_number=9,
            now=root().not_after + 1,
            ttl_s=HOUR_S,
        )


@pytest.mark.parametrize(("number", "text"), [(0, "00"), (9, "09"), (255, "ff"), (0x1A3, "01:a3")])
def test_serial_numbers_are_colon_hex(number: int, text: str) -> None:
    assert serial_hex(number) == text


def test_random_serial_numbers_are_positive_and_of_one_length() -> None:
    assert {random_serial_number().bit_length() for _ in range(100)} == {63}


def test_cross_signed_successor_is_trusted_by_who_knows_only_the_old_root() -> None:
    cross = authority(0).cross_sign(root(1), serial_number=50, now=NOW)
    made = leaf(authority(1))
    assert not accepts([root(0)], made, [], NOW)
    assert accepts([root(0)], made, certificates(cross), NOW)
    assert accepts([root(0), root(1)], made, certificates(cross), NOW)


def test_so_is_the_next_but_one_with_both_signatures() -> None:
    crosses = [
        *certificates(authority(1).cross_sign(root(2), serial_number=51, now=NOW)),
        *certificates(authority(0).cross_sign(root(1), serial_number=50, now=NOW)),
    ]
    made = leaf(authority(2))
    assert not accepts([root(0)], made, crosses[:1], NOW)
    assert accepts([root(0)], made, crosses, NOW)


def test_cross_signature_lasts_seven_days() -> None:
    cross = certificate(authority(0).cross_sign(root(1), serial_number=50, now=NOW))
    assert cross.not_valid_after_utc.timestamp() == NOW + 7 * 24 * HOUR_S


def test_cross_signed_certificate_has_the_successors_name_and_key() -> None:
    cross = certificate(authority(0).cross_sign(root(1), serial_number=50, now=NOW))
    successor = certificate(root(1).root_cert)
    assert cross.subject == successor.subject
    assert cross.public_key() == successor.public_key()
    assert cross.issuer == certificate(root(0).root_cert).subject


def uris_of(made: x509.Certificate) -> list[str]:
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def test_root_made_elsewhere_is_taken_in_as_it_is() -> None:
    taken = import_root(root(1).root_cert, root(1).signing_key, CLUSTER_ID)
    assert taken == root(1)


def test_root_and_key_must_belong_together() -> None:
    with pytest.raises(ValueError, match="does not belong to the private key"):
        import_root(root(1).root_cert, root(0).signing_key, CLUSTER_ID)


def test_leaf_is_no_root() -> None:
    with pytest.raises(ValueError, match="not a certificate authority"):
        import_root(pem_of(leaf(authority())), private_key_pem(key_number(9)), CLUSTER_ID)


@pytest.mark.parametrize(
    ("cert", "key", "text"),
    [
        ("nonsense", "nonsense", "error parsing root cert"),
        (ROOT_OF_CONSUL_1_10, "nonsense", "error parsing private key"),
    ],
)
def test_root_that_is_no_pem(cert: str, key: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        import_root(cert, key, CLUSTER_ID)


def test_root_around_a_given_key() -> None:
    made = new_root_from_key(root(1).signing_key, CLUSTER_ID, serial_number=3, now=NOW)
    assert (made.signing_key_id, made.serial_number) == (root(1).signing_key_id, 3)


def test_certificate_of_a_listener_names_loopback_and_what_it_is_dialled_by() -> None:
    names = server_names(authority(), "n1", ["mesh.example", "192.0.2.1", "localhost"])
    assert names == SubjectNames(
        f"spiffe://{TRUST_DOMAIN}/agent/client/dc/dc1/id/n1",
        ("localhost", "mesh.example"),
        (ip_address("127.0.0.1"), ip_address("::1"), ip_address("192.0.2.1")),
    )
    made = leaf(authority(), names)
    store = Store([certificate(root().root_cert)])
    at = datetime.fromtimestamp(NOW, UTC)
    for subject in (x509.DNSName("mesh.example"), x509.IPAddress(ip_address("192.0.2.1"))):
        PolicyBuilder().store(store).time(at).build_server_verifier(subject).verify(made, [])


def test_name_of_a_service_is_escaped_in_its_uri() -> None:
    made = leaf(authority(), SubjectNames(authority().service_uri("a b/c")))
    assert uris_of(made) == [f"spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/a%20b%2Fc"]


def test_chain_of_a_leaf_carries_what_its_root_carries() -> None:
    cross = authority(0).cross_sign(root(1), serial_number=50, now=NOW)
    carrying = msgspec.structs.replace(root(1), intermediate_certs=(cross,))
    assert Authority(carrying).chain_below_root == cross
