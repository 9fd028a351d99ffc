"""A command imports what it needs and nothing more: cold start is counted in modules, not timed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import ReplayingAgent

HEAVY = {
    "click", "cryptography", "dnslib", "grpc", "hcl2", "httpx", "lark", "msgspec", "prometheus_client",
    "pyroute2", "rich", "structlog", "uvicorn", "asyncio",
}  # fmt: skip


def modules_after(*words: str, address: str) -> set[str]:
    """The modules that a fresh interpreter has loaded when the command line is done."""
    program = (
        "import sys; from pellucid.cli import main; main(sys.argv[1:]); "
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={"CONSUL_HTTP_ADDR": address, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split("\n"))


def test_version_loads_no_client_and_nothing_heavy(agent: ReplayingAgent) -> None:
    loaded = modules_after("version", address=agent.address)
    assert not loaded & (HEAVY | {"http.client", "json", "ssl", "textwrap"})
    ours = {name for name in loaded if name.startswith("pellucid.")}
    assert {name.split(".")[1] for name in ours} == {"cli"}


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["intention", "list"], ["x198"]),
        (["config", "read", "-kind=proxy-defaults", "-name=global"], ["x152"]),
        (["members"], ["x011"]),
        (["catalog", "services"], ["x115"]),
    ],
)
def test_commands_that_ask_the_agent_load_nothing_heavy(
    agent: ReplayingAgent, words: list[str], answers: list[str]
) -> None:
    agent.replay(*answers)
    loaded = modules_after(*words, address=agent.address)
    assert not loaded & HEAVY
    assert {name.split(".")[1] for name in loaded if name.startswith("pellucid.")} == {"cli"}
