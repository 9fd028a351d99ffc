"""`catalog datacenters`, `nodes`, `services`."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import RECORDED, ReplayingAgent, Result

Cli = Callable[..., Result]


def test_datacenters_are_listed_one_per_line(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x016")
    assert cli("catalog", "datacenters") == Result(0, "dc1\n", "")


def test_nodes_are_a_table_with_short_ids(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x017")
    assert cli("catalog", "nodes").out == ("Node  ID        Address    DC\nn1    ee6d986f  127.0.0.1  dc1\n")


def test_detailed_nodes_show_everything(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x017")
    header, row = cli("catalog", "nodes", "-detailed").out.splitlines()
    assert header.split() == ["Node", "ID", "Address", "DC", "TaggedAddresses", "Meta"]
    assert "ee6d986f-36bf-a739-b1df-012347c72d28" in row
    assert "lan=127.0.0.1, lan_ipv4=127.0.0.1, wan=127.0.0.1, wan_ipv4=127.0.0.1" in row
    assert row.endswith("consul-network-segment=")


def test_nodes_of_a_service_come_from_the_service(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x117")
    result = cli("catalog", "nodes", "-service=static-server", "-node-meta=a=b", "-near=_agent")
    assert result.out.splitlines()[1].startswith("n1    ee6d986f")
    assert agent.requests[0].query == {"near": ["_agent"], "node-meta": ["a:b"]}


def test_no_nodes_is_said_on_stderr_and_no_error(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/catalog/nodes", "[]")
    assert cli("catalog", "nodes", "-filter=Node == none") == Result(
        0, "", "No nodes match the given query - try expanding your search.\n"
    )


def test_services_are_sorted_names(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/catalog/services", '{"web": [], "api": ["v1"]}')
    assert cli("catalog", "services").out == "api\nweb\n"


def test_services_with_tags(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/catalog/services", '{"web": [], "api-gate": ["v2", "v1"]}')
    assert cli("catalog", "services", "-tags").out == "api-gate      v1,v2\nweb           \n"


def test_services_of_one_node(cli: Cli, agent: ReplayingAgent) -> None:
    services = {"i1": {"Service": "web", "Tags": ["a"]}, "i2": {"Service": "web", "Tags": ["b", "a"]}}
    agent.answer("GET", "/v1/catalog/node/n1", json.dumps({"Services": services}))
    assert cli("catalog", "services", "-node=n1", "-tags").out == "web      a,b\n"


def test_services_of_an_unknown_node_are_none(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x022")
    assert cli("catalog", "services", "-node=none") == Result(
        0, "", "No services match the given query - try expanding your search.\n"
    )


def test_an_unknown_datacenter_is_an_error(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x033")
    assert cli("catalog", "services", "-datacenter=dc9") == Result(
        1, "", "Error listing services: Unexpected response code: 500 (No path to datacenter)\n"
    )


def test_json_is_what_the_agent_said(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x016", "x017", "x018")
    for command, identifier in (("datacenters", "x016"), ("nodes", "x017"), ("services", "x018")):
        result = cli("catalog", command, "-format=json")
        assert json.loads(result.out) == json.loads(RECORDED[identifier]["body"])
