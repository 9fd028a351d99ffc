"""The agent's way to the Kubernetes API follows what the kubelet mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.agent.configuration_sources import ConfigurationError
from pellucid.agent.kubernetes.cluster_api import ClusterApi, ClusterApiError
from tests.agent.kubernetes.cluster_api_server import MAPS, ClusterApiServer


async def test_a_new_token_is_shown_from_then_on(server: ClusterApiServer, api: ClusterApi) -> None:
    server.config_maps["one"] = {"data": {}}
    await api.read(f"{MAPS}/one")
    (server.directory / "token").write_text("the next\n")
    await api.read(f"{MAPS}/one")
    assert server.bearers == ["Bearer the agent's own", "Bearer the next"]


async def test_a_new_authority_is_trusted_from_then_on(api: ClusterApi, tmp_path: Path) -> None:
    (tmp_path / "another").mkdir()
    with ClusterApiServer(tmp_path / "another") as another:
        moved = ClusterApi(another.address, tmp_path)
        with pytest.raises(ClusterApiError, match="does not answer"):
            await moved.read(f"{MAPS}/one")
        (tmp_path / "ca.crt").write_bytes((tmp_path / "another" / "ca.crt").read_bytes())
        with pytest.raises(ClusterApiError, match="not found"):
            await moved.read(f"{MAPS}/one")
        await moved.close()


def test_what_is_not_mounted_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="namespace"):
        ClusterApi("127.0.0.1:1", tmp_path)


def test_outside_a_cluster_it_says_so() -> None:
    with pytest.raises(ConfigurationError, match="KUBERNETES_SERVICE_HOST"):
        ClusterApi.of_this_pod({})
