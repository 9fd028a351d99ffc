from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dataplane.namespace.fabric_addresses import (
    IPV4_RANGE,
    IPV6_RANGE,
    FabricFullError,
    FabricPlace,
    bridge_port_script,
    fabric_script,
    free_place,
    workload_script,
)

places = st.builds(FabricPlace, st.integers(2, IPV4_RANGE.num_addresses - 2))


@given(st.sets(st.integers(2, 50)))
def test_the_lowest_free_place_is_given(taken: set[int]) -> None:
    number = free_place(taken).number
    assert number not in taken
    assert set(range(2, number)) <= taken


def test_a_full_fabric_says_what_to_do() -> None:
    with pytest.raises(FabricFullError, match="end a workload"):
        free_place(range(IPV4_RANGE.num_addresses))


@given(places, places)
def test_places_have_addresses_of_their_own_inside_the_ranges(one: FabricPlace, other: FabricPlace) -> None:
    assert one.ipv4 in IPV4_RANGE
    assert one.ipv6 in IPV6_RANGE
    assert one.ipv4 not in (IPV4_RANGE.network_address, IPV4_RANGE.broadcast_address, IPV4_RANGE[1])
    assert (one == other) == (one.ipv4 == other.ipv4) == (one.ipv6 == other.ipv6)


@given(places)
def test_link_names_fit_the_kernel(place: FabricPlace) -> None:
    assert len(place.bridge_port) <= 15


def test_the_next_hop_is_of_the_destinations_family() -> None:
    place = FabricPlace(7)
    assert str(place.next_hop(ip_address("192.0.2.1"))) == "10.211.0.7"
    assert str(place.next_hop(ip_address("2001:db8::1"))) == "fd70:656c:6c66::7"


def test_a_workload_gets_its_link_addresses_and_ways_out() -> None:
    assert workload_script(FabricPlace(258), "/proc/self/fd/9").splitlines() == [
        "link set lo up",
        "link add eth0 type veth peer name workload258 netns /proc/self/fd/9",
        "address add 10.211.1.2/16 dev eth0",
        "address add fd70:656c:6c66::102/64 dev eth0 nodad",
        "link set eth0 up",
        "route add default via 10.211.0.1",
        "route add default via fd70:656c:6c66::1",
    ]
    assert bridge_port_script(FabricPlace(258)) == "link set workload258 master fabric0 up\n"


def test_the_fabric_takes_unknown_addresses_for_its_own() -> None:
    assert "route add local 0.0.0.0/0 dev lo table local" in fabric_script()
    assert "route add local ::/0 dev lo table local" in fabric_script()
