"""`connect redirect-traffic`: which flags become which rules."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import ReplayingAgent, Result

Cli = Callable[..., Result]
WALKTHROUGH = ["-p", "15001", "-z", "20000", "-u", "0", "-g", "0", "-d", "", "-o", "", "-m", "REDIRECT"]
PROXY = {
    "Kind": "connect-proxy",
    "ID": "web-sidecar-proxy",
    "Port": 21000,
    "Proxy": {
        "DestinationServiceName": "web",
        "Config": {"envoy_prometheus_bind_addr": "0.0.0.0:9102"},
        "TransparentProxy": {"OutboundListenerPort": 15009},
    },
}


def dry_run(cli: Cli, *words: str) -> str:
    result = cli("connect", "redirect-traffic", "-dry-run", *words)
    assert (result.code, result.err) == (0, "")
    return result.out


def test_ports_come_from_flags(cli: Cli) -> None:
    rules = dry_run(cli, "-proxy-uid=1234", "-proxy-inbound-port=20001", "-proxy-outbound-port=15002")
    assert "--uid-owner 1234" in rules
    assert "--to-ports 20001" in rules
    assert "--to-ports 15002" in rules
    assert "# ip6tables-restore" in rules


def test_the_outbound_port_has_a_default(cli: Cli) -> None:
    assert "--to-ports 15001" in dry_run(cli, "-proxy-uid=1", "-proxy-inbound-port=20000")


def test_exclusions_may_be_repeated(cli: Cli) -> None:
    exclusions = [
        "-exclude-inbound-port=22", "-exclude-inbound-port=23", "-exclude-outbound-port=53",
        "-exclude-outbound-cidr=10.0.0.0/8", "-exclude-uid=99",
    ]  # fmt: skip
    rules = dry_run(cli, "-proxy-uid=1", "-proxy-inbound-port=20000", *exclusions)
    for part in ("--dport 22", "--dport 23", "--dport 53", "-d 10.0.0.0/8", "--uid-owner 99"):
        assert part in rules


def test_ports_and_exclusions_come_from_a_registered_proxy(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/agent/service/web-sidecar-proxy", json.dumps(PROXY))
    agent.answer("GET", "/v1/agent/checks", "{}")
    rules = dry_run(cli, "-proxy-uid=1", "-proxy-id=web-sidecar-proxy")
    for part in ("--to-ports 21000", "--to-ports 15009", "--dport 9102"):
        assert part in rules


def test_the_walkthroughs_kuma_init_flags_are_understood(cli: Cli) -> None:
    rules = dry_run(cli, *WALKTHROUGH, "-i", "*", "-b", "*")
    assert "--to-ports 15001" in rules
    assert "--to-ports 20000" in rules


def test_a_service_that_is_no_proxy_is_refused(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/agent/service/web", '{"ID": "web"}')
    agent.answer("GET", "/v1/agent/checks", "{}")
    assert cli("connect", "redirect-traffic", "-proxy-uid=1", "-proxy-id=web") == Result(
        1, "", "==> service web is not a proxy service\n"
    )


def test_an_unknown_proxy_is_reported(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x066")
    result = cli("connect", "redirect-traffic", "-proxy-uid=1", "-proxy-id=none")
    assert result.code == 1
    assert result.err.endswith("Unexpected response code: 404 (unknown service ID: none)\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "==> -proxy-uid is required\n"),
        (["-proxy-uid=1"], "==> either -proxy-id or -proxy-inbound-port are required\n"),
        (
            ["-proxy-uid=1", "-proxy-id=x", "-proxy-inbound-port=1"],
            "==> -proxy-inbound-port or -proxy-outbound-port cannot be provided together with -proxy-id. "
            "Proxy's inbound and outbound ports are retrieved from the proxy's configuration instead.\n",
        ),
        (
            ["-proxy-uid=root", "-proxy-inbound-port=1"],
            "==> -proxy-uid: 'root' is not usable; give a numeric id from 0 to 4294967294\n",
        ),
        (
            ["-proxy-uid=1", "-proxy-inbound-port=1", "-exclude-outbound-cidr=x"],
            "==> -exclude-outbound-cidr: 'x' is not usable; "
            "give an address range such as 10.0.0.0/8 or fd00::/8\n",
        ),
    ],
)
def test_misuse_is_named(cli: Cli, words: list[str], text: str) -> None:
    assert cli("connect", "redirect-traffic", *words) == Result(1, "", text)


def test_a_namespace_that_does_not_exist_is_an_error(cli: Cli) -> None:
    result = cli(
        "connect", "redirect-traffic", "-proxy-uid=1", "-proxy-inbound-port=2", "-netns=/run/netns/none"
    )
    assert result.code == 1
    assert result.err.startswith("==> Error setting up traffic redirection rules: ")


@pytest.fixture
def namespace() -> Iterator[str]:
    """The path of a network namespace that lives until the test ends."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo made; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "made\n"
    yield f"/proc/{holder.pid}/ns/net"
    holder.communicate()


def rules_in(namespace: str) -> str:
    command = ["nsenter", f"--net={namespace}", "iptables-save", "-t", "nat"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.root
def test_rules_are_applied_once_however_often_and_can_be_removed(cli: Cli, namespace: str) -> None:
    words = ("connect", "redirect-traffic", f"-netns={namespace}")
    flags = ("-proxy-uid=1234", "-proxy-inbound-port=20000")
    applied = Result(0, "    Successfully applied traffic redirection rules\n", "")
    assert cli(*words, *flags) == applied
    once = rules_in(namespace)
    assert once.count("--uid-owner 1234") == 1
    assert cli(*words, *flags) == applied
    assert rules_in(namespace).count("-A ") == once.count("-A ")
    removed = Result(0, "    Successfully removed traffic redirection rules\n", "")
    assert cli(*words, "-undo") == removed
    assert "-A " not in rules_in(namespace)
    assert cli(*words, "-undo") == removed
