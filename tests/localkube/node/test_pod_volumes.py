from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pellucid.localkube.node.environment import PodFacts
from pellucid.localkube.node.node_parts import IssueToken, NodeParts
from pellucid.localkube.node.pod_volumes import PodVolumes
from pellucid.localkube.types.kinds import (
    CONFIG_MAPS,
    EVENTS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
)
from tests.localkube.node.one_node import Node, Object, shell, state, waits

pytestmark = pytest.mark.root


async def test_config_maps_tokens_and_downward_fields_become_files(node: Node) -> None:
    await node.resources.create(CONFIG_MAPS, "default", {"metadata": {"name": "m"}, "data": {"k": "v\n"}})
    await node.create(
        "a",
        shell("cat /m/k $T/token $T/namespace /d/name", volumeMounts=[
            {"name": "m", "mountPath": "/m"}, {"name": "d", "mountPath": "/d"},
        ], env=[{"name": "T", "value": "/var/run/secrets/kubernetes.io/serviceaccount"}]),
        restartPolicy="Never",
        volumes=[
            {"name": "m", "configMap": {"name": "m"}},
            {"name": "d", "downwardAPI": {"items": [
                {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        ],
    )  # fmt: skip
    assert await node.log(await node.until_phase("a", "Succeeded")) == "v\ntoken of adefaulta"


async def test_a_missing_config_map_keeps_the_pod_waiting_until_it_is_there(node: Node) -> None:
    await node.create("a", shell("cat /m/k", volumeMounts=[{"name": "m", "mountPath": "/m"}]),
                      restartPolicy="Never", volumes=[{"name": "m", "configMap": {"name": "m"}}])  # fmt: skip
    async for event in node.resources.watch(EVENTS):
        if event.object["reason"] == "FailedMount":
            said = 'MountVolume.SetUp failed for volume "m" : configmap "m" not found'
            assert event.object["message"] == said
            break
    await node.resources.create(CONFIG_MAPS, "default", {"metadata": {"name": "m"}, "data": {"k": "v\n"}})
    assert await node.log(await node.until_phase("a", "Succeeded")) == "v\n"


async def test_files_follow_their_config_map(node: Node) -> None:
    source = {"metadata": {"name": "m"}, "data": {"k": "old\n"}}
    await node.resources.create(CONFIG_MAPS, "default", source)
    script = "until grep -q new /m/k; do sleep 0.05; done; cat /m/k"
    mounts = [{"name": "m", "mountPath": "/m"}]
    volumes = [{"name": "m", "configMap": {"name": "m"}}]
    await node.create("a", shell(script, volumeMounts=mounts), restartPolicy="Never", volumes=volumes)
    await node.until_phase("a", "Running")
    await node.resources.patch(CONFIG_MAPS, "default", "m", {"data": {"k": "new\n"}})
    assert await node.log(await node.until_phase("a", "Succeeded")) == "new\n"


async def test_a_volume_in_memory_is_a_file_system_of_its_size(node: Node) -> None:
    script = "stat -f -c '%T %b %S' /m; dd if=/dev/zero of=/m/x bs=1M count=3 2>/dev/null || echo full"
    mounts = [{"name": "m", "mountPath": "/m"}]
    volumes = [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]
    await node.create("a", shell(script, volumeMounts=mounts), restartPolicy="Never", volumes=volumes)
    assert await node.log(await node.until_phase("a", "Succeeded")) == "tmpfs 256 4096\nfull\n"


async def test_mounts_of_a_container_never_reach_the_node(node: Node) -> None:
    mount = {"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}
    await node.create("a", shell("true", volumeMounts=[mount]), volumes=[{"name": "v", "emptyDir": {}}])
    pod = await node.until("a", waits("CreateContainerConfigError"))
    assert "Bidirectional of /v is not supported" in state(pod)["waiting"]["message"]


def parts_for_volumes(
    node: Node, directory: Path, issue_token: IssueToken, now: Callable[[], datetime]
) -> NodeParts:
    """As much of a node as volumes need."""
    unused = cast(Any, None)
    return NodeParts(
        name="n",
        directory=directory,
        resources=node.resources,
        runtime=unused,
        images=unused,
        network=unused,
        events=unused,
        issue_token=issue_token,
        now=now,
        capacity={},
    )


async def test_what_containers_do_to_a_volume_of_theirs_stays(node: Node, tmp_path: Path) -> None:
    async def no_token(pod: Object, projection: Object) -> str:
        raise AssertionError("no volume has a token")

    pod: Object = {
        "metadata": {"name": "a", "namespace": "default", "uid": "u"},
        "spec": {"containers": [], "volumes": [{"name": "v", "emptyDir": {}}]},
    }
    volumes = PodVolumes(
        parts_for_volumes(node, tmp_path, no_token, lambda: datetime.now(UTC)), tmp_path / "volumes"
    )
    place = (await volumes.refresh(pod, PodFacts((), ())))["v"]
    assert place.stat().st_mode & 0o777 == 0o777
    place.chmod(0o700)
    await volumes.refresh(pod, PodFacts((), ()))
    assert place.stat().st_mode & 0o777 == 0o700


async def test_a_token_is_renewed_when_four_fifths_of_its_life_are_over(node: Node, tmp_path: Path) -> None:
    times = [datetime(2026, 1, 1, tzinfo=UTC)]
    issued: list[Object] = []

    async def issue(pod: Object, projection: Object) -> str:
        issued.append(projection)
        return f"token {len(issued)}"

    projection = {"path": "vault", "audience": "vault", "expirationSeconds": 600}
    pod: Object = {
        "metadata": {"name": "a", "namespace": "default", "uid": "u"},
        "spec": {
            "containers": [],
            "volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": projection}]}}],
        },
    }
    parts = parts_for_volumes(node, tmp_path, issue, lambda: times[0])
    volumes = PodVolumes(parts, tmp_path / "volumes")
    told = []
    for seconds in (0, 479, 1, 479, 1):
        times[0] += timedelta(seconds=seconds)
        mounted = await volumes.refresh(pod, PodFacts((), ()))
        told.append((mounted["t"] / "vault").read_text())
    assert told == ["token 1", "token 1", "token 2", "token 2", "token 3"]
    assert issued == [projection] * 3
    assert volumes.renewed_at == times[0] + timedelta(seconds=480)


async def test_a_group_may_write_to_every_volume_that_is_the_pods_own(node: Node) -> None:
    claimed = node.directory / "claimed"
    source = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    volume = {"metadata": {"name": "pv"}, "spec": {**source, "hostPath": {"path": str(claimed)}}}
    await node.resources.create(PERSISTENT_VOLUMES, "", volume)
    claim = {
        "metadata": {"name": "claim"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "volumeName": "pv",
        },
    }
    await node.resources.create(PERSISTENT_VOLUME_CLAIMS, "default", claim)
    names = ("claimed", "empty", "memory")
    await node.create(
        "a",
        shell(
            "for d in claimed empty memory; do echo x > /$d/x && stat -c '%u %g' /$d/x; done",
            volumeMounts=[{"name": name, "mountPath": f"/{name}"} for name in names],
        ),
        restartPolicy="Never",
        securityContext={"runAsUser": 1001, "runAsGroup": 1002, "fsGroup": 1003},
        volumes=[
            {"name": "claimed", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "empty", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory"}},
        ],
    )
    assert await node.log(await node.until_phase("a", "Succeeded")) == "1001 1003\n" * 3
    assert (claimed / "x").read_text() == "x\n"


async def test_a_host_path_of_the_wrong_kind_is_said_and_kept_waiting_for(node: Node) -> None:
    place = node.directory / "socket"
    mounts = [{"name": "v", "mountPath": "/v"}]
    volumes = [{"name": "v", "hostPath": {"path": str(place), "type": "Socket"}}]
    await node.create("a", shell("true", volumeMounts=mounts), volumes=volumes)
    async for event in node.resources.watch(EVENTS):
        if event.object["reason"] == "FailedMount":
            said = f"hostPath type check failed: {place} is not a socket file"
            assert event.object["message"] == f'MountVolume.SetUp failed for volume "v" : {said}'
            return
