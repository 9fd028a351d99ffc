"""Virtual addresses: where they lie, who gets which."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.rules.virtual import (
    IPV4_POOL,
    IPV6_POOL,
    lowest_free,
    number_of,
    virtual_ipv4,
    virtual_ipv6,
)

NUMBERS = st.integers(1, 15 * 2**24 - 1)


def test_first_service_gets_the_first_address_of_each_pool() -> None:
    number = lowest_free(())
    assert (virtual_ipv4(number), virtual_ipv6(number)) == ("240.0.0.1", "fd70:656c:6c75::1")


def test_number_given_back_is_given_out_again() -> None:
    assert lowest_free({1, 2, 4}) == 3


def test_addresses_ending_in_0_and_255_are_passed_over() -> None:
    assert virtual_ipv4(lowest_free(range(1, 255))) == "240.0.1.1"


@pytest.mark.parametrize("address", ["10.0.0.1", "239.255.255.255", "fd00::1", "::1"])
def test_other_addresses_are_not_virtual(address: str) -> None:
    assert number_of(address) is None


@given(NUMBERS)
def test_address_tells_its_number(number: int) -> None:
    assert number_of(virtual_ipv4(number)) == number_of(virtual_ipv6(number)) == number


@given(NUMBERS)
def test_addresses_lie_in_their_pools(number: int) -> None:
    assert ip_address(virtual_ipv4(number)) in IPV4_POOL
    assert ip_address(virtual_ipv6(number)) in IPV6_POOL


@given(st.sets(st.integers(1, 600)))
def test_new_number_is_free_and_no_lower_one_is(taken: set[int]) -> None:
    number = lowest_free(taken)
    assert number not in taken
    assert all(lower in taken or lower & 0xFF in (0, 255) for lower in range(1, number))
