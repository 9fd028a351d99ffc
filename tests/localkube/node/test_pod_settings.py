import os

import pytest

from tests.localkube.node.one_node import Node, Object, shell, state, waits

pytestmark = pytest.mark.root


async def test_a_missing_key_is_a_container_configuration_error(node: Node) -> None:
    reference = {"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "nope"}}
    await node.create("a", shell("true", env=[{"name": "A", "valueFrom": reference}]))
    pod = await node.until("a", waits("CreateContainerConfigError"))
    said = "couldn't find key nope in ConfigMap default/kube-root-ca.crt"
    assert state(pod)["waiting"]["message"] == said


async def test_a_root_image_is_refused_where_root_is_forbidden(node: Node) -> None:
    await node.create("a", shell("true"), securityContext={"runAsNonRoot": True})
    pod = await node.until("a", waits("CreateContainerConfigError"))
    assert "image will run as root" in state(pod)["waiting"]["message"]


async def test_the_redirection_image_redirects_the_pod(node: Node) -> None:
    arguments = ["-p", "15001", "-z", "20000", "-u", "0", "-g", "0", "-d", "", "-o", "",
                 "-m", "REDIRECT", "-i", "*", "-b", "*"]  # fmt: skip
    init = {"name": "i", "image": "example.org/kuma-init:1.0.3", "args": arguments,
            "securityContext": {"privileged": True, "capabilities": {"add": ["NET_ADMIN"]}}}  # fmt: skip
    await node.create("a", shell("sleep infinity"), initContainers=[init])
    pod = await node.until_phase("a", "Running")
    assert "--to-ports 20000" in await node.log(pod, "i")


async def test_the_processes_of_the_node_are_seen_by_a_pod_that_asks_for_them(node: Node) -> None:
    await node.create("a", shell("readlink /proc/self/ns/pid"), restartPolicy="Never", hostPID=True)
    assert await node.log(await node.until_phase("a", "Succeeded")) == f"{os.readlink('/proc/self/ns/pid')}\n"


async def test_root_with_one_capability_redirects_without_being_privileged(node: Node) -> None:
    context: Object = {
        "runAsUser": 0,
        "runAsNonRoot": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
    }
    rule = "-t nat -A OUTPUT -p tcp --dport 81 -j REDIRECT --to-ports 15001"
    script = f"iptables {rule} && ip6tables {rule} && iptables -t nat -S | grep REDIRECT; touch /x || true"
    init = shell(script, "i", securityContext=context)
    await node.create("a", shell("true"), restartPolicy="Never", initContainers=[init])
    said = await node.log(await node.until_phase("a", "Succeeded"), "i")
    assert "-A OUTPUT -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 15001" in said
    assert "Read-only file system" in said


async def test_a_user_without_capabilities_has_none_and_gains_none(node: Node) -> None:
    context: Object = {
        "runAsUser": 5995,
        "runAsGroup": 5996,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    script = "id -u; id -g; grep -E 'CapBnd|NoNewPrivs' /proc/self/status | tr '\\t' ' '"
    await node.create("a", shell(script, securityContext=context), restartPolicy="Never")
    said = await node.log(await node.until_phase("a", "Succeeded"))
    assert said == "5995\n5996\nCapBnd: 0000000000000000\nNoNewPrivs: 1\n"


async def test_a_container_that_uses_too_much_memory_is_said_to_have_been_killed_for_it(node: Node) -> None:
    limits = {"limits": {"memory": "16Mi"}}
    script = "python3 -c 'bytearray(1 << 28)'"
    await node.create("a", shell(script, resources=limits), restartPolicy="Never")
    pod = await node.until_phase("a", "Failed")
    ended = state(pod)["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


async def test_what_a_container_says_is_seen_by_whoever_is_attached(node: Node) -> None:
    await node.create("a", shell("read line; echo heard $line", stdin=True), restartPolicy="Never")
    pod = await node.until("a", lambda pod: "running" in state(pod))
    attached = await node.streams.attach(pod, "c", stdin=True)
    await attached.write(b"something\n")
    assert await attached.stdout.read() == b"heard something\n"
    assert await attached.wait() == 0


async def test_kernel_parameters_are_the_pods_own(node: Node) -> None:
    name = "net.ipv4.ip_unprivileged_port_start"
    await node.create(
        "a",
        shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"),
        restartPolicy="Never",
        securityContext={"sysctls": [{"name": name, "value": "81"}]},
    )
    assert await node.log(await node.until_phase("a", "Succeeded")) == "81\n"
