"""Each right of the chart's roles is used: Kubernetes' own audit log says who did what.

Everything that needs a right is made to happen, from the installation to the removal; then what each account
did is held against what its roles allow. That nobody did more is Kubernetes' own affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pellucid.demo.stage import Program
from tests.kube.real_kubernetes.conftest import Mesh
from tests.kube.real_kubernetes.containers import container
from tests.kube.real_kubernetes.control_plane import ControlPlane
from tests.kube.real_kubernetes.objects import POD_ADDRESS, PREFIX, deployment, service
from tests.mesh.mesh import eventually, program

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

RARE = {"patch events"}
"""What goes on is told again after ten minutes, as `test_object_events` shows with a clock of its own."""
WEBHOOK_SECRETS = ("consul-consul-connect-inject-webhook-cert", "consul-consul-controller-webhook-cert")
AUTHORITY = "consul-consul-server-ca"
RESOURCES: dict[str, dict[str, Any]] = {
    "ProxyDefaults": {"config": {"protocol": "http"}},
    "Mesh": {},
    "ServiceDefaults": {"protocol": "http"},
    "ServiceIntentions": {
        "destination": {"name": "hello"},
        "sources": [{"name": "client", "action": "deny"}],
    },
    "ServiceResolver": {"connectTimeout": "5s"},
    "ServiceRouter": {
        "routes": [{"match": {"http": {"pathPrefix": "/"}}, "destination": {"service": "hello"}}]
    },
    "ServiceSplitter": {"splits": [{"weight": 100, "service": "hello"}]},
    "IngressGateway": {"listeners": [{"port": 8080, "protocol": "http", "services": [{"name": "hello"}]}]},
    "TerminatingGateway": {"services": [{"name": "hello"}]},
}
"""One of each custom kind, by its specification."""
NAMES = {
    "ProxyDefaults": "global",
    "Mesh": "mesh",
    "IngressGateway": "ingress",
    "TerminatingGateway": "egress",
}
LET_GO_S = 60.0
"""Without a controller the removal waits half a minute for one."""

Right = tuple[str, str, str]
"""Who, how, and what: an account, a verb, a resource with its group."""


def granted(plane: ControlPlane) -> set[Right]:
    """What the chart's roles allow its accounts at the moment."""
    found = plane.get("roles,clusterroles,rolebindings,clusterrolebindings -l app=consul")["items"]
    rules = {(each["kind"], each["metadata"]["name"]): each["rules"] for each in found if "rules" in each}
    return {
        (subject["name"], verb, f"{resource}.{group}".rstrip("."))
        for binding in found
        for subject in binding.get("subjects", ())
        for rule in rules[binding["roleRef"]["kind"], binding["roleRef"]["name"]]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def used(plane: ControlPlane) -> set[Right]:
    """What the accounts did, and were allowed."""
    return {right for event in plane.audited() if (right := _right(event))}


def _right(event: Any) -> Right | None:
    what = event.get("objectRef") or {}
    if "resource" not in what or event["responseStatus"].get("code") == 403:
        return None
    resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
    account = event["user"]["username"].rpartition(":")[2]
    return account, event["verb"], f"{resource}.{what.get('apiGroup', '')}".rstrip(".")


def resource(kind: str, name: str) -> dict[str, Any]:
    metadata, version = {"name": name}, f"{PREFIX}v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": RESOURCES[kind]}


def pods_come_and_log_in(mesh: Mesh) -> None:
    """One of them cannot be registered: it belongs to a Service that is not there."""
    plane = mesh.plane
    plane.apply(service("hello"), deployment("hello", {"connect-inject": "true"}))
    plane.apply(deployment("lost", {"connect-inject": "true", "kubernetes-service": "nowhere"}))
    for name in ("hello", "lost"):
        plane.runs(plane.only_pod(f"app={name}")["metadata"]["name"], POD_ADDRESS)
    pod = plane.only_pod("app=hello")["metadata"]["name"]
    eventually(lambda: mesh.ask("/v1/catalog/service/hello"), "it is registered")
    bound = f"--bound-object-kind=Pod --bound-object-name={pod} --audience=consul-consul"
    assert mesh.login(plane.kubectl(f"create token default {bound}").strip())[0] == 200
    eventually(
        lambda: plane.get("events --field-selector=reason=NoSuchService")["items"], "the other is told"
    )


def custom_resources_come(plane: ControlPlane) -> None:
    """The first is refused by the server: its service does not speak HTTP as long as nobody says so."""
    plane.apply(resource("ServiceRouter", "refused"))
    of_refused = "events --field-selector=involvedObject.name=refused"
    eventually(lambda: plane.get(of_refused)["items"], "its author is told")
    for kind in RESOURCES:
        name = NAMES.get(kind, "hello")
        plane.apply(resource(kind, name))
        plane.kubectl(f"wait --for=condition=Synced {kind.lower()}/{name} --timeout=30s")


def secrets_are_spoilt(plane: ControlPlane) -> None:
    for name in WEBHOOK_SECRETS:
        plane.run("kubectl", "patch", "secret", name, "-p", '{"data": null}')
    eventually(
        lambda: all(plane.get(f"secret {name}").get("data") for name in WEBHOOK_SECRETS),
        "they are made again",
    )


def another_server_comes(mesh: Mesh, directory: Path, running: ExitStack) -> None:
    """It has lost its volume, and so has another authority than the one published."""
    plane = mesh.plane
    before = plane.get(f"configmap {AUTHORITY}")["data"]
    mesh.containers["server"].stop()
    pod = plane.only_pod("component=server")
    running.enter_context(container(plane, pod, directory / "another-server"))
    eventually(lambda: plane.get(f"configmap {AUTHORITY}")["data"] != before, "it publishes its authority")


def the_mesh_is_removed(plane: ControlPlane, directory: Path, controller: Program) -> set[Right]:
    """Without a controller, which would let go of the custom resources. Returns what the removal may do."""
    controller.stop()
    inside = ("nsenter", f"--target={plane.namespace.pid}", "--net")
    tools = plane.environment
    with program(*inside, "pellucid", "helm", "uninstall", "consul", environment=tools) as removal:
        pod = plane.only_pod("component=controller-cleanup")
        allowed = granted(plane)
        plane.runs(pod["metadata"]["name"], POD_ADDRESS)
        with container(plane, pod, directory / "cleanup") as cleanup:
            assert cleanup.process.wait(LET_GO_S) == 0
        plane.has_ended(pod["metadata"]["name"])
        assert removal.process.wait(LET_GO_S) == 0
    return allowed


def test_accounts_may_do_what_they_do_and_nothing_else(mesh: Mesh, tmp_path: Path) -> None:
    plane = mesh.plane
    pods_come_and_log_in(mesh)
    custom_resources_come(plane)
    secrets_are_spoilt(plane)
    with ExitStack() as running:
        another_server_comes(mesh, tmp_path, running)
        allowed = the_mesh_is_removed(plane, tmp_path, mesh.containers["controller"])
        mesh.containers["connect-injector"].stop()
    assert "\n".join(_told(allowed - used(plane))) == ""


def _told(rights: Iterable[Right]) -> Iterator[str]:
    for account, verb, resource in sorted(rights):
        if f"{verb} {resource}" not in RARE:
            yield f"{account} never needs to {verb} {resource}"
