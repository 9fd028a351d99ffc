"""How names of the stand-in for the outside world are written."""

from __future__ import annotations

import pytest

from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.outside.names import OUTSIDE_V4, InvalidOutsideName, outside_names


def names(*texts: str) -> dict[str, tuple[str, ...]]:
    return outside_names(texts, AddressPlan())


def test_a_name_alone_gets_the_stand_ins_own_address() -> None:
    assert names("example.com") == {"example.com": (OUTSIDE_V4,)}


def test_names_may_be_given_apart_or_with_commas_and_with_addresses() -> None:
    assert names("a.example, b.example=203.0.113.9", "b.example=2001:DB8::9", "C.example.") == {
        "a.example": (OUTSIDE_V4,),
        "b.example": ("203.0.113.9", "2001:db8::9"),
        "c.example": (OUTSIDE_V4,),
    }


def test_nothing_said_is_nothing_outside() -> None:
    assert names("") == names() == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not a name", "'not a name' is no host name"),
        ("-a.example", "no host name"),
        ("203.0.113.1", "no host name"),
        ("web.default.svc.cluster.local", "the cluster's own"),
        ("localhost", "not outside"),
        ("a.example=here", "'here' is no IP address"),
        ("a.example=10.244.0.9", "10.244.0.9 is not outside the cluster"),
        ("a.example=127.0.0.1", "127.0.0.1 is not outside the cluster"),
        ("a.example=fe80::1", "fe80::1 is not outside the cluster"),
        (",".join(f"n{number}.example" for number in range(65)), "65 names outside are too many"),
    ],
)
def test_what_cannot_be_outside_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidOutsideName, match=said):
        names(text)
