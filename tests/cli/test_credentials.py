"""Workload credentials on the command line: kept in a file, for its owner only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import ReplayingAgent, Result

Cli = Callable[..., Result]
ISSUE = "/v1/agent/connect/credential/web"


def test_a_credential_is_issued_into_a_file_and_not_shown(
    cli: Cli, agent: ReplayingAgent, tmp_path: Path
) -> None:
    agent.answer("PUT", ISSUE, '{"ServiceID": "web", "Credential": "s3cret"}')
    result = cli("connect", "credential", "-out", str(tmp_path / "c"), "web")
    assert result == Result(0, f"Credential of web written to {tmp_path / 'c'}\n", "")
    assert (tmp_path / "c").read_text() == "s3cret\n"


def test_a_credential_is_shown_when_that_is_asked_for(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", ISSUE, '{"ServiceID": "web", "Credential": "s3cret"}')
    assert cli("connect", "credential", "-out=-", "web").out == "s3cret\n"


def test_issuing_says_what_it_needs_and_why_it_failed(cli: Cli, agent: ReplayingAgent) -> None:
    assert cli("connect", "credential").err.startswith("A single service ID must be specified.\n")
    assert cli("connect", "credential", "web").err.startswith("Must specify the -out parameter")
    agent.answer("PUT", ISSUE, "unknown service ID: web", status=404)
    assert cli("connect", "credential", "-out=-", "web") == Result(
        1,
        "",
        "Error issuing a credential for web: Unexpected response code: 404 (unknown service ID: web)\n",
    )


def test_a_credential_that_cannot_be_kept_is_an_error(
    cli: Cli, agent: ReplayingAgent, tmp_path: Path
) -> None:
    agent.answer("PUT", ISSUE, '{"ServiceID": "web", "Credential": "s3cret"}')
    result = cli("connect", "credential", "-out", str(tmp_path / "none" / "c"), "web")
    assert result.code == 1
    assert "s3cret" not in result.out + result.err


def test_registering_can_keep_the_credential(cli: Cli, agent: ReplayingAgent, tmp_path: Path) -> None:
    agent.answer("PUT", "/v1/agent/service/register")
    agent.headers["X-Pellucid-Workload-Credential"] = "s3cret"
    file = tmp_path / "web.credential"
    result = cli("services", "register", "-name=web", f"-credential-file={file}")
    assert result == Result(0, "Registered service: web\n", "")
    assert file.read_text() == "s3cret\n"
    assert agent.requests[0].query == {"pellucid-credential": ["new"]}


def test_one_file_keeps_one_credential(cli: Cli, agent: ReplayingAgent, tmp_path: Path) -> None:
    (tmp_path / "two.hcl").write_text('service { name = "a" } service { name = "b" }')
    result = cli("services", "register", "-credential-file=x", str(tmp_path / "two.hcl"))
    assert result.err == "Error: -credential-file is for one service; register one at a time\n"
    assert agent.requests == []


def test_an_agent_that_gives_no_credential_is_reported(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/agent/service/register")
    result = cli("services", "register", "-name=web", "-credential-file=x")
    assert result == Result(
        1, "", "Error: the service is registered, but the agent gave no credential for it\n"
    )
