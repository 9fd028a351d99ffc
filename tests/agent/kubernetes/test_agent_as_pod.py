"""The agent process as a pod: its listeners, whom it lets in, and what it says when it can't be one."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import create_default_context

import grpc
import pytest

from pellucid.demo.stage import Program
from tests.agent.kubernetes.cluster_api_server import ClusterApiServer, token
from tests.mesh.mesh import PATIENCE_S, PELLUCID, READY, eventually, free_ports, program
from tests.xds.configuration import CLUSTER
from tests.xds.delta_client import DeltaClient

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
IN_A_POD = (
    f"mount -t tmpfs none /var/run && mkdir -p {MOUNT} && mount --bind $0 {MOUNT} && "
    'exec setpriv --reuid=0 "$@"'
)
"""Shell: mounts the service account as the kubelet does, seen by the command alone."""
POD, LATER_POD, REGISTRAR = (token(name) for name in ("pod", "later-pod", "registrar"))
PROXY = "hello-1-hello-sidecar-proxy"


class PodAgent:
    """An agent whose callers are strangers, though they call from its own machine."""

    def __init__(self, api: ClusterApiServer, data: Path) -> None:
        self._api, self._data = api, data
        self.http, self.https, self.grpc = free_ports(3)
        self.program: Program

    @contextmanager
    def running(self) -> Iterator[None]:
        host, port = self._api.address.split(":")
        environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        in_a_pod = ("unshare", "--mount", "sh", "-c", IN_A_POD, str(self._api.directory))
        with program(*in_a_pod, *PELLUCID, "agent", *self._words(), environment=environment) as self.program:
            self.program.wait_for(lambda line: READY in line, seconds=PATIENCE_S)
            yield

    def _words(self) -> tuple[str, ...]:
        ports = {"http": self.http, "https": self.https, "grpc": self.grpc, "dns": -1}
        settings = {
            "enabled": True,
            "token_audience": "mesh",
            "registrars": ["mesh/injector"],
            "ca_config_map": "server-ca",
            "server_names": ["mesh-server.mesh.svc"],
        }
        configuration = {
            "ports": ports,
            "pellucid": {"kubernetes": settings, "mesh_dns_port": -1},
            "http_config": {"allow_write_http_from": ["192.0.2.0/24"]},
        }
        file = self._data / "agent.json"
        file.write_text(json.dumps(configuration))
        where = (f"-config-file={file}", f"-data-dir={self._data / 'state'}")
        return ("-server", "-client=0.0.0.0", "-bind=127.0.0.1", "-log-level=debug", *where)

    @property
    def authority(self) -> str:
        """As a pod finds it."""
        maps = self._api.config_maps
        eventually(lambda: "server-ca" in maps, "the authority is published")
        return str(maps["server-ca"]["data"]["ca.pem"])

    def put(self, path: str, body: object, token: str = "") -> tuple[int, str]:
        """Over HTTPS, trusting nobody but the published authority."""
        request = urllib.request.Request(
            f"https://localhost:{self.https}{path}", json.dumps(body).encode(), method="PUT"
        )
        request.add_header("X-Consul-Token", token)
        context = create_default_context(cadata=self.authority)
        try:
            with urllib.request.urlopen(request, context=context, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def register(self, uid: str) -> None:
        meta = {"pod-name": "hello-1", "k8s-namespace": "shop", "pod-uid": uid}
        proxy = {"DestinationServiceName": "hello", "DestinationServiceID": "hello-1-hello"}
        service = {"ID": "hello-1-hello", "Service": "hello", "Port": 8080, "Meta": meta}
        sidecar = {"ID": PROXY, "Service": "hello-sidecar-proxy", "Port": 20000, "Meta": meta}
        for each in (service, {**sidecar, "Kind": "connect-proxy", "Proxy": proxy}):
            body = {"Node": "worker-virtual", "Address": "10.1.0.2", "Service": each}
            assert self.put("/v1/catalog/register", body, REGISTRAR) == (200, "true")

    def login(self, token: str) -> tuple[int, str]:
        return self.put("/v1/pellucid/login", {"BearerToken": token})

    def credential(self, token: str) -> str:
        status, text = self.login(token)
        assert status == 200, text
        return str(json.loads(text)["Services"][0]["Credential"])

    def xds(self, credential: str) -> DeltaClient:
        """As Envoy: over TLS, by the name it dials."""
        trusted = grpc.ssl_channel_credentials(self.authority.encode())
        return DeltaClient(f"localhost:{self.grpc}", PROXY, credential=credential, credentials=trusted)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterApiServer]:
    with ClusterApiServer(tmp_path_factory.mktemp("account")) as api:
        api.knows(POD, "shop:default", pod=("hello-1", "uid-1"))
        api.knows(LATER_POD, "shop:default", pod=("hello-1", "uid-2"))
        api.knows(REGISTRAR, "mesh:injector", pod=None)
        yield api


@pytest.fixture(scope="module")
def agent(api: ClusterApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodAgent]:
    agent = PodAgent(api, tmp_path_factory.mktemp("agent"))
    with agent.running():
        yield agent


@pytest.mark.root
async def test_a_pods_way_into_the_mesh_and_out(agent: PodAgent, api: ClusterApiServer) -> None:
    agent.register("uid-1")
    first = agent.credential(POD)
    async with agent.xds(first) as client:
        await client.ask(CLUSTER)
        await client.until(lambda: client.held[CLUSTER])
        second = agent.credential(POD)
        api.down = True
        assert agent.login(token("not seen before"))[0] == 503
        api.down = False
        agent.put("/v1/config", {"Kind": "service-defaults", "Name": "hello", "Protocol": "http2"}, REGISTRAR)
        known = len(client.responses)
        await client.until(lambda: len(client.responses) > known)
        agent.register("uid-2")
        code, words = await client.end()
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "removed with its registration" in words
    async with agent.xds(second) as client:
        await client.ask(CLUSTER)
        assert (await client.end())[0] is grpc.StatusCode.PERMISSION_DENIED
    assert agent.login(POD)[0] == 404
    async with agent.xds(agent.credential(LATER_POD)) as client:
        await client.ask(CLUSTER)
        await client.until(lambda: client.held[CLUSTER])


@pytest.mark.root
def test_strangers_change_nothing(agent: PodAgent) -> None:
    entry = {"Kind": "proxy-defaults", "Name": "global"}
    for who in ("", POD, token("nobody's")):
        assert agent.put("/v1/config", entry, who)[0] == 403


@pytest.mark.root
def test_no_token_and_no_credential_gets_into_the_log(agent: PodAgent) -> None:
    agent.register("uid-1")
    secrets = (POD, REGISTRAR, agent.credential(POD), token("nobody's"))
    agent.login(secrets[-1])
    said = "\n".join(line.text for line in list(agent.program.lines))
    assert "pod shop/hello-1 logged in" in said
    assert "no login for" in said
    assert not [secret for secret in secrets if secret in said]


@pytest.mark.root
def test_the_authority_is_the_same_after_a_restart(server: ClusterApiServer, tmp_path: Path) -> None:
    agent = PodAgent(server, tmp_path)
    found = []
    for _ in range(2):
        server.config_maps.clear()
        with agent.running():
            found.append(agent.authority)
    assert found[0] == found[1]


def test_outside_a_pod_it_says_what_is_missing() -> None:
    settings = 'pellucid { kubernetes { enabled = true token_audience = "mesh" } }'
    words = (*PELLUCID, "agent", "-dev", "-http-port=-1", "-dns-port=-1", f"-hcl={settings}")
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, env={"PATH": ""})
    assert ended.returncode == 1
    assert "KUBERNETES_SERVICE_HOST" in ended.stderr
