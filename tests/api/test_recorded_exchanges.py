"""What a Consul 1.10 server answered, in one session of 405 requests, replayed in order.

Statuses, bodies and Consul's headers must be the same, and the index of every target must rise exactly
when the recorded one rose (`recording` says what is made alike before comparing).
"""

from __future__ import annotations

import asyncio

import pytest

from tests.api.recording import Exchange, Replay, exchanges
from tests.api.serving import ServedAgent

NOT_SERVED_YET = {
    "sessions and locks": range(296, 324),
    "transactions": range(324, 336),
    "user events": range(336, 341),
    "network coordinates": range(341, 345),
    "prepared queries": (7, *range(345, 359)),
    "operator": range(359, 367),
    "federation states": range(377, 380),
}
"""Exchanges with endpoints that this server does not have, by what they belong to."""

SELF_DESCRIPTION = "x010"
"""Its settings and figures are each server's own; what clients look for in it is tested by name."""

SKIPPED = frozenset(number for numbers in NOT_SERVED_YET.values() for number in numbers)
REPLAYED = [exchange for exchange in exchanges() if exchange.number not in SKIPPED]


@pytest.fixture(scope="module")
def differences() -> dict[str, list[str]]:
    """The whole session replayed once; by exchange, in what ours differs from theirs."""
    return asyncio.run(_replayed())


async def _replayed() -> dict[str, list[str]]:
    agent = ServedAgent(recorded_ports=True)
    await agent.start()
    replay, found = Replay(), {}
    try:
        for exchange in REPLAYED:
            body = exchange.request_body
            answer = await agent.client.request(
                exchange.method,
                replay.request_text(exchange.target),
                content=None if body is None else replay.request_text(body).encode(),
                headers=exchange.request_headers,
            )
            await agent.settle_aliases()
            found[exchange.id] = replay.differences(exchange, answer)
    finally:
        await agent.stop()
    return found


@pytest.mark.parametrize(
    "exchange",
    [exchange for exchange in REPLAYED if exchange.id != SELF_DESCRIPTION],
    ids=lambda exchange: f"{exchange.id} {exchange.method} {exchange.target}"[:80],
)
def test_is_answered_as_recorded(exchange: Exchange, differences: dict[str, list[str]]) -> None:
    assert differences[exchange.id] == []


def test_most_of_the_session_is_replayed() -> None:
    assert len(REPLAYED) == 330
