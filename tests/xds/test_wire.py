"""The envelopes are what protobuf itself would read back."""

from __future__ import annotations

from envoy.service.discovery.v3 import discovery_pb2
from hypothesis import given
from hypothesis import strategies as st

from pellucid.xds import wire
from pellucid.xds.shared import SharedResource

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
resources = st.builds(SharedResource, name=texts, version=texts, body=st.binary(max_size=20_000))
several = st.lists(resources, max_size=5)


@given(texts, texts, several, st.lists(texts, max_size=5))
def test_delta_response(type_url: str, nonce: str, sent: list[SharedResource], removed: list[str]) -> None:
    expected = discovery_pb2.DeltaDiscoveryResponse(type_url=type_url, nonce=nonce, removed_resources=removed)
    for each in sent:
        entry = expected.resources.add(name=each.name, version=each.version)
        entry.resource.type_url, entry.resource.value = type_url, each.body

    written = wire.delta_response(type_url, nonce, sent, removed)

    assert discovery_pb2.DeltaDiscoveryResponse.FromString(written) == expected


@given(texts, texts, texts, several)
def test_state_of_the_world_response(
    type_url: str, version: str, nonce: str, sent: list[SharedResource]
) -> None:
    expected = discovery_pb2.DiscoveryResponse(type_url=type_url, nonce=nonce, version_info=version)
    for each in sent:
        expected.resources.add(type_url=type_url, value=each.body)

    written = wire.sotw_response(type_url, version, nonce, sent)

    assert discovery_pb2.DiscoveryResponse.FromString(written) == expected


@given(st.integers(0, 2**64 - 1))
def test_varint_is_seven_bits_a_byte_lowest_first(number: int) -> None:
    encoded = wire.varint(number)

    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded)) == number
    assert [byte >= 0x80 for byte in encoded] == [True] * (len(encoded) - 1) + [False]
