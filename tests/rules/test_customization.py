"""The hash that tells chains with different overrides apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.rules.customization import NO_OVERRIDES, ChainOverrides, customization_hash

OVERRIDES = st.builds(
    ChainOverrides,
    mesh_gateway=st.sampled_from(("", "none", "local", "remote")),
    protocol=st.sampled_from(("", "tcp", "http", "http2", "grpc")),
    connect_timeout_ns=st.integers(0, 2**40),
)


def test_no_overrides_no_hash() -> None:
    assert customization_hash(NO_OVERRIDES) == ""


def test_hash_is_the_one_consul_1_10_computes() -> None:
    effective = ChainOverrides(protocol="grpc", connect_timeout_ns=7_000_000_000)
    assert customization_hash(effective) == "7cf690e3"


@given(OVERRIDES, OVERRIDES)
def test_equal_hashes_mean_equal_overrides(one: ChainOverrides, other: ChainOverrides) -> None:
    assert (customization_hash(one) == customization_hash(other)) == (one == other)
