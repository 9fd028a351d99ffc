"""The agent is killed and started again while traffic flows: nobody notices."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.mesh.applications import Served, calling, served
from tests.mesh.callers import Caller, is_let_in
from tests.mesh.load import echo_on, get_on, load
from tests.mesh.mesh import Envoy, eventually, program, run_command, running_agent, serving_workload

HELLO = Path(__file__).parents[2] / "examples" / "hello"


def is_connected(envoy: Envoy) -> bool:
    return "control_plane.connected_state: 1" in envoy.admin("/stats?filter=control_plane")


def test_a_killed_agent_fails_no_request_and_its_successor_sends_nothing_anew(tmp_path: Path) -> None:
    with running_agent(f"-data-dir={tmp_path / 'data'}", "-bind=127.0.0.1") as agent, ExitStack() as stack:
        echo: Served = stack.enter_context(served(agent, "echo", "echo.py"))
        web: Served = stack.enter_context(served(agent, "web", "web.py", "http"))
        echo_port, caller = stack.enter_context(calling(agent, "a", "echo"))
        web_port, other = stack.enter_context(calling(agent, "c", "web", "http"))
        agent.register("b")
        agent.intend("echo", b="deny")
        kept = Caller(agent.identity("a", tmp_path), echo.port)
        assert kept.say(b"word") == b"word"
        denied = agent.identity("b", tmp_path)
        eventually(lambda: not is_let_in(denied, echo.port), "b is refused")

        with load(echo_on(echo_port)) as tcp, load(get_on(web_port)) as http:
            agent.kill()
            tcp.goes_on()
            http.goes_on()
            assert not is_let_in(denied, echo.port)
            eventually(lambda: not is_connected(echo.envoy), "the sidecar misses its agent")
            agent.start()
            envoys = (echo.envoy, web.envoy, caller, other)
            eventually(lambda: all(map(is_connected, envoys)), "the sidecars are back")
            tcp.goes_on()
            http.goes_on()
            assert kept.say(b"still here") == b"still here"
            # Once a change of now has arrived, anything sent at the return has as well.
            agent.intend("echo", b="allow")
            eventually(lambda: is_let_in(denied, echo.port), "b is let in by the restarted agent")
            # Keys are never kept, so each sidecar gets a new leaf; what else it has, it keeps.
            leaves, who_may_call = len(envoys), 1
            assert agent.metric("xds.server.resources") == leaves + who_may_call


@pytest.mark.root
def test_a_program_that_asks_for_names_all_the_time_notices_no_restart(tmp_path: Path) -> None:
    with running_agent(f"-data-dir={tmp_path / 'data'}", "-bind=127.0.0.1") as agent:
        client = (sys.executable, "-u", str(HELLO / "hello_client.py"), "--interval=0.02")
        url = "--url=http://web.virtual.consul:8080/"
        with (
            serving_workload(agent, "web", "web.py"),
            program(*run_command(agent, ("-service=client",), (*client, url))) as running,
        ):

            def twenty_more() -> None:
                enough = len(running.lines) + 20
                eventually(lambda: len(running.lines) >= enough, "the client goes on")

            running.wait_for(lambda line: line.endswith("says: hello"))
            twenty_more()
            agent.kill()
            twenty_more()
            agent.start()
            twenty_more()
            said = [line.text for line in running.lines]
            assert all(line.endswith("says: hello") for line in said), "\n".join(said)
