"""TCP checks against real sockets."""

import pytest

from pellucid.health.probers.tcp import probe_tcp
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckStatus
from tests.health.definitions import check
from tests.health.probers.servers import closed_port, say_nothing, tcp_server


@pytest.mark.parametrize(("host", "written"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
async def test_a_connection_that_opens_is_passing(host: str, written: str) -> None:
    async with tcp_server(say_nothing, host=host) as port:
        result = await probe_tcp(check(tcp=f"{written}:{port}"))
    assert result == CheckResult(CheckStatus.PASSING, f"TCP connect {written}:{port}: Success")


async def test_a_refused_connection_is_critical_in_words() -> None:
    port = await closed_port()
    result = await probe_tcp(check(tcp=f"127.0.0.1:{port}"))
    reason = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert result == CheckResult(CheckStatus.CRITICAL, reason)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("localhost", "missing port in address"),
        ("::1:80", "too many colons in address"),
        ("localhost:http2", "invalid port"),
        ("localhost:70000", "invalid port"),
        ("does-not-exist.invalid:80", "no such host"),
    ],
)
async def test_an_address_that_cannot_be_dialled_is_critical(address: str, reason: str) -> None:
    result = await probe_tcp(check(tcp=address))
    assert result.status is CheckStatus.CRITICAL
    assert reason in result.output
