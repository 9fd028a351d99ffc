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


def rooms(loaded: set[str]) -> set[str]:
    """The rooms of ours among the modules."""
    return {name.split(".")[1] for name in loaded if name.startswith("pellucid.")}


def test_version_loads_no_client_and_nothing_heavy(agent: ReplayingAgent) -> None:
    loaded = modules_after("version", address=agent.address)
    assert not loaded & (HEAVY | {"http.client", "json", "ssl", "textwrap"})
    assert rooms(loaded) == {"cli"}


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
    assert rooms(loaded) == {"cli"}


def test_what_runs_in_every_pod_loads_nothing_it_does_not_need() -> None:
    """Each module is paid for by every pod, in memory and at its start."""
    loaded = modules_after("k8s", "sidecar", address="")
    unwanted = {"email", "http.client", "json", "lightkube", "lzma", "shutil", "starlette", "zlib"}
    assert not loaded & (HEAVY - {"asyncio", "msgspec"} | unwanted)
    assert rooms(loaded) == {"cli", "dataplane", "kube"}
    assert not any(
        name.startswith(("pellucid.kube.injector", "pellucid.kube.controllers")) for name in loaded
    )


def test_redirecting_a_pod_needs_no_event_loop_and_no_encryption() -> None:
    loaded = modules_after("k8s", "connect-init", "-proxy-uid=nobody", address="")
    assert not loaded & (HEAVY - {"msgspec"} | {"email", "http.client", "json", "ssl"})
    assert rooms(loaded) == {"cli", "dataplane"}
