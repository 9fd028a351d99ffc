"""`intention create`, `check`, `get`, `list`, `match`, `delete`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import RECORDED, ReplayingAgent, Result

Cli = Callable[..., Result]
IDENTIFIER = "649086dc-2e2b-439a-1a93-3037376bd4be"


@pytest.fixture(autouse=True)
def _times_are_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_create_allows_unless_told_otherwise(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x197")
    assert cli("intention", "create", "web", "db") == Result(0, "Created: web => db (allow)\n", "")
    assert agent.requests[0].json() == {
        "SourceNS": "default",
        "SourceName": "web",
        "DestinationNS": "default",
        "DestinationName": "db",
        "SourceType": "consul",
        "Action": "allow",
    }


def test_create_denies_with_metadata(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x197")
    result = cli("intention", "create", "-deny", "-meta", "k=v", "*", "*")
    assert result.out == "Created: * => * (deny)\n"
    sent = agent.requests[0].json()
    assert isinstance(sent, dict)
    assert (sent["Action"], sent["Meta"]) == ("deny", {"k": "v"})


def test_a_second_intention_of_the_same_pair_is_refused(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x202")
    assert cli("intention", "create", "web", "db") == Result(
        1,
        "",
        'Error creating intention "web => db (allow)": '
        'Unexpected response code: 500 (Sources[1] defines "web" more than once)\n',
    )


def test_replace_overwrites_the_stored_one_by_its_id_and_prints_nothing(
    cli: Cli, agent: ReplayingAgent
) -> None:
    agent.answer("GET", "/v1/connect/intentions/exact", json.dumps({"ID": IDENTIFIER}))
    agent.answer("PUT", f"/v1/connect/intentions/{IDENTIFIER}", json.dumps({"ID": IDENTIFIER}))
    assert cli("intention", "create", "-replace", "-deny", "web", "db") == Result(0, "", "")
    assert [request.method for request in agent.requests] == ["GET", "PUT"]


def test_replace_overwrites_one_without_an_id_too(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x213")
    agent.answer("PUT", "/v1/connect/intentions/exact", "true")
    assert cli("intention", "create", "-replace", "api", "static-server").code == 0
    assert agent.requests[1].query == {"source": ["api"], "destination": ["static-server"]}


def test_replace_creates_where_there_is_none(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x214", "x197")
    assert cli("intention", "create", "-replace", "web", "db").out == "Created: web => db (allow)\n"


def test_create_reads_files(cli: Cli, agent: ReplayingAgent, tmp_path: Path) -> None:
    agent.replay("x197")
    for name in ("a", "b"):
        intention = {"SourceName": name, "DestinationName": "db", "Action": "deny"}
        (tmp_path / name).write_text(json.dumps(intention))
    result = cli("intention", "create", "-file", str(tmp_path / "a"), str(tmp_path / "b"))
    assert result.out == "Created: a => db (deny)\nCreated: b => db (deny)\n"


def test_a_file_with_permissions_belongs_to_config_write(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "l7").write_text('{"SourceName": "a", "Permissions": [{"Action": "allow"}]}')
    result = cli("intention", "create", "-file", str(tmp_path / "l7"))
    assert result.err == (
        f'cannot create L7 intention from file "{tmp_path / "l7"}" using this CLI; '
        "use 'consul config write' instead\n"
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-allow", "-deny", "a", "b"], "Only one of -allow or -deny may be specified.\n"),
        (["a"], "Error: Must specify two arguments: source and destination\n"),
        (["a", "b", "c"], "Error: Must specify two arguments: source and destination\n"),
    ],
)
def test_create_says_what_it_needs(cli: Cli, words: list[str], text: str) -> None:
    assert cli("intention", "create", *words) == Result(1, "", text)


def test_check_answers_in_words_and_in_the_exit_code(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x196")
    assert cli("intention", "check", "web", "static-server") == Result(0, "Allowed\n", "")
    agent.replay("x201")
    assert cli("intention", "check", "web", "static-server") == Result(1, "Denied\n", "")


def test_check_is_coloured_for_a_person_only(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x196")
    assert cli("intention", "check", "web", "db", colour=True).out == "\x1b[32mAllowed\x1b[0m\n"


def test_check_exits_2_on_any_error(cli: Cli, agent: ReplayingAgent) -> None:
    assert cli("intention", "check", "web") == Result(
        2, "", "Error: command requires exactly two arguments: src and dst\n"
    )
    agent.answer("GET", "/v1/connect/intentions/check", "No cluster leader", status=500)
    assert cli("intention", "check", "web", "db") == Result(
        2, "", "Error checking the connection: Unexpected response code: 500 (No cluster leader)\n"
    )
    assert cli("intention", "check", "-http-addr=x://y", "web", "db").code == 2


def test_get_shows_an_intention_by_its_id(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x199")
    assert cli("intention", "get", IDENTIFIER).out == (
        "Source:       web\n"
        "Destination:  static-server\n"
        "Action:       deny\n"
        f"ID:           {IDENTIFIER}\n"
        "Description:  d1\n"
        "Meta[k]:      v\n"
        "Created At:   Monday, 23-Nov-26 21:18:45 UTC\n"
    )


def test_get_shows_one_without_an_id_by_its_ends(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x213")
    assert cli("intention", "get", "api", "static-server").out == (
        "Source:       api\nDestination:  static-server\nAction:       allow\n"
    )


def test_get_shows_permissions_as_json(cli: Cli, agent: ReplayingAgent) -> None:
    intention = {"SourceName": "a", "DestinationName": "b", "Permissions": [{"Action": "allow"}]}
    agent.answer("GET", "/v1/connect/intentions/exact", json.dumps(intention))
    assert cli("intention", "get", "a", "b").out == (
        'Source:       a\nDestination:  b\nPermissions:\n[\n  {\n    "Action": "allow"\n  }\n]\n'
    )


def test_getting_an_absent_intention_fails(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x214")
    assert cli("intention", "get", "none", "db") == Result(
        1, "", 'Error: Intention not found with source "none" and destination "db"\n'
    )
    agent.replay("x235")
    result = cli("intention", "get", "11111111-2222-3333-4444-555555555555")
    assert result.err == ('Error: Intention not found with ID "11111111-2222-3333-4444-555555555555"\n')


def test_getting_by_a_malformed_id_passes_the_agents_words_on(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x234")
    assert cli("intention", "get", "not-a-uuid").err == (
        "Error: Unexpected response code: 400 (Bad request: failed config entry lookup: "
        "index error: UUID must be 36 characters)\n"
    )


def test_list_is_a_table(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x198")
    assert cli("intention", "list") == Result(
        0,
        "ID                                    Source  Action  Destination    Precedence\n"
        f"{IDENTIFIER}  web     deny    static-server  9\n",
        "",
    )


def test_an_intention_with_permissions_has_no_action_of_its_own(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x211")
    assert cli("intention", "list").out.splitlines()[1:3] == [
        "    api     allow   static-server  9",
        "    l7              static-server  9",
    ]


def test_an_empty_list_exits_2(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x194")
    assert cli("intention", "list") == Result(2, "", "There are no intentions.\n")


def test_list_prints_json(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x198")
    assert json.loads(cli("intention", "list", "-format=json").out) == json.loads(RECORDED["x198"]["body"])


def test_match_lists_in_the_order_of_trial(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x225")
    result = cli("intention", "match", "static-server")
    assert result.code == 0
    assert result.out.splitlines()[:2] == [
        "api => static-server (allow)",
        "l7 => static-server (1 permission)",
    ]
    assert result.out.splitlines()[-1] == "* => * (deny)"
    assert agent.requests[0].query == {"by": ["destination"], "name": ["static-server"]}


def test_match_by_source(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x226")
    assert cli("intention", "match", "-source", "api").out.startswith("api => static-server (allow)\n")
    assert agent.requests[0].query["by"] == ["source"]


def test_matching_nothing_is_no_error(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x195")
    assert cli("intention", "match", "static-server") == Result(0, "", "")


def test_delete_by_ends_and_by_id(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x243")
    assert cli("intention", "delete", "api", "db") == Result(0, "Intention deleted.\n", "")
    agent.replay("x245")
    assert cli("intention", "delete", IDENTIFIER) == Result(
        1,
        "",
        "Error deleting the intention: Unexpected response code: 500 "
        f"(Cannot delete non-existent intention: '{IDENTIFIER}')\n",
    )


def test_get_and_delete_take_one_or_two_arguments(cli: Cli) -> None:
    for command in ("get", "delete"):
        assert cli("intention", command).err == "Error: command requires exactly 1 or 2 arguments\n"
