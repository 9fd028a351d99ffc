"""A cluster is created, used with kubectl, stopped, killed, started and deleted, leaving nothing."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from pellucid.localkube.cluster.definition import ClusterError, ClusterSettings, cgroup_of
from pellucid.localkube.cluster.holding import held
from pellucid.localkube.cluster.life import Clusters
from pellucid.localkube.cluster.progress import Progress
from pellucid.localkube.cluster.server_process import running_server
from tests.kubectls import NEWEST, kubectl
from tests.localkube.images.registry import Registry, served
from tests.localkube.images.shell_image import HELLO, SHELL

KUBECTL = str(kubectl(NEWEST))
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("runc"), reason="needs runc"),
    pytest.mark.timeout(180),
]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: python:3
        command: [python3, -m, http.server, "8080"]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""
FETCH = "import urllib.request; print(urllib.request.urlopen('http://web', timeout=5).status)"


@dataclass(frozen=True)
class Machine:
    """Where a test's clusters and kubeconfig are."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "PELLUCID_CLUSTERS_DIRECTORY": str(self.directory / "clusters"),
            "KUBECONFIG": str(self.directory / "kubeconfig"),
        }

    def run(self, *words: str, text: str = "", fails: bool = False, **variables: str) -> str:
        environment = self.environment | variables
        done = subprocess.run(
            words, env=environment, input=text, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + (done.stderr if fails else "")

    def cluster(self, *words: str, fails: bool = False) -> str:
        return self.run(sys.executable, "-m", "pellucid", "cluster", *words, fails=fails)

    def kind(self) -> str:
        """A link of that name to the program."""
        link = self.directory / "kind"
        if not link.exists():
            link.symlink_to(Path(sys.executable).with_name("pellucid"))
        return str(link)

    def kubectl(self, *words: str, text: str = "") -> str:
        return self.run(KUBECTL, *words, text=text)


def cgroups(cluster: Path, node: str) -> list[Path]:
    """Those of a cluster's node, in every hierarchy."""
    return list(Path("/sys/fs/cgroup").glob(f"**/{cgroup_of(cluster, node)}"))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for name in machine.cluster("list").split():
        machine.cluster("delete", "-name", name)


def test_from_creation_to_deletion_with_kubectl(machine: Machine) -> None:
    machine.cluster("create", "-name", "life")
    assert machine.kubectl("config", "current-context").strip() == "kind-life"
    machine.kubectl("wait", "--for=condition=Ready", "node/life-control-plane", "--timeout=30s")
    machine.kubectl("apply", "-f", "-", text=WEB)
    assert "successfully rolled out" in machine.kubectl(
        "rollout", "status", "deployment/web", "--timeout=60s"
    )
    assert machine.kubectl("exec", "deployment/web", "--", "python3", "-c", FETCH).strip() == "200"
    assert '"GET / HTTP/1.1" 200' in machine.kubectl("logs", "-l", "app=web", "--tail=100")
    directory = machine.directory / "clusters" / "life"
    server = running_server(directory)
    assert server is not None
    inside = Path(f"/proc/{server.pid}/ns/pid").readlink()
    assert len(processes_in(inside)) > 2
    machine.kubectl("delete", "deployment/web", "service/web")
    machine.kubectl("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=30s")
    machine.cluster("delete", "-name", "life")
    assert processes_in(inside) == []
    assert not directory.exists()
    assert "life" not in Path("/proc/self/mountinfo").read_text()
    assert not cgroups(directory, "life-control-plane")
    assert json.loads(machine.kubectl("config", "view", "-o", "json"))["contexts"] in ([], None)


def test_pods_and_objects_come_back_after_a_kill_and_after_a_stop(machine: Machine) -> None:
    machine.cluster("create", "-name", "life")
    machine.kubectl("apply", "-f", "-", text=WEB)
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    before = machine.kubectl("get", "pods", "-o", "name")
    server = running_server(machine.directory / "clusters" / "life")
    assert server is not None
    descriptor = os.pidfd_open(server.pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    os.close(descriptor)
    machine.cluster("stop", "-name", "life")
    machine.cluster("start", "-name", "life")
    machine.kubectl("wait", "--for=condition=Ready", "node/life-control-plane", "--timeout=30s")
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert machine.kubectl("get", "pods", "-o", "name") == before
    machine.cluster("stop", "-name", "life")
    machine.cluster("start", "-name", "life")
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert machine.kubectl("get", "pods", "-o", "name") == before


def test_two_clusters_run_side_by_side_and_know_nothing_of_each_other(machine: Machine) -> None:
    machine.cluster("create", "-name", "one")
    machine.cluster("create", "-name", "two", "-nodes", "2")
    assert machine.cluster("list").split() == ["one", "two"]
    machine.kubectl("--context", "kind-one", "create", "namespace", "shop")
    assert "shop" not in machine.kubectl("--context", "kind-two", "get", "namespaces", "-o", "name")
    nodes = machine.kubectl("--context", "kind-two", "get", "nodes", "-o", "name").split()
    assert nodes == ["node/two-control-plane", "node/two-worker"]
    machine.cluster("delete", "-name", "one")
    assert machine.cluster("list").split() == ["two"]
    machine.kubectl("--context", "kind-two", "get", "namespaces")


def test_clusters_kept_in_two_places_may_have_the_same_name(machine: Machine, tmp_path: Path) -> None:
    other = Machine(tmp_path / "elsewhere")
    for each in (machine, other):
        each.cluster("create", "-name", "one")
        each.kubectl("run", "sleeper", "--image=busybox", "--", "sleep", "infinity")
        each.kubectl("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=30s")
    other.cluster("delete", "-name", "one")
    assert cgroups(machine.directory / "clusters" / "one", "one-control-plane")
    machine.kubectl("exec", "sleeper", "--", "true")
    assert not cgroups(other.directory / "clusters" / "one", "one-control-plane")


def test_a_name_that_is_taken_or_cannot_be_one_is_refused(machine: Machine) -> None:
    machine.cluster("create", "-name", "one")
    taken = machine.cluster("create", "-name", "one", fails=True)
    assert "already exist for a cluster with the name 'one'" in taken
    assert "not a valid cluster name" in machine.cluster("create", "-name", "../up", fails=True)
    assert "1 to 10 nodes" in machine.cluster("create", "-name", "many", "-nodes", "11", fails=True)
    assert machine.cluster("list").split() == ["one"]


def test_logs_of_containers_are_copied_out_and_what_is_no_image_is_refused(machine: Machine) -> None:
    machine.cluster("create", "-name", "one")
    machine.kubectl("run", "talker", "--image=busybox", "--restart=Never", "--", "echo", "said this")
    machine.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/talker", "--timeout=30s")
    target = machine.directory / "logs"
    machine.cluster("logs", "-name", "one", str(target))
    [log] = target.glob("one-control-plane/*/talker/0.log")
    assert "said this" in log.read_text()
    archive = machine.directory / "no.tar"
    archive.write_bytes(b"no archive")
    assert "cannot load" in machine.cluster("load", "-name", "one", str(archive), fails=True)
    assert machine.cluster("nodes", "-name", "one").split() == ["one-control-plane"]


def test_images_of_a_file_are_there_from_the_start_or_once_loaded(machine: Machine) -> None:
    first, second = machine.directory / "first.json", machine.directory / "second.json"
    first.write_text(json.dumps([{"name": "acme/first", "command": ["echo", "said by first"]}]))
    second.write_text(json.dumps([{"name": "acme/second:2", "command": ["echo", "said by second"]}]))
    machine.cluster("create", "-name", "one", "-images", str(first))
    assert machine.cluster("load", "-name", "one", str(second)).split() == ["acme/second:2"]
    machine.cluster("stop", "-name", "one")
    machine.cluster("start", "-name", "one")
    for name, image in (("first", "acme/first:7"), ("second", "acme/second:2"), ("own", "pellucid/pellucid")):
        arguments = ("--", "version") if name == "own" else ()
        machine.kubectl("run", name, f"--image={image}", "--restart=Never", *arguments)
        machine.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=30s")
    assert "said by first" in machine.kubectl("logs", "first")
    assert "said by second" in machine.kubectl("logs", "second")
    assert "pellucid v" in machine.kubectl("logs", "own")


def test_names_outside_are_answered_where_asked_for_and_by_nobody_else(machine: Machine) -> None:
    words = (machine.kind(), "create", "cluster", "--name", "tproxy")
    machine.run(*words, PELLUCID_CLUSTER_OUTSIDE="example.com,example.org")
    machine.kubectl("run", "c", "--image=curl", "--command", "--", "sleep", "infinity")
    machine.kubectl("wait", "--for=condition=Ready", "pod/c", "--timeout=30s")
    for name in ("example.com", "example.org"):
        url = f"https://{name}"
        assert (
            machine.kubectl("exec", "c", "--", "curl", "-sSo", "/dev/null", "-w", "%{http_code}", url)
            == "200"
        )
    machine.cluster("stop", "-name", "tproxy")
    machine.cluster("start", "-name", "tproxy")
    machine.kubectl("wait", "--for=condition=Ready", "pod/c", "--timeout=30s")
    assert "stand-in" in machine.kubectl("exec", "c", "--", "curl", "-sS", "https://example.com")
    machine.cluster("create", "-name", "bare")
    machine.kubectl("run", "d", "--image=curl", "--restart=Never", "--", "-sS", "https://example.com")
    machine.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/d", "--timeout=30s")
    assert "Could not resolve host: example.com" in machine.kubectl("logs", "d")


def test_a_name_that_cannot_be_outside_makes_no_cluster(machine: Machine) -> None:
    said = machine.cluster("create", "-name", "one", "-outside", "web=10.244.0.1", fails=True)
    assert "10.244.0.1 is not outside the cluster" in said
    assert machine.cluster("list") == ""


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_an_uplink_leads_out_by_the_host_whose_rules_stay_as_they_were(machine: Machine, by: str) -> None:
    before = firewall()
    with served(Registry()) as registry:
        registry.add_image("app:1", SHELL, settings=HELLO)
        port = registry.address.rpartition(":")[2]
        if by == "flag":
            machine.cluster("create", "-name", "open", "-uplink")
        else:
            machine.run(machine.kind(), "create", "cluster", "--name", "open", PELLUCID_CLUSTER_UPLINK="1")
        assert firewall() == before
        machine.kubectl("run", "p", f"--image=localhost:{port}/app:1", "--restart=Never")
        machine.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/p", "--timeout=30s")
        assert machine.kubectl("logs", "p").startswith("hello")
        machine.cluster("delete", "-name", "open")
    assert firewall() == before


def firewall() -> list[str]:
    """The host's rules, less their counters."""
    done = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if not line.startswith(("#", ":"))]


def test_a_file_of_images_with_a_mistake_makes_no_cluster(machine: Machine) -> None:
    file = machine.directory / "images.json"
    file.write_text(
        '[{"name": "a", "command": ["x"], "binds": [{"source": "/no/such", "destination": "/x"}]}]'
    )
    assert "binds /no/such" in machine.cluster("create", "-name", "one", "-images", str(file), fails=True)
    assert machine.cluster("list") == ""


def test_what_the_machine_lacks_is_named_and_nothing_is_made(machine: Machine, tmp_path: Path) -> None:
    clusters = Clusters({"PELLUCID_CLUSTERS_DIRECTORY": str(tmp_path / "clusters"), "PATH": str(tmp_path)})
    with pytest.raises(ClusterError, match=r"runc not found in PATH; install .*runc"):
        clusters.create("one", ClusterSettings(), Progress(io.StringIO(), terminal=False))
    assert clusters.names() == ()


def test_deleting_a_cluster_that_is_not_there_is_done(machine: Machine) -> None:
    machine.cluster("delete", "-name", "absent")


def test_kinds_own_words_work_through_a_link_named_kind(machine: Machine) -> None:
    kind = machine.kind()
    machine.run(kind, "create", "cluster", "--name", "tproxy", "--wait", "60s")
    assert machine.run(kind, "get", "clusters").split() == ["tproxy"]
    kubeconfig = machine.directory / "own"
    kubeconfig.write_text(machine.run(kind, "get", "kubeconfig", "--name", "tproxy"))
    assert "tproxy-control-plane" in machine.kubectl("--kubeconfig", str(kubeconfig), "get", "nodes")
    logs = Path(machine.run(kind, "export", "logs", "--name", "tproxy").strip())
    assert (logs / "server.log").exists()
    shutil.rmtree(logs)
    assert "unknown flag: --nam" in machine.run(kind, "delete", "cluster", "--nam", "tproxy", fails=True)
    machine.run(kind, "delete", "cluster", "--name", "tproxy")
    assert machine.cluster("list") == ""


def test_a_configuration_file_of_kinds_decides_nodes_release_port_and_network(machine: Machine) -> None:
    config = """
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: configured
nodes: [{role: control-plane, image: "kindest/node:v1.28.4"}, {role: worker}]
networking: {podSubnet: 10.20.0.0/16}
"""
    kubeconfig = machine.directory / "elsewhere"
    words = ("create", "cluster", "--config", "-", "--kubeconfig", str(kubeconfig), "-q")
    assert machine.run(machine.kind(), *words, text=config) == ""
    assert not (machine.directory / "kubeconfig").exists()
    there = ("--kubeconfig", str(kubeconfig))
    versions = machine.kubectl(
        *there, "get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"
    )
    assert versions.split() == ["v1.28.4", "v1.28.4"]
    assert json.loads(machine.kubectl(*there, "version", "-o", "json"))["serverVersion"]["minor"] == "28"
    machine.kubectl(*there, "run", "p", "--image=busybox", "--command", "--", "sleep", "infinity")
    machine.kubectl(*there, "wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
    address = machine.kubectl(*there, "get", "pod", "p", "-o", "jsonpath={.status.podIP}")
    assert address.startswith("10.20.")
    machine.kubectl(*there, "exec", "p", "--", "getent", "hosts", "kubernetes")
    machine.run(machine.kind(), "delete", "clusters", "--all", "--kubeconfig", str(kubeconfig))
    assert machine.cluster("list") == ""
    assert "configured" not in kubeconfig.read_text()


def test_a_port_of_the_host_leads_to_a_service_also_after_a_restart(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = f"""
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- labels: {{ingress-ready: "true"}}
  extraPortMappings: [{{containerPort: 30080, hostPort: {port}}}]
"""
    machine.run(machine.kind(), "create", "cluster", "--name", "one", "--config", "-", text=config)
    assert "one-control-plane" in machine.kubectl("get", "nodes", "-l", "ingress-ready=true", "-o", "name")
    machine.kubectl("apply", "-f", "-", text=WEB)
    patch = '{"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}}'
    machine.kubectl("patch", "service", "web", "-p", patch)
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert fetched(port) == 200
    taken = machine.cluster("create", "-name", "two", "-config", str(written(machine, config)), fails=True)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in taken
    machine.cluster("stop", "-name", "one")
    machine.cluster("start", "-name", "one")
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert fetched(port) == 200


def fetched(port: int) -> int:
    """The status of what a port of loopback answers, once it does."""
    patient = ("curl", "-s", "--retry", "40", "--retry-delay", "1", "--retry-all-errors", "--max-time", "5")
    url = f"http://127.0.0.1:{port}/"
    words = (*patient, "-o", "/dev/null", "-w", "%{http_code}", url)
    return int(subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout)


def written(machine: Machine, config: str) -> Path:
    file = machine.directory / "config.yaml"
    file.write_text(config)
    return file


def test_a_configuration_that_cannot_be_had_makes_no_cluster(machine: Machine) -> None:
    file = machine.directory / "config.yaml"
    file.write_text("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nfeatureGates: {A: true}\n")
    words = ("create", "-name", "one")
    assert "featureGates: clusters here" in machine.cluster(*words, "-config", str(file), fails=True)
    assert "'1.20' is not offered" in machine.cluster(*words, "-kubernetes-version", "1.20", fails=True)
    assert "names no release" in machine.cluster(*words, "-image", "kindest/node", fails=True)
    assert "'soon' is no duration" in machine.cluster(*words, "-wait", "soon", fails=True)
    assert machine.cluster("list") == ""


@contextmanager
def begun_creation(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """A cluster "half" that is being created, and not done yet."""
    with subprocess.Popen(
        [sys.executable, "-m", "pellucid", "cluster", "create", "-name", "half"],
        env=machine.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as creating:
        assert creating.stderr is not None
        until_said(creating.stderr, "Writing configuration")
        yield creating


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_creation_that_is_interrupted_leaves_nothing(machine: Machine, number: signal.Signals) -> None:
    with begun_creation(machine) as creating:
        creating.send_signal(number)
        assert creating.wait(timeout=60) != 0
    assert list((machine.directory / "clusters").iterdir()) == []
    assert not (machine.directory / "kubeconfig").exists()
    assert not cgroups(machine.directory / "clusters" / "half", "half-control-plane")


def test_a_creation_that_is_killed_leaves_no_process_and_is_in_nobodys_way(machine: Machine) -> None:
    with begun_creation(machine) as creating:
        creating.kill()
        creating.wait(timeout=60)
    # Those that are there may begin others before they notice.
    while left := processes_about(machine.directory):
        until_gone(left[0])
    machine.cluster("delete", "half")
    assert list((machine.directory / "clusters").iterdir()) == []


def test_of_two_creations_with_one_name_at_once_the_second_is_refused(machine: Machine) -> None:
    with held(machine.directory / "clusters" / "one"):
        said = machine.cluster("create", "-name", "one", fails=True)
    assert "another command is at work on the cluster 'one'" in said
    machine.cluster("create", "-name", "one")
    assert machine.cluster("list").split() == ["one"]


def test_what_a_killed_creation_left_is_in_nobodys_way(machine: Machine) -> None:
    left = machine.directory / "clusters" / "one" / "pki"
    left.mkdir(parents=True)
    (left.parent / "kubeconfig").write_text("half")
    machine.cluster("create", "-name", "one")
    machine.cluster("delete", "one")
    assert list((machine.directory / "clusters").iterdir()) == []


def processes_about(directory: Path) -> list[int]:
    """Those whose command line names it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(directory) in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def until_gone(pid: int) -> None:
    """Wait for the end of somebody else's process."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(descriptor, "rb", buffering=0) as process:
        assert select.select([process], [], [], 60)[0], f"process {pid} stays"


def until_said(stream: IO[str], text: str) -> None:
    """Read lines until one has the text."""
    for line in stream:
        if text in line:
            return
    pytest.fail(f"never said: {text}")


def processes_in(namespace: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "ns" / "pid").readlink() == namespace:
                found.append(int(entry.name))
        except OSError:
            continue
    return found
