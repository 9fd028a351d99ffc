"""A mesh server that is away is asked, less and less often, whether it is back."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from pellucid.kube.controllers.outage import outage
from pellucid.kube.server_client import ServerAddress, ServerClient, ServerUnavailable
from tests.api.serving import ServedAgent
from tests.kube.controllers.gate import gate_to


async def test_the_reason_is_told_until_the_server_answers() -> None:
    pauses: list[float] = []
    async with ServedAgent() as served, gate_to(served.port) as gate:

        async def passed(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 5:
                await gate.open()

        gate.shut()
        async with aclosing(ServerClient(ServerAddress(f"http://127.0.0.1:{gate.port}"))) as client:
            with pytest.raises(ServerUnavailable) as away:
                await client.get_once("/v1/status/leader")
            reasons = [str(reason) async for reason in outage(client, away.value, sleep=passed)]
    assert reasons == ["127.0.0.1: connection refused"] * 5
    assert pauses == [0.25, 0.5, 1.0, 2.0, 2.0]


async def test_a_server_that_refuses_the_question_is_there() -> None:
    async def passed(_: float) -> None:
        return None

    away = ServerUnavailable("server: connection refused")
    async with ServedAgent() as served:
        address = ServerAddress(f"http://127.0.0.1:{served.port}/none")
        async with aclosing(ServerClient(address)) as client:
            assert [reason async for reason in outage(client, away, sleep=passed)] == [away]
