"""Whose a token is, and how often the Kubernetes API is asked."""

from __future__ import annotations

import asyncio

import pytest

from pellucid.agent.kubernetes.cluster_api import ClusterApi
from pellucid.agent.kubernetes.reviews import MAX_TOKEN_BYTES, TokenReviews, expiry
from pellucid.api.callers import Caller, TokenRefused, TokensUnavailable
from tests.agent.kubernetes.cluster_api_server import STARTED, ClusterApiServer, token

POD = ("hello-1", "11-22")


@pytest.fixture
def reviews(api: ClusterApi) -> TokenReviews:
    return TokenReviews(api, "mesh", frozenset({"mesh/injector"}))


async def test_a_bound_token_is_its_pods(server: ClusterApiServer, reviews: TokenReviews) -> None:
    server.knows(token("a"), "shop:default", pod=POD)
    assert await reviews.caller(token("a")) == Caller("shop", "default", "hello-1", "11-22")


async def test_a_registrar_may_write(server: ClusterApiServer, reviews: TokenReviews) -> None:
    server.knows(token("a"), "mesh:injector", pod=None)
    server.knows(token("b"), "shop:injector", pod=None)
    assert (await reviews.caller(token("a"))).may_write
    assert not (await reviews.caller(token("b"))).may_write


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"authenticated": False, "error": "token has expired"}, "token has expired"),
        ({}, "not authenticated"),
        (
            {"authenticated": True, "audiences": ["other"], "user": {"username": "x"}},
            'not meant for "mesh"',
        ),
        (
            {"authenticated": True, "audiences": ["mesh"], "user": {"username": "kubernetes-admin"}},
            "no service account",
        ),
    ],
)
async def test_what_proves_nothing_is_refused_with_the_reason(
    server: ClusterApiServer, reviews: TokenReviews, status: dict[str, object], reason: str
) -> None:
    server.reviews[token("a")] = status
    with pytest.raises(TokenRefused, match=reason):
        await reviews.caller(token("a"))


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.%%%.b", "a.e30.b", "a.bnVsbA.b", "é.é.é", token("x" * MAX_TOKEN_BYTES)],
    ids=["none", "a word", "no base64", "without an end", "no object", "not ASCII", "too long"],
)
async def test_what_is_no_token_is_refused_unasked(
    server: ClusterApiServer, reviews: TokenReviews, text: str
) -> None:
    with pytest.raises(TokenRefused):
        await reviews.caller(text)
    assert server.asked == []


async def test_many_callers_with_one_token_are_one_review(
    server: ClusterApiServer, reviews: TokenReviews
) -> None:
    text = token("a")
    server.knows(text, "shop:default", pod=POD)
    await asyncio.gather(*(reviews.caller(text) for _ in range(20)))
    await reviews.caller(text)
    assert len(server.asked) == 1


async def test_a_verdict_ends_with_its_minute(server: ClusterApiServer, api: ClusterApi) -> None:
    now = 0.0
    reviews = TokenReviews(api, "mesh", frozenset(), clock=lambda: now)
    text = token("a")
    server.knows(text, "shop:default", pod=POD)
    await reviews.caller(text)
    server.reviews[text] = {"error": "the pod is gone"}
    now = 59.0
    await reviews.caller(text)
    now = 60.0
    with pytest.raises(TokenRefused, match="the pod is gone"):
        await reviews.caller(text)


async def test_a_verdict_ends_with_its_token(server: ClusterApiServer, reviews: TokenReviews) -> None:
    text = token("a", expires_in=-1.0)
    server.knows(text, "shop:default", pod=POD)
    await reviews.caller(text)
    server.reviews[text] = {"error": "token has expired"}
    with pytest.raises(TokenRefused, match="token has expired"):
        await reviews.caller(text)


def test_a_token_says_when_it_ends() -> None:
    assert expiry(token("a", 10)) == STARTED + 10


async def test_an_api_that_is_away_is_no_verdict(server: ClusterApiServer, reviews: TokenReviews) -> None:
    text = token("a")
    server.knows(text, "shop:default", pod=POD)
    server.down = True
    with pytest.raises(TokensUnavailable, match="etcd is away"):
        await reviews.caller(text)
    server.down = False
    assert (await reviews.caller(text)).pod_name == "hello-1"
