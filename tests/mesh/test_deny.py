"""A deny bites: at the destination, within a second, in the whole of the agent and the real Envoy."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from tests.mesh.applications import Served, calling, served
from tests.mesh.callers import Caller, is_let_in
from tests.mesh.mesh import PATIENCE_S, Agent, eventually, running_agent

PROMISED_S = 1.0
"""The promise: a deny has ended open connections after this long, from the command on."""


class Scene:
    """Services that are called, and the identities of others that call them without a sidecar."""

    def __init__(self, agent: Agent, directory: Path, stack: ExitStack) -> None:
        self.agent = agent
        self.echo: Served = stack.enter_context(served(agent, "echo", "echo.py"))
        self.web: Served = stack.enter_context(served(agent, "web", "web.py", "http"))
        self.identities: dict[str, ssl.SSLContext] = {}
        for name in ("a", "b"):
            agent.register(name)
            self.identities[name] = agent.identity(name, directory)

    def call(self, name: str, service: Served) -> Caller:
        return Caller(self.identities[name], service.port)


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with running_agent() as agent, ExitStack() as stack:
        yield Scene(agent, tmp_path_factory.mktemp("allowing"), stack)


@pytest.fixture
def scene(allowing: Scene) -> Iterator[Scene]:
    """Everything allowed, until the test says otherwise."""
    yield allowing
    for service in (allowing.echo, allowing.web):
        allowing.agent.intend(service.name)
    eventually(lambda: is_let_in(allowing.identities["a"], allowing.echo.port), "a is let in again")


@pytest.fixture(scope="module")
def denying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    hcl = '-hcl=pellucid { intention_default = "deny" }'
    with running_agent(hcl) as agent, ExitStack() as stack:
        yield Scene(agent, tmp_path_factory.mktemp("denying"), stack)


def test_a_deny_ends_open_connections_of_that_source_within_a_second_and_no_others(scene: Scene) -> None:
    a, b = scene.call("a", scene.echo), scene.call("b", scene.echo)
    assert (a.say(b"word"), b.say(b"word")) == (b"word", b"word")
    assert a.ended_after(scene.agent.intend("echo", a="deny")) < PROMISED_S
    assert b.say(b"still here") == b"still here"
    assert not is_let_in(scene.identities["a"], scene.echo.port)


def test_a_deny_of_everyone_spares_who_is_allowed_by_name(scene: Scene) -> None:
    a, b = scene.call("a", scene.echo), scene.call("b", scene.echo)
    assert (a.say(b"word"), b.say(b"word")) == (b"word", b"word")
    assert a.ended_after(scene.agent.intend("echo", any="deny", b="allow")) < PROMISED_S
    assert b.say(b"still here") == b"still here"


def test_a_deny_by_the_command_line_bites_as_well(scene: Scene) -> None:
    a = scene.call("a", scene.echo)
    assert a.say(b"word") == b"word"
    scene.agent.cli("intention", "create", "-deny", "a", "echo")
    assert a.ended_after(time.monotonic()) < PROMISED_S


def test_a_response_under_way_ends_and_others_go_on(scene: Scene) -> None:
    a, b = scene.call("a", scene.web), scene.call("b", scene.web)
    assert (a.get("/stream"), b.get("/stream")) == (200, 200)
    assert a.ended_after(scene.agent.intend("web", a="deny")) < PROMISED_S
    assert b"hello" in b.read()


def test_the_next_request_on_a_kept_alive_connection_is_refused(scene: Scene) -> None:
    a, b = scene.call("a", scene.web), scene.call("b", scene.web)
    assert (a.get(), b.get()) == (200, 200)
    began = scene.agent.intend("web", a="deny")
    while (status := a.get()) not in (403, 0):
        assert time.monotonic() - began < PROMISED_S, f"still answered {status}"
    assert b.get() == 200


def test_a_grpc_stream_under_way_ends_though_the_source_proxy_keeps_its_connection(scene: Scene) -> None:
    agent = scene.agent
    with (
        served(agent, "greeter", "greeter.py", "grpc"),
        calling(agent, "client", "greeter", "grpc") as (port, _),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        never = threading.Event()

        def names() -> Iterator[bytes]:
            yield b"you"
            never.wait(PATIENCE_S)

        chat = channel.stream_stream("/hello.Greeter/Chat")(names(), wait_for_ready=True, timeout=PATIENCE_S)
        assert next(chat) == b"hello you"
        began = agent.intend("greeter", client="deny")
        with pytest.raises(grpc.RpcError):
            next(chat)
        assert time.monotonic() - began < PROMISED_S
        never.set()
    agent.intend("greeter")


def _other_intention(scene: Scene) -> None:
    scene.agent.intend("echo", batch="deny")


def _other_destination(scene: Scene) -> None:
    scene.agent.intend("web", a="deny")


def _service_comes_and_goes(scene: Scene) -> None:
    scene.agent.register("db", sidecar_port=21_900)
    scene.agent.deregister("db-sidecar-proxy")
    scene.agent.deregister("db")


def _own_instance_goes_and_comes(scene: Scene) -> None:
    scene.agent.deregister("a-sidecar-proxy")
    scene.agent.register("a")


def _defaults_change(scene: Scene) -> None:
    scene.agent.put("/v1/config", {"Kind": "proxy-defaults", "Name": "global", "Config": {"x": 1}})


UNRELATED = (
    _other_intention,
    _other_destination,
    _service_comes_and_goes,
    _own_instance_goes_and_comes,
    _defaults_change,
)


@pytest.mark.parametrize("change", UNRELATED, ids=lambda change: change.__name__.strip("_"))
def test_an_unrelated_change_cuts_nobody(scene: Scene, change: Callable[[Scene], None]) -> None:
    a, b = scene.call("a", scene.echo), scene.call("b", scene.echo)
    assert (a.say(b"word"), b.say(b"word")) == (b"word", b"word")
    change(scene)
    # The deny of `b` comes after the change, so once it has bitten the change has arrived as well.
    b.ended_after(scene.agent.intend("echo", b="deny", batch="deny"))
    assert a.say(b"still here") == b"still here"


def test_with_a_default_deny_only_what_is_allowed_gets_in_and_taking_that_back_bites(denying: Scene) -> None:
    agent, echo = denying.agent, denying.echo
    assert not is_let_in(denying.identities["a"], echo.port)
    agent.intend("echo", a="allow", b="allow")
    eventually(lambda: is_let_in(denying.identities["a"], echo.port), "a is let in")
    a, b = denying.call("a", echo), denying.call("b", echo)
    assert (a.say(b"word"), b.say(b"word")) == (b"word", b"word")
    assert a.ended_after(agent.intend("echo", b="allow")) < PROMISED_S
    assert b.say(b"still here") == b"still here"
