"""`run`: what its flags ask the dataplane for. That it does it is shown with real namespaces, elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from ipaddress import ip_network

import pytest

from pellucid.cli.command import Invocation, Terminal
from pellucid.cli.commands.run import RUN, settings_of
from pellucid.cli.go_flags import parse
from pellucid.dataplane.run.settings import WorkloadSettings, WorkloadUpstream
from tests.cli.conftest import Result

Cli = Callable[..., Result]


def asked(*words: str, **environment: str) -> WorkloadSettings:
    flags, command = parse(RUN.all_flags(), words)
    terminal = Terminal(StringIO(), StringIO(), StringIO())
    return settings_of(Invocation("pellucid", flags, command, environment, terminal))


def test_the_program_keeps_its_own_flags() -> None:
    assert asked("-service=web", "--", "curl", "-h", "--", "x").command == ("curl", "-h", "--", "x")
    assert asked("curl", "-service=x").command == ("curl", "-service=x")


def test_the_service_is_named_after_the_program_unless_told() -> None:
    assert asked("--", "/usr/bin/My_Server.py").service == "my-server"
    assert asked("-service=web", "--", "x").service == "web"


def test_flags_become_settings() -> None:
    settings = asked(
        "-port=8080", "-id=web-1", "-upstream=api:9191", "-upstream=db:5432:dc2", "-protocol=http",
        "-tag=v1", "-user=nobody", "-exclude-inbound-port=22", "-exclude-outbound-port=53",
        "-exclude-outbound-cidr=10.0.0.0/8", "-exclude-uid=7", "-grpc-addr=127.0.0.1:1", "-uplink=false",
        "-host=example.com=192.0.2.1", "-envoy-argument=-l", "-envoy-argument=debug", "--", "x",
    )  # fmt: skip
    assert settings.upstreams == (WorkloadUpstream("api", 9191), WorkloadUpstream("db", 5432, "dc2"))
    assert (settings.port, settings.service_id, settings.protocol) == (8080, "web-1", "http")
    assert (settings.tags, settings.user, settings.uplink) == (("v1",), "nobody", False)
    assert (settings.exclude_inbound_ports, settings.exclude_outbound_ports) == ((22,), (53,))
    assert (settings.exclude_outbound_cidrs, settings.exclude_uids) == ((ip_network("10.0.0.0/8"),), (7,))
    assert settings.hosts == {"example.com": "192.0.2.1"}
    assert settings.envoy_arguments == ("-l", "debug")


def test_the_agent_is_found_as_by_every_other_command() -> None:
    agent = asked(
        "-token=s3cret", "x",
        CONSUL_HTTP_ADDR="https://mesh:8501", CONSUL_CACERT="/ca", CONSUL_HTTP_AUTH="me:mine",
    ).agent  # fmt: skip
    assert (agent.scheme, agent.address, agent.ca_file) == ("https", "mesh:8501", "/ca")
    assert (agent.token, agent.basic_auth) == ("s3cret", "me:mine")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-port=0", "--", "x"], "-port: '0' is not usable; give a port number from 1 to 65535"),
        (["-upstream=api", "--", "x"], "upstream: 'api' is not usable; give name:port"),
        (["-host=a=b", "--", "x"], "-host a=b: give an IP address"),
        (["-http-addr=x://y", "--", "x"], "Unknown protocol scheme: x"),
    ],
)
def test_misuse_fails_before_anything_is_started(cli: Cli, words: list[str], text: str) -> None:
    result = cli("run", *words)
    assert (result.code, result.out) == (125, "")
    assert text in result.err


def test_a_command_must_be_given(cli: Cli) -> None:
    result = cli("run", "-service=web")
    assert result.code == 125
    assert result.err.startswith("A command to run must be given after --.\n\nUsage: pellucid run")


def test_without_an_agent_nothing_is_run(cli: Cli) -> None:
    assert cli("run", "-http-addr=127.0.0.1:1", "--", "true").code == 125
