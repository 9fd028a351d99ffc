"""A control plane of Kubernetes itself: etcd, kube-apiserver, kube-controller-manager in a network namespace.

There is no kubelet: the test says of pods what one would.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from pellucid.demo.stage import Program
from tests.dataplane.conftest import Namespace, new_namespace
from tests.kube.real_kubernetes.certificates import Authority, key_pem
from tests.mesh.mesh import eventually, program
from tests.self_signed import SelfSigned

BUILT = Path(__file__).parents[3] / ".cache" / "kubernetes"
PROGRAMS = ("kube-apiserver", "kube-controller-manager")
ADDRESS = "10.113.0.1"
PORT = 6443
NODE = "node-1"
STARTED_S = 60.0
AUDIT_LOG = "audit.log"
_AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "userGroups": ["system:serviceaccounts:default"]},
        {"level": "None"},
    ],
}


def missing() -> str:
    """Why there is no Kubernetes of its makers here; empty if there is one."""
    lacking = [name for name in PROGRAMS if not (BUILT / name).exists()]
    if not shutil.which("etcd"):
        lacking.append("etcd")
    if not lacking:
        return ""
    because = BUILT / "missing-because"
    reason = because.read_text().strip() if because.exists() else f"run {Path(__file__).with_name('build')}"
    return f"no {', '.join(lacking)}: {reason}"


class ControlPlane:
    """What tests do with it."""

    def __init__(self, namespace: Namespace, directory: Path, authority: Authority) -> None:
        self.namespace, self.directory, self.authority = namespace, directory, authority
        self.kubeconfig = self.kubeconfig_of("admin", "system:masters")

    def run(self, *command: str, stdin: str = "") -> str:
        """A command that has to succeed, inside; what it prints."""
        done = self.ask(*command, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A command that may fail."""
        inside = ("nsenter", f"--target={self.namespace.pid}", "--net", *command)
        return subprocess.run(inside, input=stdin, capture_output=True, text=True, env=self.environment)

    def is_up(self) -> bool:
        return self.ask("kubectl", "get", "--raw", "/readyz").returncode == 0

    @property
    def environment(self) -> dict[str, str]:
        tools = Path(__file__).parents[3] / ".venv" / "bin"
        return {
            "PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.directory),
            "KUBECONFIG": str(self.kubeconfig),
        }

    def kubectl(self, arguments: str, stdin: str = "") -> str:
        return self.run("kubectl", *arguments.split(), stdin=stdin)

    def apply(self, *objects: dict[str, Any]) -> None:
        body = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply -f -", json.dumps(body))

    def get(self, what: str) -> Any:
        """An object or a list, as JSON; None if there is no such object."""
        done = self.ask("kubectl", "get", *what.split(), "-o", "json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def pods(self, label: str) -> list[Any]:
        """Those that are not on their way out."""
        found = self.get(f"pods -l {label}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def only_pod(self, label: str) -> Any:
        """As soon as there is exactly one."""

        def alone() -> list[Any]:
            found = self.pods(label)
            return found if len(found) == 1 else []

        return eventually(alone, f"one pod with {label}")[0]

    def webhooks_are_trusted(self) -> bool:
        """Whether each webhook's authority is known."""
        found = self.get("mutatingwebhookconfigurations")["items"]
        return all(hook["clientConfig"].get("caBundle") for each in found for hook in each["webhooks"])

    def runs(self, pod: str, address: str) -> None:
        """Say that a pod is on the node and ready, as a kubelet does."""
        target = {"kind": "Node", "name": NODE}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
        self.kubectl(f"create --raw /api/v1/namespaces/default/pods/{pod}/binding -f -", json.dumps(binding))
        self._status(pod, {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]})
        self.has_conditions(pod, Ready="True")

    def has_conditions(self, pod: str, **conditions: str) -> None:
        """Say so, as a kubelet does."""
        each = [{"type": kind, "status": status} for kind, status in conditions.items()]
        self._status(pod, {"conditions": each})

    def _status(self, pod: str, status: dict[str, Any]) -> None:
        patch = json.dumps({"status": status})
        self.run("kubectl", "patch", "pod", pod, "--subresource=status", "-p", patch)

    def has_ended(self, pod: str) -> None:
        """Say that its containers have, with success."""
        self._status(pod, {"phase": "Succeeded"})

    def audited(self) -> Iterator[Any]:
        """What service accounts of namespace default did so far: audit events."""
        for line in (self.directory / AUDIT_LOG).read_text().splitlines():
            yield json.loads(line)

    def kubeconfig_of(self, user: str, group: str = "") -> Path:
        pair = self.authority.issue(user, group)
        path = self.directory / f"{user.replace(':', '-')}.kubeconfig"
        cluster = {
            "server": f"https://{ADDRESS}:{PORT}",
            "certificate-authority-data": b64encode(self.authority.certificate).decode(),
        }
        identity = {
            "client-certificate-data": b64encode(pair.certificate).decode(),
            "client-key-data": b64encode(pair.key).decode(),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": cluster}],
            "users": [{"name": user, "user": identity}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": user}}],
            "current-context": "real",
        }
        path.write_text(json.dumps(config))
        return path


@contextmanager
def control_plane(directory: Path) -> Iterator[ControlPlane]:
    """Runs as long as the block."""
    authority = Authority()
    with ExitStack() as stack:
        namespace = stack.enter_context(new_namespace())
        namespace.run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
        plane = ControlPlane(namespace, directory, authority)

        def start(*command: str) -> Program:
            inside = ("nsenter", f"--target={namespace.pid}", "--net", *command)
            return stack.enter_context(program(*inside))

        start("etcd", f"--data-dir={directory / 'etcd'}", "--unsafe-no-fsync")
        start(*_api_server(directory, authority))
        eventually(plane.is_up, "the API server is up", within=STARTED_S)
        start(*_controller_manager(directory, plane))
        plane.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        eventually(lambda: (plane.get("serviceaccount default") or {}).get("secrets"), "accounts have tokens")
        yield plane


def _api_server(directory: Path, authority: Authority) -> tuple[str, ...]:
    names = (ADDRESS, "127.0.0.1", "10.96.0.1", "kubernetes.default.svc")
    serving = _saved(directory / "api-server", authority.issue("kube-apiserver", names=names))
    asking = _saved(directory / "kubelet-client", authority.issue("kubelet-client", "system:masters"))
    trusted = directory / "ca.crt"
    trusted.write_bytes(authority.certificate)
    accounts = directory / "accounts.key"
    accounts.write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1())))
    audited = directory / "audit-policy.json"
    audited.write_text(json.dumps(_AUDITED))
    return (
        str(BUILT / "kube-apiserver"),
        f"--audit-policy-file={audited}",
        f"--audit-log-path={directory / AUDIT_LOG}",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={ADDRESS}",
        f"--secure-port={PORT}",
        f"--tls-cert-file={serving}.crt",
        f"--tls-private-key-file={serving}.key",
        f"--client-ca-file={trusted}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={accounts}",
        f"--service-account-signing-key-file={accounts}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--kubelet-certificate-authority={trusted}",
        f"--kubelet-client-certificate={asking}.crt",
        f"--kubelet-client-key={asking}.key",
        "--kubelet-preferred-address-types=InternalIP",
        # There is no kube-proxy: webhooks are called at their pods.
        "--enable-aggregator-routing=true",
    )


def _controller_manager(directory: Path, plane: ControlPlane) -> tuple[str, ...]:
    return (
        str(BUILT / "kube-controller-manager"),
        f"--kubeconfig={plane.kubeconfig_of('system:kube-controller-manager')}",
        f"--service-account-private-key-file={directory / 'accounts.key'}",
        f"--root-ca-file={directory / 'ca.crt'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        # Nobody says that the node is alive.
        "--controllers=*,-nodelifecycle",
    )


def _saved(path: Path, pair: SelfSigned) -> Path:
    path.with_suffix(".crt").write_bytes(pair.certificate)
    path.with_suffix(".key").write_bytes(pair.key)
    return path
