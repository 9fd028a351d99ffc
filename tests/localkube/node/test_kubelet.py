# ruff: noqa: ASYNC240
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.node.log_file import LogOptions
from pellucid.localkube.types.kinds import CONFIG_MAPS, EVENTS, NODES, PODS
from tests.localkube.node.one_node import (
    Node,
    Object,
    api_objects,
    kubelet_on,
    own_network,
    processes_of,
    shell,
)

pytestmark = pytest.mark.root


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with own_network(), kubelet_on(await api_objects(), tmp_path) as node:
        yield node
    assert not processes_of(tmp_path)
    assert not list(Path("/sys/fs/cgroup").glob(f"*/localkube-test-{os.getpid()}"))
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


def state(pod: Object, name: str = "c") -> Object:
    statuses = [*pod["status"].get("initContainerStatuses", ()), *pod["status"].get("containerStatuses", ())]
    found: Object = next(one["state"] for one in statuses if one["name"] == name)
    return found


def condition(pod: Object, kind: str) -> str:
    found: str = next(one["status"] for one in pod["status"]["conditions"] if one["type"] == kind)
    return found


async def test_the_node_is_registered_ready(node: Node) -> None:
    async for event in node.resources.watch(NODES):
        conditions = event.object.get("status", {}).get("conditions", ())
        if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            return


async def test_a_pod_runs_gets_an_address_and_is_ready(node: Node) -> None:
    await node.create("a", shell("echo $(hostname) $POD_IP; sleep infinity", env=[
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]))  # fmt: skip
    pod = await node.until(
        "a", lambda pod: "conditions" in pod["status"] and condition(pod, "Ready") == "True"
    )
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
    pod = await node.until("a", lambda pod: pod["status"].get("containerStatuses") and "waiting" in state(pod)
                           and state(pod)["waiting"]["reason"] == "CrashLoopBackOff")  # fmt: skip
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
    pod = await node.until("a", lambda pod: pod["status"].get("containerStatuses") and "waiting" in state(pod)
                           and state(pod)["waiting"]["reason"] == "ErrImagePull")  # fmt: skip
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


async def test_a_missing_key_is_a_container_configuration_error(node: Node) -> None:
    reference = {"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "nope"}}
    await node.create("a", shell("true", env=[{"name": "A", "valueFrom": reference}]))
    pod = await node.until("a", lambda pod: pod["status"].get("containerStatuses") and "waiting" in state(pod)
                           and state(pod)["waiting"]["reason"] == "CreateContainerConfigError")  # fmt: skip
    said = "couldn't find key nope in ConfigMap default/kube-root-ca.crt"
    assert state(pod)["waiting"]["message"] == said


async def test_a_root_image_is_refused_where_root_is_forbidden(node: Node) -> None:
    await node.create("a", shell("true"), securityContext={"runAsNonRoot": True})
    pod = await node.until("a", lambda pod: pod["status"].get("containerStatuses") and "waiting" in state(pod)
                           and state(pod)["waiting"]["reason"] == "CreateContainerConfigError")  # fmt: skip
    assert "image will run as root" in state(pod)["waiting"]["message"]


async def test_readiness_follows_its_probe(node: Node) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    await node.create("a", shell("sleep infinity", readinessProbe=probe))
    pod = await node.until_phase("a", "Running")
    assert condition(pod, "Ready") == "False"
    await (await node.streams.exec(pod, "c", ["touch", "/tmp/ready"])).wait()
    await node.until("a", lambda pod: condition(pod, "Ready") == "True")


async def test_http_probes_come_from_the_node(node: Node) -> None:
    probe = {"httpGet": {"port": "http", "path": "/healthz"}, "periodSeconds": 1}
    container = {"name": "c", "image": "freddygv/hello-http:v0.2.2", "readinessProbe": probe,
                 "ports": [{"name": "http", "containerPort": 8080}]}  # fmt: skip
    await node.create("a", container)
    await node.until("a", lambda pod: "conditions" in pod["status"] and condition(pod, "Ready") == "True")


async def test_a_container_that_fails_its_liveness_probe_is_restarted(node: Node) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    await node.create("a", shell("sleep infinity", livenessProbe=probe))
    await node.until(
        "a", lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) > 0
    )


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


async def test_the_redirection_image_redirects_the_pod(node: Node) -> None:
    arguments = ["-p", "15001", "-z", "20000", "-u", "0", "-g", "0", "-d", "", "-o", "",
                 "-m", "REDIRECT", "-i", "*", "-b", "*"]  # fmt: skip
    init = {"name": "i", "image": "example.org/kuma-init:1.0.3", "args": arguments,
            "securityContext": {"privileged": True, "capabilities": {"add": ["NET_ADMIN"]}}}  # fmt: skip
    await node.create("a", shell("sleep infinity"), initContainers=[init])
    pod = await node.until_phase("a", "Running")
    assert "--to-ports 20000" in await node.log(pod, "i")


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
    await node.until("a", lambda pod: "conditions" in pod["status"] and condition(pod, "Ready") == "True")
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


async def test_a_failing_probe_is_told_each_time_with_what_it_said(node: Node) -> None:
    probe = {"exec": {"command": ["sh", "-c", "echo no luck; exit 1"]}, "periodSeconds": 1}
    await node.create("a", shell("sleep infinity", readinessProbe=probe))
    async for event in node.resources.watch(EVENTS):
        if event.object["reason"] == "Unhealthy" and event.object["count"] == 2:
            assert event.object["message"] == "Readiness probe failed: no luck\n"
            return


async def test_the_processes_of_the_node_are_seen_by_a_pod_that_asks_for_them(node: Node) -> None:
    await node.create("a", shell("readlink /proc/self/ns/pid"), restartPolicy="Never", hostPID=True)
    assert await node.log(await node.until_phase("a", "Succeeded")) == f"{os.readlink('/proc/self/ns/pid')}\n"


async def test_mounts_of_a_container_never_reach_the_node(node: Node) -> None:
    mount = {"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}
    await node.create("a", shell("true", volumeMounts=[mount]), volumes=[{"name": "v", "emptyDir": {}}])
    pod = await node.until("a", lambda pod: pod["status"].get("containerStatuses") and "waiting" in state(pod)
                           and state(pod)["waiting"]["reason"] == "CreateContainerConfigError")  # fmt: skip
    assert "Bidirectional of /v is not supported" in state(pod)["waiting"]["message"]


async def test_a_ready_pod_that_was_given_up_while_its_node_was_silent_is_ready_again(node: Node) -> None:
    await node.create("a", shell("sleep infinity"))
    pod = await node.until(
        "a", lambda pod: "conditions" in pod["status"] and condition(pod, "Ready") == "True"
    )
    given_up = [{**one, "status": "False"} for one in pod["status"]["conditions"]]
    patch = {"status": {"conditions": given_up}}
    changed = await node.resources.patch(PODS, "default", "a", patch, subresource="status")
    assert condition(changed, "Ready") == "False"
    await node.until("a", lambda pod: condition(pod, "Ready") == "True")


async def test_a_command_of_a_probe_that_takes_too_long_is_ended(node: Node) -> None:
    command = ["sh", "-c", "trap '' HUP TERM; exec sleep 3600"]
    probe = {"exec": {"command": command}, "periodSeconds": 3600}
    await node.create("a", shell("sleep infinity", readinessProbe=probe))
    async for event in node.resources.watch(EVENTS):
        if event.object["reason"] == "Unhealthy":
            assert event.object["message"] == "Readiness probe failed: command timed out after 1s"
            break
    pod = await node.until_phase("a", "Running")
    session = await node.streams.exec(pod, "c", ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])
    running = (await session.stdout.read()).decode()
    assert await session.wait() == 0
    assert "sleep 3600" not in running
