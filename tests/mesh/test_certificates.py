"""Certificates change under load: not a request fails, not a connection is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.mesh.applications import Served, calling, served
from tests.mesh.callers import Caller, Kept
from tests.mesh.load import echo_on, load
from tests.mesh.mesh import Agent, Envoy, eventually, running_agent

RENEWAL_SPREAD_S = 30
"""After a rotation each leaf is renewed within this time, at a moment of its own."""


class Scene:
    """A service, and a caller whose every connection is a mutual-TLS handshake between two Envoys."""

    def __init__(self, agent: Agent, directory: Path, stack: ExitStack) -> None:
        self.agent = agent
        self.echo: Served = stack.enter_context(served(agent, "echo", "echo.py"))
        self.port, self.caller = stack.enter_context(calling(agent, "a", "echo"))
        self._direct = Caller(agent.identity("a", directory), self.echo.port)
        self._through_sidecar = Kept(self.port)
        assert self.kept_connections_are_open()

    def kept_connections_are_open(self) -> bool:
        return self._direct.say(b"word") == b"word" and self._through_sidecar.is_open()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with running_agent() as agent, ExitStack() as stack:
        yield Scene(agent, tmp_path_factory.mktemp("identities"), stack)


def presented(envoy: Envoy) -> set[str]:
    """The serial numbers of the certificates that an Envoy presents."""
    return {
        chain["serial_number"]
        for certificate in json.loads(envoy.admin("/certs"))["certificates"]
        for chain in certificate["cert_chain"][:1]
    }


def trusted(envoy: Envoy) -> set[str]:
    """The serial numbers of the roots that an Envoy trusts."""
    return {
        root["serial_number"]
        for certificate in json.loads(envoy.admin("/certs"))["certificates"]
        for root in certificate["ca_cert"]
    }


def test_a_renewed_leaf_fails_no_request_and_cuts_no_connection(scene: Scene) -> None:
    before = presented(scene.caller)
    with load(echo_on(scene.port)) as requests:
        # With its last sidecar a service's leaf is forgotten; when one is back, there is a new one.
        definition = scene.agent.get("/v1/agent/service/a-sidecar-proxy")
        scene.agent.deregister("a-sidecar-proxy")
        scene.agent.put("/v1/agent/service/register", again(definition))
        eventually(lambda: not presented(scene.caller) & before, "the caller presents a new certificate")
        requests.goes_on()
    assert scene.kept_connections_are_open()


def again(definition: dict[str, object]) -> dict[str, object]:
    """What registers a sidecar as the agent describes it."""
    keys = ("Kind", "ID", "Port", "Address", "Proxy")
    name = {"Name": definition["Service"]}
    return name | {key: definition[key] for key in keys}


def test_a_rotated_root_fails_no_request_and_cuts_no_connection(scene: Scene) -> None:
    old_leaves = {envoy: presented(envoy) for envoy in (scene.caller, scene.echo.envoy)}
    old_roots = trusted(scene.caller)
    with load(echo_on(scene.port)) as requests:
        scene.agent.cli("connect", "ca", "set-config", "-config-file", "-", stdin=CONFIGURATION)
        roots = scene.agent.get("/v1/agent/connect/ca/roots")["Roots"]
        assert [root["Active"] for root in roots].count(True) == 1
        assert len(roots) == 2
        for envoy in old_leaves:
            eventually(lambda envoy=envoy: len(trusted(envoy)) == 2, "both roots are trusted")
            assert trusted(envoy) > old_roots
        for envoy, old in old_leaves.items():
            renewed = "the sidecar presents a certificate of the new root"
            eventually(
                lambda envoy=envoy, old=old: not presented(envoy) & old, renewed, within=2 * RENEWAL_SPREAD_S
            )
            requests.goes_on()
    assert scene.kept_connections_are_open()


CONFIGURATION = json.dumps({"Provider": "consul", "Config": {"PrivateKeyType": "ec", "PrivateKeyBits": 384}})
