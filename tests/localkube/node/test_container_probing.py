import signal

import pytest

from pellucid.localkube.types.kinds import EVENTS
from tests.localkube.node.one_node import Node, Object, condition, is_ready, shell, state

pytestmark = pytest.mark.root


async def test_readiness_follows_its_probe(node: Node) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    await node.create("a", shell("sleep infinity", readinessProbe=probe))
    pod = await node.until_phase("a", "Running")
    assert condition(pod, "Ready") == "False"
    await (await node.streams.exec(pod, "c", ["touch", "/tmp/ready"])).wait()
    await node.until("a", is_ready)


async def test_http_probes_come_from_the_node(node: Node) -> None:
    probe = {"httpGet": {"port": "http", "path": "/healthz"}, "periodSeconds": 1}
    container = {"name": "c", "image": "freddygv/hello-http:v0.2.2", "readinessProbe": probe,
                 "ports": [{"name": "http", "containerPort": 8080}]}  # fmt: skip
    await node.create("a", container)
    await node.until("a", is_ready)


async def test_a_container_that_fails_its_liveness_probe_is_restarted(node: Node) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    await node.create("a", shell("sleep infinity", livenessProbe=probe))
    await node.until(
        "a", lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) > 0
    )


async def test_a_failing_probe_is_told_each_time_with_what_it_said(node: Node) -> None:
    probe = {"exec": {"command": ["sh", "-c", "echo no luck; exit 1"]}, "periodSeconds": 1}
    await node.create("a", shell("sleep infinity", readinessProbe=probe))
    async for event in node.resources.watch(EVENTS):
        if event.object["reason"] == "Unhealthy" and event.object["count"] == 2:
            assert event.object["message"] == "Readiness probe failed: no luck\n"
            return


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


async def test_hooks_run_after_the_start_and_before_the_end(node: Node) -> None:
    def noting(word: str) -> Object:
        return {"exec": {"command": ["sh", "-c", f"echo {word} >> /v/said"]}}

    script = "trap 'echo told to end >> /v/said; exit 0' TERM; while :; do sleep 0.1; done"
    shared = node.directory / "shared"
    await node.create(
        "a",
        shell(
            script,
            lifecycle={"postStart": noting("started"), "preStop": noting("before the end")},
            readinessProbe={"exec": {"command": ["grep", "started", "/v/said"]}, "periodSeconds": 1},
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
        ),
        terminationGracePeriodSeconds=20,
        volumes=[{"name": "v", "hostPath": {"path": str(shared)}}],
    )
    await node.until("a", is_ready)
    await node.delete("a")
    await node.until_gone("a")
    assert (shared / "said").read_text() == "started\nbefore the end\ntold to end\n"


async def test_a_container_whose_start_hook_fails_is_restarted_and_says_why(node: Node) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo no luck; exit 7"]}}}
    await node.create("a", shell("sleep infinity", lifecycle=hook))
    async for event in node.resources.watch(EVENTS):
        if event.object["reason"] == "FailedPostStartHook":
            assert event.object["message"] == "PostStartHook failed: command exited with 7: no luck\n"
            break
    await node.until("a", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] > 0)


async def test_the_next_container_starts_when_the_start_hook_of_the_one_before_is_done(node: Node) -> None:
    shared = node.directory / "shared"
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.5; echo hook >> /v/said"]}}}
    first = shell("sleep infinity", "first", lifecycle=hook, **mount)
    second = shell("echo second >> /v/said", "second", **mount)
    volumes = [{"name": "v", "hostPath": {"path": str(shared)}}]
    await node.create("a", first, second, volumes=volumes, restartPolicy="Never")
    await node.until("a", lambda pod: "terminated" in state(pod, "second"))
    assert (shared / "said").read_text() == "hook\nsecond\n"


async def test_a_start_hook_that_never_ends_keeps_no_pod_from_going(node: Node) -> None:
    hook = {"postStart": {"exec": {"command": ["sleep", "infinity"]}}}
    await node.create(
        "a",
        shell("sleep infinity", lifecycle=hook),
        shell("sleep infinity", "next"),
        terminationGracePeriodSeconds=1,
    )
    async for event in node.resources.watch(EVENTS):
        if event.object["reason"] == "Started":
            break
    await node.delete("a")
    await node.until_gone("a")


async def test_a_stop_hook_that_never_ends_costs_the_grace_and_no_more(node: Node) -> None:
    hook = {"preStop": {"exec": {"command": ["sleep", "infinity"]}}}
    await node.create("a", shell("sleep infinity", lifecycle=hook), terminationGracePeriodSeconds=1)
    await node.until_phase("a", "Running")
    await node.delete("a")
    await node.until_gone("a")


async def test_a_startup_probe_holds_back_the_next_init_container(node: Node) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1}
    sidecar = shell("sleep infinity", "side", restartPolicy="Always", startupProbe=probe)
    await node.create("a", shell("true"), initContainers=[sidecar, shell("true", "next")])
    pod = await node.until("a", lambda pod: "running" in state(pod, "side"))
    assert state(pod, "next") == {"waiting": {"reason": "PodInitializing"}}
    await (await node.streams.exec(pod, "side", ["touch", "/tmp/up"])).wait()
    await node.until("a", lambda pod: state(pod, "next").get("terminated", {}).get("exitCode") == 0)


async def test_a_sidecar_that_dies_is_restarted_while_the_pod_runs(node: Node) -> None:
    sidecar = shell("sleep infinity", "side", restartPolicy="Always")
    await node.create("a", shell("sleep infinity"), restartPolicy="Never", initContainers=[sidecar])
    pod = await node.until("a", is_ready)
    worker = node.kubelet.worker(pod["metadata"]["uid"])
    assert worker is not None
    worker.containers["side"].signal(signal.SIGKILL)
    await node.until("a", lambda pod: pod["status"]["initContainerStatuses"][0]["restartCount"] == 1)
