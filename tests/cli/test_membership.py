"""`members`, `join`, `leave`, `force-leave`."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import RECORDED, ReplayingAgent, Result

Cli = Callable[..., Result]


def test_members_are_a_table(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x011")
    assert cli("members").out == (
        "Node  Address          Status  Type    Build     Protocol  DC   Segment\n"
        "n1    127.0.0.1:41831  alive   server  1.10.0dev  2         dc1  <all>\n"
    ).replace("Build     Pro", "Build      Pro")
    assert agent.requests[0].query == {"segment": ["_all"]}


def test_clients_have_the_default_segment_and_ipv6_addresses_brackets(
    cli: Cli, agent: ReplayingAgent
) -> None:
    tags = {"role": "node", "build": "1.10.0:abc", "vsn": "2", "dc": "dc1"}
    member = {"Name": "c1", "Addr": "::1", "Port": 8301, "Status": 4, "Tags": tags}
    agent.answer("GET", "/v1/agent/members", json.dumps([member]))
    assert cli("members").out.splitlines()[1].split() == [
        "c1", "[::1]:8301", "failed", "client", "1.10.0", "2", "dc1", "<default>",
    ]  # fmt: skip


def test_detailed_members_show_their_tags_sorted(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x011")
    header, row = cli("members", "-detailed").out.splitlines()
    assert header.split() == ["Node", "Address", "Status", "Tags"]
    assert "acls=0,build=1.10.0dev:,dc=dc1," in row


def test_wan_asks_for_servers_of_all_datacenters(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x012")
    assert cli("members", "-wan").out.splitlines()[1].startswith("n1.dc1  127.0.0.1:41832")
    assert agent.requests[0].query == {"wan": ["1"]}


def test_no_member_of_a_status_prints_nothing_and_exits_2(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x011")
    assert cli("members", "-status=failed|left") == Result(2, "", "")


def test_a_malformed_status_is_refused(cli: Cli) -> None:
    result = cli("members", "-status=(")
    assert result.code == 1
    assert result.err.startswith("Failed to compile status regexp: ")


def test_members_as_json(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x011")
    assert json.loads(cli("members", "-format=json").out) == json.loads(RECORDED["x011"]["body"])


def test_join_counts_the_addresses_that_answered(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/agent/join/10.0.0.1")
    agent.replay("x388")
    result = cli("join", "10.0.0.1", "127.0.0.1:1")
    assert result.code == 0
    assert result.out == "Successfully joined cluster by contacting 1 nodes.\n"
    assert result.err.startswith("Error joining address '127.0.0.1:1': Unexpected response code: 500 (")


def test_joining_nobody_fails(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x388")
    result = cli("join", "-wan", "127.0.0.1:1")
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith("Failed to join any nodes.\n")
    assert agent.requests[0].query == {"wan": ["1"]}


def test_join_and_force_leave_need_their_argument_and_show_how(cli: Cli) -> None:
    assert cli("join").err.startswith(
        "At least one address to join must be specified.\n\nUsage: pellucid join"
    )
    assert cli("force-leave").err.startswith(
        "A single node name must be specified to force leave.\n\nUsage: pellucid force-leave"
    )


def test_leave(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/agent/leave")
    assert cli("leave") == Result(0, "Graceful leave complete\n", "")


def test_force_leave_is_silent(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/agent/force-leave/n2")
    assert cli("force-leave", "-prune", "n2") == Result(0, "", "")
    assert agent.requests[0].query == {"prune": ["1"]}


def test_forcing_an_unknown_node_to_leave_fails(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x389")
    assert cli("force-leave", "none") == Result(
        1,
        "",
        "Error force leaving: Unexpected response code: 500 (agent: No node found with name 'none')\n",
    )
