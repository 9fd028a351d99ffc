"""`info`, `reload`, `maint`, and the certificate authority's settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import RECORDED, ReplayingAgent, Result

Cli = Callable[..., Result]


def test_info_is_sorted_by_section_and_key(cli: Cli, agent: ReplayingAgent) -> None:
    stats = {"runtime": {"goroutines": "9", "arch": "amd64"}, "agent": {"services": "0"}}
    agent.answer("GET", "/v1/agent/self", json.dumps({"Stats": stats}))
    assert cli("info").out == "agent:\n\tservices = 0\nruntime:\n\tarch = amd64\n\tgoroutines = 9\n"


def test_reload(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x403")
    assert cli("reload") == Result(0, "Configuration reload triggered\n", "")


def test_maintenance_of_the_node(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/agent/maintenance")
    assert cli("maint", "-enable", "-reason=disk").out == "Node maintenance is now enabled\n"
    assert cli("maint", "-disable").out == "Node maintenance is now disabled\n"
    assert [request.query for request in agent.requests] == [
        {"enable": ["true"], "reason": ["disk"]},
        {"enable": ["false"], "reason": [""]},
    ]


def test_maintenance_of_a_service(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/agent/service/maintenance/web")
    result = cli("maint", "-disable", "-service", "web")
    assert result.out == 'Service maintenance is now disabled for "web"\n'


def test_without_flags_maint_lists_what_is_in_maintenance(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/agent/self", '{"Config": {"NodeName": "n1"}}')
    checks = {
        "other": {"Notes": "no"},
        "_service_maintenance:web": {"ServiceID": "web", "Notes": "upgrade"},
        "_node_maintenance": {"Notes": "disk"},
    }
    agent.answer("GET", "/v1/agent/checks", json.dumps(checks))
    assert cli("maint").out == (
        "Node:\n  Name:   n1\n  Reason: disk\n\nService:\n  ID:     web\n  Reason: upgrade\n\n"
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-enable", "-disable"], "Only one of -enable or -disable may be provided\n"),
        (["-disable", "-reason=x"], "Reason may only be provided with -enable\n"),
        (["-service=web"], "Must provide -enable or -disable with -service\n"),
    ],
)
def test_contradictory_maintenance_is_refused(cli: Cli, words: list[str], text: str) -> None:
    assert cli("maint", *words) == Result(1, "", text)


def test_ca_settings_are_shown_indented_by_tabs(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x258")
    result = cli("connect", "ca", "get-config")
    assert json.loads(result.out) == json.loads(RECORDED["x258"]["body"])
    assert '\n\t"Config": {\n\t\t' in result.out


def test_ca_settings_are_changed_from_a_file(cli: Cli, agent: ReplayingAgent, tmp_path: Path) -> None:
    agent.answer("PUT", "/v1/connect/ca/configuration")
    (tmp_path / "ca.json").write_text('{"Provider": "consul", "Config": {"LeafCertTTL": "48h"}}')
    result = cli(
        "connect",
        "ca",
        "set-config",
        "-force-without-cross-signing",
        "-config-file",
        str(tmp_path / "ca.json"),
    )
    assert result == Result(0, "Configuration updated!\n", "")
    assert agent.requests[0].json() == {
        "Provider": "consul",
        "Config": {"LeafCertTTL": "48h"},
        "ForceWithoutCrossSigning": True,
    }


def test_ca_settings_need_a_readable_file(cli: Cli, agent: ReplayingAgent) -> None:
    assert cli("connect", "ca", "set-config").err == "The -config-file flag is required\n"
    assert cli("connect", "ca", "set-config", "-config-file=-", stdin="[]").err == (
        "Error reading config file: - does not hold a JSON object\n"
    )
    assert cli("connect", "ca", "set-config", "-config-file=-", stdin="{").code == 1
    assert agent.requests == []
