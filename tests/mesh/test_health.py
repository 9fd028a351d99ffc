"""An instance that fails its checks gets no more connections, until it is well again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.mesh.applications import calling
from tests.mesh.callers import Kept
from tests.mesh.load import echo_on, load
from tests.mesh.mesh import PROGRAMS, Agent, Envoy, eventually, free_ports, listens, program, sidecar


@contextmanager
def application(port: int) -> Iterator[None]:
    with program(sys.executable, "-u", str(PROGRAMS / "echo.py"), str(port)):
        eventually(lambda: listens(port), "the application listens")
        yield


def healthy(envoy: Envoy) -> set[int]:
    """The ports of the instances that an Envoy sends connections to."""
    flags = [line.split("::") for line in envoy.admin("/clusters").splitlines() if "::health_flags::" in line]
    return {
        int(address.rpartition(":")[2])
        for cluster, address, _, flag in flags
        if cluster.startswith("echo.") and flag == "healthy"
    }


def passing(agent: Agent) -> int:
    return len(agent.get("/v1/health/connect/echo?passing"))


def test_a_critical_instance_leaves_the_endpoints_and_comes_back(fresh_agent: Agent) -> None:
    agent = fresh_agent
    ports, public = free_ports(2), free_ports(2)
    with ExitStack() as stack:
        applications = [stack.enter_context(ExitStack()) for _ in ports]
        for number, port in enumerate(ports):
            applications[number].enter_context(application(port))
            check = {"TCP": f"127.0.0.1:{port}", "Interval": "1s", "Timeout": "1s"}
            agent.register(
                "echo", port=port, sidecar_port=public[number], service_id=f"echo-{number}", checks=[check]
            )
            stack.enter_context(sidecar(agent, f"echo-{number}", serving=public[number]))
        eventually(lambda: passing(agent) == 2, "both instances pass")
        local, envoy = stack.enter_context(calling(agent, "a", "echo"))
        eventually(lambda: healthy(envoy) == set(public), "both instances are endpoints")

        kept = [Kept(local) for _ in ports]
        applications[0].close()
        eventually(lambda: healthy(envoy) == {public[1]}, "the critical instance has left")
        assert [each.is_open() for each in kept].count(True) == 1
        with load(echo_on(local)) as requests:
            requests.goes_on()
        applications[0].enter_context(application(ports[0]))
        eventually(lambda: healthy(envoy) == set(public), "the instance is back")
        assert [each.is_open() for each in kept].count(True) == 1
