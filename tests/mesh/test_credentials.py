"""Off loopback nobody gets a key by asking for it: TLS, and the credential of the workload itself."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.dataplane.conftest import Namespace, new_namespace
from tests.mesh.mesh import PATIENCE_S, PELLUCID, PROGRAMS, READY, eventually, program

pytestmark = pytest.mark.root

ADDRESS = "10.99.0.1"
"""The agent's address on a network of its own, where it and all callers are."""
HTTP_PORT, XDS_PORT = 8500, 8502


class FarAgent:
    """An agent that listens at an address which is not loopback, and at a unix socket for its own machine."""

    def __init__(self, network: Namespace, directory: Path) -> None:
        self._network, self._directory = network, directory
        self._socket = str(directory / "http.sock")
        network.run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")

    @contextmanager
    def running(self) -> Iterator[None]:
        http, ports = f"unix://{self._socket} {ADDRESS}", f"-http-port={HTTP_PORT}"
        hcl = f'-hcl=addresses {{ http = "{http}" grpc = "{ADDRESS}" }} ports {{ dns = -1 }}'
        words = (
            "agent",
            "-dev",
            "-log-level=error",
            f"-bind={ADDRESS}",
            ports,
            f"-grpc-port={XDS_PORT}",
            hcl,
        )
        with program(*self.inside(*PELLUCID, *words)) as process:
            process.wait_for(lambda line: READY in line, seconds=PATIENCE_S)
            self.ca_file = self._directory / "roots.pem"
            self.ca_file.write_text(self.here("GET", "/v1/connect/ca/roots?pem=true")[1])
            yield

    def inside(self, *command: str) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{self._network.pid}/ns/net", *command)

    def here(self, method: str, path: str, body: object = None) -> tuple[Any, str]:
        """A request from the agent's own machine: headers and body of the answer."""
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE_S)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self._socket)
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        assert response.status == 200, text
        return response.headers, text

    def register(self, name: str) -> str:
        """A service with a sidecar; the credential of the sidecar."""
        sidecar = {"Port": 20000, "Address": ADDRESS, "Checks": []}
        body = {"Name": name, "Port": 8080, "Address": ADDRESS, "Connect": {"SidecarService": sidecar}}
        credential = self.here("PUT", "/v1/agent/service/register", body)[0]["X-Pellucid-Workload-Credential"]
        assert credential
        return str(credential)

    def xds(self, proxy_id: str, credential: str = "", *, tls: bool = True) -> str:
        """What an xDS client from elsewhere is told."""
        client = (sys.executable, str(PROGRAMS / "xds_client.py"))
        what = (f"{ADDRESS}:{XDS_PORT}", proxy_id, credential, str(self.ca_file) if tls else "")
        return self._network.run(*client, *what).strip()

    def status(self, path: str, credential: str = "", *further: str) -> int:
        """The status of an HTTP request from elsewhere."""
        url = f"http://{ADDRESS}:{HTTP_PORT}{path}"
        token = ("-H", f"X-Consul-Token: {credential}")
        words = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *token, *further, url)
        return int(self._network.run(*words))


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarAgent]:
    with new_namespace() as network:
        far = FarAgent(network, tmp_path_factory.mktemp("far"))
        with far.running():
            yield far


@pytest.fixture(scope="module")
def web(agent: FarAgent) -> str:
    """The credential of the service `web`."""
    return agent.register("web")


@pytest.fixture(scope="module")
def api(agent: FarAgent) -> str:
    """The credential of the service `api`."""
    return agent.register("api")


def test_a_proxy_with_its_own_credential_is_configured(agent: FarAgent, web: str) -> None:
    assert "local_app" in agent.xds("web-sidecar-proxy", web).split()


def test_without_a_credential_there_is_no_configuration(agent: FarAgent, web: str) -> None:
    assert agent.xds("web-sidecar-proxy").startswith("UNAUTHENTICATED ")


def test_with_another_workloads_credential_there_is_no_configuration(
    agent: FarAgent, web: str, api: str
) -> None:
    assert agent.xds("web-sidecar-proxy", api).startswith("PERMISSION_DENIED ")


def test_in_plain_text_there_is_no_answer(agent: FarAgent, web: str) -> None:
    assert agent.xds("web-sidecar-proxy", web, tls=False).startswith("UNAVAILABLE ")


def test_a_key_is_handed_out_to_its_own_workload_only(agent: FarAgent, web: str, api: str) -> None:
    path = "/v1/agent/connect/ca/leaf/web"
    assert agent.status(path, web) == 200
    assert [agent.status(path, credential) for credential in ("", api, "made-up")] == [403, 403, 403]


def test_a_registration_is_changed_by_its_own_workload_only(agent: FarAgent, web: str, api: str) -> None:
    path = "/v1/agent/service/deregister/web-sidecar-proxy"
    assert [agent.status(path, credential, "-X", "PUT") for credential in ("", api)] == [403, 403]
    assert "web-sidecar-proxy" in json.loads(agent.here("GET", "/v1/agent/services")[1])


def test_the_real_envoy_comes_in_with_a_credential(agent: FarAgent, web: str, tmp_path: Path) -> None:
    token = tmp_path / "web.credential"
    token.write_text(web)
    words = ("connect", "envoy", "-sidecar-for", "web", f"-token-file={token}", f"-ca-file={agent.ca_file}")
    where = (f"-http-addr=http://{ADDRESS}:{HTTP_PORT}", f"-grpc-addr=https://{ADDRESS}:{XDS_PORT}")
    curl = ("curl", "-s", "-m", "5", "http://127.0.0.1:19000/listeners")
    with program(*agent.inside(*PELLUCID, *words, *where, "--", "-l", "warning")) as envoy:
        eventually(
            lambda: any("public_listener" in line for line in listeners(agent, curl)),
            "Envoy has its public listener",
        )
        assert envoy.process.poll() is None


def listeners(agent: FarAgent, curl: tuple[str, ...]) -> list[str]:
    with program(*agent.inside(*curl)) as asked:
        asked.process.wait(PATIENCE_S)
        return [line.text for line in list(asked.lines)]
