"""Who may open an xDS stream for which proxy."""

from __future__ import annotations

import asyncio

import grpc
import msgspec
import pytest

from pellucid.agent.admission import XdsAdmission, is_local
from pellucid.derive.engine import Engine
from pellucid.identity.credentials import mint
from pellucid.model.identity import WorkloadCredential
from pellucid.model.services import Proxy, Service, ServiceKind
from pellucid.state.log import Log
from pellucid.state.mesh_tables import CREDENTIALS, SERVICES
from pellucid.state.tables import Change, Delete, Put
from pellucid.xds.server import StreamRefused

ELSEWHERE = "ipv4:10.9.8.7:40000"
HERE = "ipv4:127.0.0.1:40000"
WEB = Service("n1", "web-proxy", "x", ServiceKind.CONNECT_PROXY, proxy=Proxy(destination_service_name="web"))
DB = Service("n1", "db-proxy", "x", ServiceKind.CONNECT_PROXY, proxy=Proxy(destination_service_name="db"))


class Door:
    """A log with two proxies and their credentials, and the admission before it."""

    def __init__(self) -> None:
        self.log = Log()
        self.engine = Engine(self.log.snapshot())
        self.log.listen(self.engine.apply)
        self.admission = XdsAdmission(self.engine)
        self.ends: list[StreamRefused] = []
        self.secret, self.credential = mint("n1", "web-proxy")
        self.other_secret, self.other_credential = mint("n1", "db-proxy")

    async def admit(self, proxy_id: str, credential: str, peer: str) -> tuple[str, str]:
        """The place of the proxy; what ends its stream is kept in `ends`."""
        admitted = await self.admission.admit(proxy_id, credential, peer, self.ends.append)
        self.close = admitted.close
        return admitted.node, admitted.service_id

    async def commit(self, *changes: Change) -> None:
        await self.log.commit(changes)
        self.engine.settle()

    async def furnish(self) -> None:
        stored = (self.credential, self.other_credential)
        await self.log.commit([Put(SERVICES, WEB), Put(SERVICES, DB)] + [Put(CREDENTIALS, c) for c in stored])
        self.engine.settle()


@pytest.fixture
async def door() -> Door:
    door = Door()
    await door.furnish()
    return door


async def test_programs_on_this_machine_may_ask_for_any_proxy(door: Door) -> None:
    for peer in (HERE, "ipv6:%5B::1%5D:40000", "unix:", "ipv6:%5B::ffff:127.0.0.1%5D:1"):
        assert await door.admit("web-proxy", "", peer) == ("n1", "web-proxy")


async def test_from_elsewhere_the_credential_of_that_proxy_is_needed(door: Door) -> None:
    assert await door.admit("web-proxy", door.secret, ELSEWHERE) == ("n1", "web-proxy")
    with pytest.raises(StreamRefused) as refused:
        await door.admit("web-proxy", "", ELSEWHERE)
    assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert "workload credential" in str(refused.value)


@pytest.mark.parametrize("peer", [HERE, ELSEWHERE])
async def test_another_proxys_credential_is_refused_wherever_it_comes_from(door: Door, peer: str) -> None:
    with pytest.raises(StreamRefused) as refused:
        await door.admit("web-proxy", door.other_secret, peer)
    assert refused.value.code is grpc.StatusCode.PERMISSION_DENIED
    assert door.other_secret not in str(refused.value)


async def test_an_access_control_token_is_no_credential(door: Door) -> None:
    token = "6d3f9a0e-0000-4000-8000-000000000000"
    assert await door.admit("web-proxy", token, HERE) == ("n1", "web-proxy")
    with pytest.raises(StreamRefused):
        await door.admit("web-proxy", token, ELSEWHERE)


async def test_a_proxy_that_is_not_registered_yet_is_waited_for() -> None:
    door = Door()
    waiting = asyncio.create_task(door.admit("web-proxy", "", HERE))
    await asyncio.sleep(0)
    assert not waiting.done()
    await door.furnish()
    assert await waiting == ("n1", "web-proxy")


async def test_a_stream_ends_when_its_credential_is_replaced(door: Door) -> None:
    await door.admit("web-proxy", door.secret, ELSEWHERE)
    await door.commit(Put(CREDENTIALS, mint("n1", "web-proxy")[1]))
    (end,) = door.ends
    assert end.code is grpc.StatusCode.PERMISSION_DENIED
    assert "was replaced" in str(end)


async def test_a_stream_ends_with_its_registration(door: Door) -> None:
    await door.admit("web-proxy", door.secret, ELSEWHERE)
    gone = ("n1", "web-proxy")
    await door.commit(Delete(SERVICES, gone), Delete(CREDENTIALS, gone))
    (end,) = door.ends
    assert end.code is grpc.StatusCode.PERMISSION_DENIED
    assert "removed with its registration" in str(end)


async def test_a_pod_that_logs_in_again_keeps_its_stream_until_another_pod_does(door: Door) -> None:
    first, second, other = (logged_in(pod) for pod in ("uid-1", "uid-1", "uid-2"))
    await door.commit(Put(CREDENTIALS, first[1]))
    await door.admit("web-proxy", first[0], ELSEWHERE)
    await door.commit(Put(CREDENTIALS, second[1]))
    assert door.ends == []
    with pytest.raises(StreamRefused):
        await door.admit("web-proxy", first[0], ELSEWHERE)
    await door.commit(Put(CREDENTIALS, other[1]))
    assert len(door.ends) == 1


def logged_in(pod_uid: str) -> tuple[str, WorkloadCredential]:
    secret, credential = mint("n1", "web-proxy")
    return secret, msgspec.structs.replace(credential, pod_uid=pod_uid)


async def test_other_proxies_and_a_stream_that_has_ended_are_left_alone(door: Door) -> None:
    await door.admit("web-proxy", door.secret, ELSEWHERE)
    await door.commit(Put(CREDENTIALS, mint("n1", "db-proxy")[1]))
    door.close()
    await door.commit(Delete(CREDENTIALS, ("n1", "web-proxy")))
    assert door.ends == []


async def test_programs_on_this_machine_keep_their_streams(door: Door) -> None:
    await door.admit("web-proxy", "", HERE)
    await door.commit(Delete(CREDENTIALS, ("n1", "web-proxy")))
    assert door.ends == []


@pytest.mark.parametrize("peer", ["", "ipv4:", "ipv4:10.0.0.1:1", "ipv6:%5Bfe80::1%25eth0%5D:1", "vsock:2:1"])
def test_what_is_not_known_to_be_here_is_elsewhere(peer: str) -> None:
    assert not is_local(peer)
