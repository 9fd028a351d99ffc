"""`services register` and `deregister`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ReplayingAgent, Result

Cli = Callable[..., Result]
REGISTER = "/v1/agent/service/register"


def test_a_file_may_hold_several_services(cli: Cli, agent: ReplayingAgent, tmp_path: Path) -> None:
    agent.answer("PUT", REGISTER)
    (tmp_path / "web.hcl").write_text(
        'service {\n  name = "web"\n  port = 80\n  tags = ["v1"]\n'
        "  connect { sidecar_service { proxy {\n"
        '    upstreams { destination_name = "db" local_bind_port = 1 }\n'
        "  } } }\n"
        '  check { http = "http://127.0.0.1/", interval = "10s" }\n}\n'
        'service { name = "api" }\n'
    )
    result = cli("services", "register", str(tmp_path / "web.hcl"))
    assert result == Result(0, "Registered service: web\nRegistered service: api\n", "")
    web, api = (request.json() for request in agent.requests)
    assert isinstance(web, dict)
    assert (web["Name"], web["Port"], web["Tags"]) == ("web", 80, ["v1"])
    assert web["Check"] == {"HTTP": "http://127.0.0.1/", "Interval": "10s"}
    upstream = web["Connect"]["SidecarService"]["Proxy"]["Upstreams"][0]
    assert (upstream["DestinationName"], upstream["LocalBindPort"]) == ("db", 1)
    assert api == {"Name": "api"}


def test_json_files_are_read_too(cli: Cli, agent: ReplayingAgent, tmp_path: Path) -> None:
    agent.answer("PUT", REGISTER)
    (tmp_path / "web.json").write_text('{"services": [{"name": "web", "meta": {"a": "b"}}]}')
    assert cli("services", "register", str(tmp_path / "web.json")).out == "Registered service: web\n"
    assert agent.requests[0].json() == {"Name": "web", "Meta": {"a": "b"}}


def test_flags_describe_one_service(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", REGISTER)
    flags = ["-name=web", "-id=web-1", "-address=10.0.0.1", "-port=80", "-tag=a", "-tag=b", "-meta=k=v"]
    result = cli("services", "register", *flags, "-tagged-address=wan=[::1]:99", "-kind=")
    assert result.out == "Registered service: web\n"
    assert agent.requests[0].json() == {
        "ID": "web-1",
        "Name": "web",
        "Address": "10.0.0.1",
        "Port": 80,
        "Tags": ["a", "b"],
        "Meta": {"k": "v"},
        "TaggedAddresses": {"wan": {"Address": "::1", "Port": 99}},
    }


def test_the_agents_refusal_names_the_service(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", REGISTER, "Invalid service address", status=400)
    assert cli("services", "register", "-name=web", "-address=0.0.0.0") == Result(
        1, "", 'Error registering service "web": Unexpected response code: 400 (Invalid service address)\n'
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "Service registration requires at least one argument or flags.\n"),
        (["-id=x", "file"], "Service registration requires arguments or -id, not both.\n"),
        (["-id=x"], "Error: -name is required to register a service with flags\n"),
        (
            ["-name=x", "-tagged-address=lan=nowhere"],
            "Error: -tagged-address lan=nowhere: give an address and a port: name=10.0.0.1:80\n",
        ),
    ],
)
def test_register_says_what_it_needs(cli: Cli, words: list[str], text: str) -> None:
    assert cli("services", "register", *words) == Result(1, "", text)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            'service { name = "web" prot = 1 }',
            'invalid config key service[0].prot (line 1: did you mean "port"?)',
        ),
        ("service { port = 1 }", "services[0] has no name"),
        ('datacenter = "dc1"', "no service is defined in"),
        ("service {", "failed to parse"),
    ],
)
def test_nothing_is_registered_from_a_faulty_file(
    cli: Cli, agent: ReplayingAgent, tmp_path: Path, content: str, text: str
) -> None:
    (tmp_path / "good.hcl").write_text('service { name = "good" }')
    (tmp_path / "web.hcl").write_text(content)
    result = cli("services", "register", str(tmp_path / "web.hcl"))
    assert (result.code, result.out) == (1, "")
    assert text in result.err
    assert agent.requests == []


def test_deregister_by_id(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("PUT", "/v1/agent/service/deregister/web")
    assert cli("services", "deregister", "-id=web") == Result(0, "Deregistered service: web\n", "")


def test_deregister_what_a_file_defines(cli: Cli, agent: ReplayingAgent, tmp_path: Path) -> None:
    for identifier in ("web-1", "api"):
        agent.answer("PUT", f"/v1/agent/service/deregister/{identifier}")
    (tmp_path / "web.hcl").write_text('services = [{ name = "web", id = "web-1" }, { name = "api" }]')
    result = cli("services", "deregister", str(tmp_path / "web.hcl"))
    assert result.out == "Deregistered service: web-1\nDeregistered service: api\n"


def test_deregister_says_what_it_needs(cli: Cli) -> None:
    assert cli("services", "deregister").err == (
        "Service deregistration requires at least one argument or -id.\n"
    )
    assert cli("services", "deregister", "-id=x", "file").err == (
        "Service deregistration requires arguments or -id, not both.\n"
    )
