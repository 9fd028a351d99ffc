# ruff: noqa: ASYNC110, ASYNC240
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.node.log_file import LogOptions
from pellucid.localkube.types.kinds import NODES, PODS
from tests.localkube.node.one_node import (
    Node,
    Object,
    api_objects,
    condition,
    is_ready,
    kubelet_on,
    own_network,
    processes_of,
    shell,
    state,
    waits,
)

pytestmark = pytest.mark.root


async def test_the_node_is_registered_ready(node: Node) -> None:
    async for event in node.resources.watch(NODES):
        conditions = event.object.get("status", {}).get("conditions", ())
        if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            return


async def test_a_pod_runs_gets_an_address_and_is_ready(node: Node) -> None:
    await node.create("a", shell("echo $(hostname) $POD_IP; sleep infinity", env=[
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]))  # fmt: skip
    pod = await node.until("a", is_ready)
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"].startswith("10.244.0.")
    lines = node.streams.logs(pod, "c", LogOptions(follow=True))
    assert await anext(lines) == f"a {pod['status']['podIP']}\n".encode()


async def test_a_pod_that_is_done_succeeds_and_its_log_stays(node: Node) -> None:
    await node.create("a", shell("echo one; echo two"), restartPolicy="Never")
    pod = await node.until_phase("a", "Succeeded")
    assert state(pod)["terminated"]["reason"] == "Completed"
    assert await node.log(pod, tail_lines=1) == "two\n"


async def test_a_pod_whose_container_fails_and_is_never_restarted_fails(node: Node) -> None:
    await node.create("a", shell("echo why > /dev/termination-log; exit 3"), restartPolicy="Never")
    pod = await node.until_phase("a", "Failed")
    ended = state(pod)["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "why\n")


async def test_a_container_that_keeps_ending_backs_off(node: Node) -> None:
    created = await node.create("a", shell("echo run; exit 1"))
    pod = await node.until("a", waits("CrashLoopBackOff"))
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 1
    uid = created["metadata"]["uid"]
    assert state(pod)["waiting"]["message"] == (
        f"back-off 10s restarting failed container=c pod=a_default({uid})"
    )
    assert await node.log(pod, previous=True) == "run\n"


async def test_an_unknown_image_says_so_and_backs_off(node: Node) -> None:
    await node.create("a", {"name": "c", "image": "acme/nothing:1"})
    pod = await node.until("a", waits("ErrImagePull"))
    assert "docker.io/acme/nothing:1" in state(pod)["waiting"]["message"]
    with pytest.raises(ApiError, match='container "c" in pod "a" is waiting to start: ErrImagePull'):
        await node.log(pod)


async def test_init_containers_run_in_order_and_share_volumes_with_the_rest(node: Node) -> None:
    mount = [{"name": "v", "mountPath": "/v"}]
    await node.create(
        "a",
        shell("cat /v/x", volumeMounts=mount),
        restartPolicy="Never",
        initContainers=[
            shell("echo 1 >> /v/x", "first", volumeMounts=mount),
            shell("echo 2 >> /v/x", "second", volumeMounts=mount),
        ],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    assert await node.log(await node.until_phase("a", "Succeeded")) == "1\n2\n"


async def test_a_sidecar_runs_beside_the_rest_and_does_not_keep_the_pod(node: Node) -> None:
    sidecar = shell(
        "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done", "side", restartPolicy="Always"
    )
    await node.create("a", shell("true"), restartPolicy="Never", initContainers=[sidecar])
    pod = await node.until_phase("a", "Succeeded")
    assert await node.log(pod, "side") == "up\n"


async def test_a_deleted_pod_is_gone_only_when_nothing_of_it_runs(node: Node) -> None:
    await node.create("a", shell("sleep infinity"))
    await node.until_phase("a", "Running")
    await node.delete("a")
    await node.until_gone("a")
    assert not processes_of(node.directory)
    assert not list((node.directory / "n" / "pods").iterdir())


async def test_pods_reach_each_other_and_ports_are_forwarded(node: Node) -> None:
    await node.create("server", {"name": "c", "image": "hello-http"})
    server = await node.until_phase("server", "Running")
    url = f"http://{server['status']['podIP']}:8080/hello"
    await node.create("client", shell(f"curl -s --retry 9 --retry-connrefused {url}"), restartPolicy="Never")
    assert await node.log(await node.until_phase("client", "Succeeded")) == "Hello World\n"
    reader, writer = await node.streams.port(server, 8080)
    writer.write(b"GET /hello HTTP/1.0\r\n\r\n")
    assert b"Hello World" in await reader.read()
    writer.close()


async def test_a_kubelet_that_starts_anew_brings_pods_back(tmp_path: Path) -> None:
    resources = await api_objects()
    async with own_network():
        async with kubelet_on(resources, tmp_path) as first:
            await first.create("a", shell("sleep infinity"))
            before = await first.until_phase("a", "Running")
        async with kubelet_on(resources, tmp_path) as second:
            after = await second.until(
                "a",
                lambda pod: (
                    pod["status"]["containerStatuses"][0]["restartCount"] == 1 and "running" in state(pod)
                ),
            )
            assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert len(await resources.list(PODS)) == 1


async def test_a_pod_that_is_active_for_too_long_fails(node: Node) -> None:
    await node.create("a", shell("sleep infinity"), activeDeadlineSeconds=1)
    pod = await node.until_phase("a", "Failed")
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert pod["status"]["message"] == "Pod was active on the node longer than the specified deadline"
    assert state(pod)["terminated"]["exitCode"] == 137


async def test_a_pod_has_its_address_before_its_init_containers_are_done(node: Node) -> None:
    init = shell("sleep infinity", "i")
    await node.create("a", shell("true"), initContainers=[init])
    pod = await node.until("a", lambda pod: bool(pod["status"].get("podIP")))
    assert pod["status"]["phase"] == "Pending"
    assert len(pod["status"]["podIPs"]) == 2


async def test_sidecars_end_last_in_reverse_order_within_one_grace(node: Node) -> None:
    def noting(name: str, last_words: str, probe: str, **more: object) -> Object:
        script = f"trap 'echo {name} >> /v/ends; {last_words}' TERM; touch /v/{name}; "
        checked = {"exec": {"command": ["test", "-e", f"/v/{name}"]}, "periodSeconds": 1}
        mounts = [{"name": "v", "mountPath": "/v"}]
        return shell(
            f"{script} while :; do sleep 0.1; done", name, volumeMounts=mounts, **{probe: checked}, **more
        )

    shared = node.directory / "shared"
    await node.create(
        "a",
        noting("c", "exit 0", "readinessProbe"),
        terminationGracePeriodSeconds=2,
        initContainers=[
            noting(name, ":", "startupProbe", restartPolicy="Always") for name in ("first", "second")
        ],
        volumes=[{"name": "v", "hostPath": {"path": str(shared)}}],
    )
    await node.until("a", is_ready)
    await node.delete("a")
    await node.until_gone("a")
    # "second" takes all of the grace there is, so nothing is left for "first" to be asked in.
    assert (shared / "ends").read_text().split()[:2] == ["c", "second"]


async def test_a_pod_deleted_without_grace_after_all_goes_at_once(node: Node) -> None:
    await node.create("a", shell("sleep infinity"), terminationGracePeriodSeconds=3600)
    await node.until_phase("a", "Running")
    await node.delete("a")
    await node.resources.delete(PODS, "default", "a", grace_seconds=1)
    await node.until_gone("a")


async def test_a_ready_pod_that_was_given_up_while_its_node_was_silent_is_ready_again(node: Node) -> None:
    await node.create("a", shell("sleep infinity"))
    pod = await node.until("a", is_ready)
    given_up = [{**one, "status": "False"} for one in pod["status"]["conditions"]]
    patch = {"status": {"conditions": given_up}}
    changed = await node.resources.patch(PODS, "default", "a", patch, subresource="status")
    assert condition(changed, "Ready") == "False"
    await node.until("a", is_ready)


async def test_a_pod_is_told_to_end_only_when_services_have_left_it_alone(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []
    left = asyncio.Event()

    async def left_alone(addresses: Sequence[str]) -> None:
        asked.append(addresses)
        await left.wait()

    async with own_network(), kubelet_on(await api_objects(), tmp_path, left_alone=left_alone) as node:
        script = "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.1; done"
        await node.create("a", shell(script), terminationGracePeriodSeconds=30)
        pod = await node.until_phase("a", "Running")
        lines = node.streams.logs(pod, "c", LogOptions(follow=True))
        assert await anext(lines) == b"up\n"
        await node.delete("a")
        while not asked:
            await asyncio.sleep(0)
        left.set()
        assert await anext(lines) == b"told\n"
        await node.until_gone("a")
    assert asked == [tuple(one["ip"] for one in pod["status"]["podIPs"])]


async def test_a_pod_that_only_pauses_ends_when_it_is_told(node: Node) -> None:
    await node.create("a", {"name": "c", "image": "pause"}, restartPolicy="Never")
    pod = await node.until_phase("a", "Running")
    worker = node.kubelet.worker(pod["metadata"]["uid"])
    assert worker is not None
    children = Path(f"/proc/{worker.containers['c'].pid}/task/{worker.containers['c'].pid}/children")
    while not children.read_text():
        await asyncio.sleep(0)
    worker.containers["c"].signal(signal.SIGTERM)
    ended = await node.until_phase("a", "Succeeded")
    assert state(ended)["terminated"]["exitCode"] == 0
