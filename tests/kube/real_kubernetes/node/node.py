"""A node of Kubernetes itself: containerd, kubelet, kube-proxy, kube-scheduler, a registry, cluster DNS.

All of it is in the control plane's network namespace, which has no way out. What runs containers is besides
in a PID and a mount namespace of its own: when its first process ends, so do all containers, and their
mounts are gone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pellucid.demo.outside import ADDRESS as OUTSIDE_ADDRESS
from pellucid.demo.outside import NAME as OUTSIDE_NAME
from pellucid.demo.outside import write_certificate
from pellucid.demo.stage import Program
from tests.kube.real_kubernetes.control_plane import ADDRESS, BUILT, NODE, ControlPlane, control_plane
from tests.kube.real_kubernetes.node import images
from tests.mesh.mesh import eventually, program
from tests.self_signed import SelfSigned

PROGRAMS = ("kubelet", "kube-scheduler", "kube-proxy")
PACKAGED = ("containerd", "docker-registry", "runc")
PLUGINS = Path("/usr/lib/cni")
REGISTRY = f"{ADDRESS}:5000"
VOLUMES = 2
READY_S = 120.0
SHOWN_LINES = 12

_GROUPS = Path("/sys/fs/cgroup")
_GROUP = f"pellucid-tests-{os.getpid()}"
_APART = f"""
for group in {_GROUPS}/*/; do
  mkdir "$group/{_GROUP}"
  for setting in cpuset.cpus cpuset.mems; do
    if [ -e "$group/$setting" ]; then cat "$group/$setting" > "$group/{_GROUP}/$setting"; fi
  done
  echo 0 > "$group/{_GROUP}/cgroup.procs"
done
exec unshare --cgroup --mount --pid --fork --kill-child sh -ec "$1" "$0"
"""
"""Shell: in control groups and namespaces of its own."""
_FIRST_PROCESS = f"""
read -r pid _ < /proc/self/stat
for group in {_GROUPS}/*/; do mount --bind "$group/{_GROUP}" "$group"; done
mount -t proc proc /proc
mount -t tmpfs run /run
mount --bind "$0/lib" /var/lib
mount --bind "$0/log" /var/log
mount --make-rshared /
echo "$pid"
read -r _
"""
"""Shell: the machine's own directories for what runs are hidden; says its process id outside."""
_JOIN = f'for group in {_GROUPS}/*/; do echo 0 > "$group/cgroup.procs"; done; exec "$@"'


def missing() -> str:
    """What a node needs and this machine lacks; empty if nothing."""
    lacking = [name for name in PROGRAMS if not (BUILT / name).exists()]
    lacking += [name for name in PACKAGED if not shutil.which(name)]
    lacking += [str(path) for path in (PLUGINS / "ptp", _GROUPS / "memory") if not path.exists()]
    if reason := images.missing():
        lacking.append(reason.removeprefix("no "))
    return f"no {', '.join(lacking)}: run {Path(__file__).with_name('prepare')}" if lacking else ""


@contextmanager
def node(directory: Path) -> Iterator[ControlPlane]:
    """A cluster of one node, ready for pods, as long as the block lasts."""
    with ExitStack() as stack:
        plane = stack.enter_context(control_plane(directory))
        plane.kubectl(f"delete node {NODE}")  # the kubelet says itself what it is
        stack.enter_context(_outside(plane, directory / "outside"))
        _bring_images(plane, directory, stack)
        machine = stack.enter_context(_machine(plane, directory / "machine"))
        commands = [
            (*machine, *command) for command in (_containerd(directory), _kubelet(plane), _kube_proxy(plane))
        ]
        commands += [(*_inside(plane), *command) for command in (_scheduler(plane), _dns(plane))]
        programs = [stack.enter_context(program(*command)) for command in commands]
        _give_volumes(plane, directory / "machine" / "volumes")
        _wait_until_ready(plane, programs)
        # The control plane's own tests have nobody who looks after nodes.
        plane.kubectl(f"taint nodes {NODE} node.kubernetes.io/not-ready:NoSchedule-")
        yield plane


def _wait_until_ready(plane: ControlPlane, programs: list[Program]) -> None:
    """A failure says what the programs said last."""
    try:
        eventually(lambda: _is_ready(plane), "the node is ready", within=READY_S)
    except AssertionError as failure:
        said = [line.text for running in programs for line in running.lines[-SHOWN_LINES:]]
        raise AssertionError("\n".join(said)) from failure


def _is_ready(plane: ControlPlane) -> bool:
    found = plane.get(f"node {NODE}") or {"status": {}}
    conditions = found["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _inside(plane: ControlPlane) -> tuple[str, ...]:
    return ("nsenter", f"--target={plane.namespace.pid}", "--net")


@contextmanager
def _outside(plane: ControlPlane, directory: Path) -> Iterator[Program]:
    """Who answers for what is outside the cluster."""
    directory.mkdir()
    write_certificate(directory)
    plane.namespace.run("ip", "address", "add", f"{OUTSIDE_ADDRESS}/32", "dev", "lo")
    with program(*_inside(plane), sys.executable, "-m", "pellucid.demo.outside", str(directory)) as running:
        running.wait_for(lambda line: line == "listening")
        yield running


def _bring_images(plane: ControlPlane, directory: Path, stack: ExitStack) -> None:
    """Build them, and have a registry that holds them until the stack is left."""
    images.build_ours()
    images.build_tests(directory / "outside")
    stored = directory / "registry"
    stack.callback(shutil.rmtree, stored)
    stored.mkdir()
    settings = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(stored)}},
        "http": {"addr": REGISTRY},
    }
    configuration = directory / "registry.yaml"
    configuration.write_text(json.dumps(settings))
    stack.enter_context(program(*_inside(plane), "docker-registry", "serve", str(configuration)))
    images.push(REGISTRY, *_inside(plane))


@contextmanager
def _machine(plane: ControlPlane, directory: Path) -> Iterator[tuple[str, ...]]:
    """The command that leads into the node's namespaces; nothing of it is left after the block."""
    for name in ("lib", "log", "volumes"):
        (directory / name).mkdir(parents=True)
    apart = ("sh", "-ec", _APART, str(directory), _FIRST_PROCESS)
    plane.namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    first = subprocess.Popen(
        [*_inside(plane), *apart], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with first:
        assert first.stdout is not None
        pid = first.stdout.readline().strip()
        try:
            assert pid, "the node has no namespaces of its own"
            namespaces = ("--net", "--mount", "--pid", "--cgroup")
            yield ("nsenter", f"--target={pid}", *namespaces, "sh", "-ec", _JOIN, NODE)
        finally:
            first.kill()
    eventually(_remove_control_groups, "the node's control groups are gone")
    shutil.rmtree(directory)


def _remove_control_groups() -> bool:
    """Those that the containers left; whether that was all."""
    left = [
        place for top in _GROUPS.glob(f"*/{_GROUP}") for place in (top, *top.rglob("*")) if place.is_dir()
    ]
    try:
        for group in sorted(left, reverse=True):
            group.rmdir()
    except OSError:
        return False
    return True


def _containerd(directory: Path) -> tuple[str, ...]:
    networks = directory / "networks"
    networks.mkdir()
    network = {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": "10.244.0.0/24"}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    (networks / "pods.conflist").write_text(json.dumps(network))
    runtime = "io.containerd.grpc.v1.cri"
    mirrors = [
        f'[plugins."{runtime}".registry.mirrors."{name}"]\nendpoint = ["http://{REGISTRY}"]'
        for name in images.REGISTRIES
    ]
    lines = (
        "version = 2",
        f'[plugins."{runtime}"]',
        f'sandbox_image = "{images.PAUSE_IMAGE}"',
        # Where this process may not lower its own, neither may its containers.
        "restrict_oom_score_adj = true",
        f'[plugins."{runtime}".cni]',
        f'bin_dir = "{PLUGINS}"',
        f'conf_dir = "{networks}"',
        *mirrors,
    )
    configuration = directory / "containerd.toml"
    configuration.write_text("\n".join(lines))
    return ("containerd", f"--config={configuration}")


def _kubelet(plane: ControlPlane) -> tuple[str, ...]:
    directory = plane.directory
    identity = plane.authority.issue(f"system:node:{NODE}", "system:nodes", names=(ADDRESS,))
    certificate, key = _saved(directory / "kubelet", identity)
    resolver = directory / "resolv.conf"
    resolver.write_text(f"nameserver {ADDRESS}\n")
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(directory / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolver),
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        # The disk is the developer's, however full.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }
    configuration = directory / "kubelet.yaml"
    configuration.write_text(json.dumps(settings))
    return (
        str(BUILT / "kubelet"),
        f"--config={configuration}",
        f"--kubeconfig={plane.kubeconfig_of(f'system:node:{NODE}', 'system:nodes')}",
        "--container-runtime=remote",
        "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
        "--runtime-cgroups=/",
        "--kubelet-cgroups=/",
    )


def _kube_proxy(plane: ControlPlane) -> tuple[str, ...]:
    return (
        str(BUILT / "kube-proxy"),
        f"--kubeconfig={plane.kubeconfig_of('system:kube-proxy')}",
        "--cluster-cidr=10.244.0.0/24",
        f"--hostname-override={NODE}",
        # The machine's own settings are left alone.
        *(f"--conntrack-{name}=0" for name in ("max-per-core", "tcp-timeout-established")),
        "--conntrack-tcp-timeout-close-wait=0",
    )


def _scheduler(plane: ControlPlane) -> tuple[str, ...]:
    kubeconfig = plane.kubeconfig_of("system:kube-scheduler")
    return (str(BUILT / "kube-scheduler"), f"--kubeconfig={kubeconfig}", "--leader-elect=false")


def _dns(plane: ControlPlane) -> tuple[str, ...]:
    words = (str(plane.kubeconfig), ADDRESS, f"{OUTSIDE_NAME}={OUTSIDE_ADDRESS}")
    return (sys.executable, str(Path(__file__).with_name("cluster_dns.py")), *words)


def _give_volumes(plane: ControlPlane, directory: Path) -> None:
    """As an administrator would who has no provisioner."""
    for number in range(VOLUMES):
        place = directory / str(number)
        place.mkdir()
        place.chmod(0o777)
        spec = {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": str(place), "type": "Directory"},
        }
        metadata = {"name": f"volume-{number}"}
        plane.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})


def _saved(path: Path, pair: SelfSigned) -> tuple[Path, Path]:
    certificate, key = path.with_suffix(".crt"), path.with_suffix(".key")
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return certificate, key
