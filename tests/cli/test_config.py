"""`config write`, `read`, `list`, `delete`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import RECORDED, ReplayingAgent, Result

Cli = Callable[..., Result]

DEFAULTS = """
Kind = "proxy-defaults"
Name = "global"
Config { protocol = "http" }
TransparentProxy = true
"""


def test_write_sends_the_entry_as_json_and_names_it(cli: Cli, agent: ReplayingAgent, tmp_path: Path) -> None:
    agent.answer("PUT", "/v1/config", "true")
    (tmp_path / "defaults.hcl").write_text(DEFAULTS)
    result = cli("config", "write", str(tmp_path / "defaults.hcl"))
    assert result == Result(0, "Config entry written: proxy-defaults/global\n", "")
    sent = agent.requests[0].json()
    assert isinstance(sent, dict)
    assert (sent["Kind"], sent["Name"]) == ("proxy-defaults", "global")
    assert sent["Config"] == {"protocol": "http"}
    assert sent["Mode"] == "transparent"


def test_write_reads_standard_input_for_a_dash(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/config", "true")
    assert cli("config", "write", "-", stdin='{"Kind": "mesh"}').out == "Config entry written: mesh/mesh\n"


def test_write_names_the_entry_as_the_file_does(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/config", "true")
    result = cli("config", "write", "-", stdin='Kind = "proxy-defaults"\nName = "other"')
    assert result.out == "Config entry written: proxy-defaults/other\n"


def test_a_lost_race_is_not_written(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/config", "false")
    result = cli("config", "write", "-cas", "-modify-index=7", "-", stdin='Kind = "mesh"')
    assert result == Result(1, "", "Config entry not updated: mesh/mesh\n")
    assert agent.requests[0].query == {"cas": ["7"]}


def test_scope_flags_become_query_parameters(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/config", "true")
    cli("config", "write", "-datacenter=dc2", "-stale", "-namespace=n", "-", stdin='Kind = "mesh"')
    assert agent.requests[0].query == {"dc": ["dc2"], "stale": [""], "ns": ["n"]}


def test_the_agents_refusal_is_passed_on_with_the_place_in_the_file(
    cli: Cli, agent: ReplayingAgent, tmp_path: Path
) -> None:
    agent.answer("PUT", "/v1/config", 'Sources[1] defines "api" more than once', status=500)
    file = tmp_path / "web.hcl"
    file.write_text(
        'Kind = "service-intentions"\nName = "web"\n'
        'Sources = [\n  { Name = "api", Action = "allow" },\n  { Name = "api", Action = "deny" },\n]\n'
    )
    result = cli("config", "write", str(file))
    assert result.code == 1
    assert result.err == (
        "Error writing config entry service-intentions/web: "
        'Unexpected response code: 500 (Sources[1] defines "api" more than once)\n'
        f"{file}:5: Sources[1] is here\n"
    )


def test_an_unknown_key_is_found_before_anything_is_sent(
    cli: Cli, agent: ReplayingAgent, tmp_path: Path
) -> None:
    file = tmp_path / "web.hcl"
    file.write_text('Kind = "service-defaults"\nName = "web"\n\nProtcol = "http"\n')
    result = cli("config", "write", str(file))
    assert result.code == 1
    assert result.err == (
        'Failed to decode config entry input: 1 error occurred:\n\t* invalid config key "Protcol"\n\n\n'
        f'{file}:4: Protcol: did you mean "Protocol"?\n'
    )
    assert agent.requests == []


def test_malformed_hcl_is_shown_with_its_line_and_column(cli: Cli) -> None:
    result = cli("config", "write", "-", stdin='Kind = "mesh"\nTransparentProxy {{\n')
    assert result.code == 1
    first, _, shown = result.err.partition("\n\n")
    assert first.startswith(
        "Failed to decode config entry input: Failed to decode config entry input: At 2:19: "
    )
    assert shown.splitlines()[1:] == ["  TransparentProxy {{", "                    ^"]


def test_an_entry_without_a_kind_is_refused_in_consuls_words(cli: Cli) -> None:
    result = cli("config", "write", "-", stdin='Name = "web"')
    assert result.err.startswith(
        "Failed to decode config entry input: Payload does not contain a kind/Kind key at the top level"
    )


def test_a_missing_file_is_named(cli: Cli, tmp_path: Path) -> None:
    result = cli("config", "write", str(tmp_path / "none.hcl"))
    assert result.code == 1
    assert result.err == (
        f"Failed to load data: Failed to read file: open {tmp_path / 'none.hcl'}: no such file or directory\n"
    )


def test_a_file_beyond_ten_million_characters_is_refused(cli: Cli, agent: ReplayingAgent) -> None:
    result = cli("config", "write", "-", stdin="#" * (10 * 1024 * 1024 + 1))
    assert result.code == 1
    assert "larger than 10485760 characters" in result.err
    assert agent.requests == []


@pytest.mark.parametrize("files", [(), ("a", "b")])
def test_write_takes_exactly_one_file(cli: Cli, files: tuple[str, ...]) -> None:
    result = cli("config", "write", *files)
    assert result.code == 1
    assert result.err == (
        "Must provide exactly one positional argument to specify the config entry to write\n"
    )


def test_read_prints_what_the_agent_holds_indented_by_four(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x152")
    result = cli("config", "read", "-kind=proxy-defaults", "-name", "global")
    assert result.code == 0
    assert json.loads(result.out) == json.loads(RECORDED["x152"]["body"])
    assert result.out.startswith('{\n    "Kind": "proxy-defaults",\n')


def test_reading_an_absent_entry_fails(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x147")
    assert cli("config", "read", "-kind=service-defaults", "-name=web") == Result(
        1,
        "",
        "Error reading config entry service-defaults/web: Unexpected response code: 404 "
        '(Config entry not found for "service-defaults" / "web")\n',
    )


def test_list_prints_names_one_per_line(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/config/service-defaults", '[{"Name": "a"}, {"Name": "b"}]')
    assert cli("config", "list", "-kind=service-defaults") == Result(0, "a\nb\n", "")


def test_listing_nothing_prints_nothing(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/config/service-defaults", "[]")
    assert cli("config", "list", "-kind=service-defaults") == Result(0, "", "")


def test_the_mesh_entry_is_listed_although_it_has_no_name(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/config/mesh", '[{"Kind": "mesh"}]')
    assert cli("config", "list", "-kind=mesh").out == "mesh\n"


def test_list_prints_whole_entries_as_json(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x155")
    result = cli("config", "list", "-kind=service-defaults", "-format=json")
    assert json.loads(result.out) == json.loads(RECORDED["x155"]["body"])


def test_delete_is_the_same_whether_the_entry_was_there(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x185")
    result = cli("config", "delete", "-kind=service-defaults", "-name=none")
    assert result == Result(0, "Config entry deleted: service-defaults/none\n", "")


@pytest.mark.parametrize("command", ["read", "delete"])
def test_kind_and_name_are_required(cli: Cli, command: str) -> None:
    assert cli("config", command, "-name=x") == Result(1, "", "Must specify the -kind parameter\n")
    assert cli("config", command, "-kind=x") == Result(1, "", "Must specify the -name parameter\n")


def test_list_requires_a_kind(cli: Cli) -> None:
    assert cli("config", "list") == Result(1, "", "Must specify the -kind parameter\n")
