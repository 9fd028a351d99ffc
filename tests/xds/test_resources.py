"""Details of single resources that a golden file would not make plain."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.xds.resources import build, message_of
from pellucid.xds.resources.escape_hatch import EscapeHatchError
from pellucid.xds.view import (
    Captured,
    Certificate,
    Destination,
    Dialled,
    ExposedPath,
    LocalApp,
    OutboundListener,
    PublicListener,
    UpstreamListener,
)
from tests.xds.envoy import refusal

HELLO = Destination("hello.default.dc1", "hello")
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


def test_equal_views_make_equal_bytes_and_versions() -> None:
    view = LocalApp(port=8080, protocol="grpc")
    assert build(view) == build(LocalApp(port=8080, protocol="grpc"))
    assert build(view).version != build(LocalApp(port=8081, protocol="grpc")).version


def test_envoy_refuses_what_is_wrong_so_the_golden_files_mean_something(tmp_path: Path) -> None:
    listener = message_of(OutboundListener(15001, (Captured((Dialled("10.0.0.1"),), HELLO),)))
    listener.filter_chains.append(listener.filter_chains[0])
    assert "field is duplicated" in refusal([listener], tmp_path)


def test_a_private_key_is_in_no_representation() -> None:
    assert "secret" not in repr(Certificate("chain", "secret"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "not json",
            "envoy_local_cluster_json: not a envoy.config.cluster.v3.Cluster in JSON with its @type",
        ),
        ('{"name": "x"}', "envoy_local_cluster_json: not a envoy.config.cluster.v3.Cluster"),
        (f'{{"@type": "{CLUSTER}", "nmae": "x"}}', "nmae"),
        (
            '{"@type": "type.googleapis.com/envoy.config.listener.v3.Listener"}',
            "envoy_local_cluster_json: expected a envoy.config.cluster.v3.Cluster, found "
            "'type.googleapis.com/envoy.config.listener.v3.Listener'",
        ),
    ],
)
def test_a_resource_written_by_hand_that_is_none_is_refused_naming_its_key(text: str, words: str) -> None:
    with pytest.raises(EscapeHatchError) as refused:
        build(LocalApp(envoy_cluster_json=text))
    assert words in str(refused.value)


@pytest.mark.parametrize(("written", "mode"), [("0600", 0o600), ("660", 0o660), ("", 0), ("rw", 0)])
def test_the_mode_of_a_socket_is_octal_and_nonsense_is_envoys_default(written: str, mode: int) -> None:
    listener = message_of(UpstreamListener("api", HELLO, socket_path="/run/a.sock", socket_mode=written))
    assert listener.address.pipe.mode == mode


def test_any_address_is_listened_on_for_ipv6_too() -> None:
    listener = message_of(PublicListener("0.0.0.0", 20000))
    (further,) = listener.additional_addresses
    assert further.address.socket_address.address == "::"
    assert not message_of(PublicListener("10.0.0.1", 20000)).additional_addresses


def test_exposed_paths_are_named_by_their_letters_and_digits() -> None:
    assert ExposedPath("10.0.0.1", 21500, "/grpc.health.v1.Health/Check").name == (
        "exposed_path_grpchealthv1HealthCheck:10.0.0.1:21500"
    )


def test_a_public_listener_gains_ports_without_a_change_of_its_first_chain() -> None:
    before, after = (
        message_of(PublicListener("10.0.0.1", 20000, further_ports=ports)) for ports in ((), (9090,))
    )
    assert before.filter_chains[0] == after.filter_chains[0]
    assert list(before.listener_filters) == list(after.listener_filters)


def test_an_upstream_has_one_chain_whatever_its_addresses() -> None:
    captured = tuple(Captured((Dialled(address),), HELLO) for address in ("240.0.0.9", "10.0.0.1"))
    few, more = (message_of(OutboundListener(15001, captured[:count])) for count in (1, 2))
    assert list(few.filter_chains) == list(more.filter_chains)
    assert [chain.name for chain in more.filter_chains] == ["hello"]


def test_an_application_at_a_host_name_is_looked_up(tmp_path: Path) -> None:
    cluster = message_of(LocalApp(address="app.example", port=8080))
    assert cluster.type == cluster.STRICT_DNS
    assert refusal([cluster], tmp_path) == ""
