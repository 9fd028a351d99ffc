"""Services on loopback: the programs, without namespaces, behind real Envoys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.mesh.mesh import PROGRAMS, Agent, Envoy, eventually, free_ports, listens, program, sidecar


@contextmanager
def application(script: str) -> Iterator[int]:
    """One of the programs; gives the port where it listens."""
    (port,) = free_ports(1)
    with program(sys.executable, "-u", str(PROGRAMS / script), str(port)):
        eventually(lambda: listens(port), f"{script} listens")
        yield port


class Served:
    """A service behind its sidecar: `port` is where callers with an identity dial."""

    def __init__(self, name: str, port: int, envoy: Envoy) -> None:
        self.name, self.port, self.envoy = name, port, envoy


@contextmanager
def served(agent: Agent, name: str, script: str, protocol: str = "tcp") -> Iterator[Served]:
    """A service with its application and its Envoy, ready for calls."""
    (public,) = free_ports(1)
    agent.defaults(name, protocol=protocol)
    with application(script) as port:
        agent.register(name, port=port, sidecar_port=public)
        with sidecar(agent, name, serving=public) as envoy:
            yield Served(name, public, envoy)


@contextmanager
def calling(agent: Agent, name: str, upstream: str, protocol: str = "tcp") -> Iterator[tuple[int, Envoy]]:
    """A caller's Envoy with one explicit upstream; gives the local port that leads there."""
    local, public = free_ports(2)
    config = {"protocol": protocol}
    agent.register(name, sidecar_port=public, upstreams={upstream: local}, upstream_config=config)
    with sidecar(agent, name, serving=local) as envoy:
        yield local, envoy
