from __future__ import annotations

import pytest

from pellucid.api.request import Parameters, Peer, Request, UnparsableQuery


def request(query: str = "", headers: dict[str, str] | None = None, path: str = "/") -> Request:
    return Request("GET", path, query, headers or {}, b"", Peer("127.0.0.1"))


def test_parameters_keep_their_values_in_order() -> None:
    given = Parameters.parse("tag=a&tag=b;near=n1&stale")
    assert given.all("tag") == ("a", "b")
    assert (given.get("tag"), given.get("near"), given.get("stale")) == ("a", "n1", "")
    assert "stale" in given
    assert "consistent" not in given


def test_parameters_are_unescaped() -> None:
    assert Parameters.parse("filter=Service+%3D%3D+%22w%C3%B6b%22").get("filter") == 'Service == "wöb"'


@pytest.mark.parametrize("query", ["a=%", "a=%zz", "%1=x"])
def test_a_broken_escape_makes_the_query_unparsable(query: str) -> None:
    with pytest.raises(UnparsableQuery):
        Parameters.parse(query)


def test_the_path_is_unescaped_and_plus_stays() -> None:
    assert request(path="/v1/catalog/service/a%20b+c").path == "/v1/catalog/service/a b+c"


@pytest.mark.parametrize(
    ("query", "headers", "token"),
    [
        ("token=q", {"x-consul-token": "h", "authorization": "Bearer b"}, "q"),
        ("", {"x-consul-token": "h", "authorization": "Bearer b"}, "h"),
        ("", {"authorization": "Bearer b"}, "b"),
        ("", {"authorization": "bEaReR  b  c"}, "b"),
        ("", {"authorization": "Basic b"}, ""),
        ("", {"authorization": "Bearer"}, ""),
        ("token=", {"x-consul-token": "h"}, "h"),
        ("", {}, ""),
    ],
)
def test_the_first_token_given_counts(query: str, headers: dict[str, str], token: str) -> None:
    assert request(query, headers).token == token


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (None, True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_loopback_and_unix_sockets_are_local(address: str | None, local: bool) -> None:
    assert Peer(address).is_local is local
