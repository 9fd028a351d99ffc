"""Each right of the chart's roles is needed: a component that lacks it says so.

One right is taken away at a time, from a running mesh, and what needs it is made to happen.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.charts.chart import render
from tests.kube.cluster.mesh_on_cluster import Mesh, eventually

pytestmark = [pytest.mark.root, pytest.mark.nightly, pytest.mark.timeout(300)]

VALUES = {"server.replicas": 1, "connectInject.enabled": True, "controller.enabled": True}
INJECTOR, CONTROLLER, SERVER = "connect-injector", "controller", "server"
WITHOUT_PODS = "controller-cleanup"
"""Its role exists while the chart is uninstalled; `test_custom_resources` shows that end."""
RARE = {"patch events": "an event is told again after ten minutes"}

RESTART = "kubectl delete pod -l component={component} --now"
SECRETS = {
    INJECTOR: "consul-consul-connect-inject-webhook-cert",
    CONTROLLER: "consul-consul-controller-webhook-cert",
}
WEBHOOKS = {
    INJECTOR: "consul-consul-connect-injector-cfg",
    CONTROLLER: "consul-consul-controller-mutating-webhook-configuration",
}
FIRST = {
    "create secrets": "kubectl delete secret {secret}",
    "update secrets": """kubectl patch secret {secret} -p '{{"data": null}}'""",
    "create leases": "kubectl delete lease consul-consul-{component}",
    "patch mutatingwebhookconfigurations": "kubectl patch mutatingwebhookconfiguration {webhook} --type=json "
    """-p '[{{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}}]'""",
    "create configmaps": "kubectl delete configmap {published}",
    "patch configmaps": """kubectl patch configmap {published} -p '{{"data": {{"ca.pem": "x"}}}}'""",
}
"""What has to be so before the component starts."""
A_POD = (
    "kubectl run wanted --image=busybox --annotations=consul.hashicorp.com/connect-inject=true -- sleep 600"
)
A_RESOURCE = "kubectl delete -f unwanted.yaml --ignore-not-found; kubectl apply -f unwanted.yaml"
AFTERWARDS = {
    "get namespaces connect-injector": A_POD,
    "create events connect-injector": "kubectl apply -f lost.yaml",
    "patch ingressgateways controller": A_RESOURCE,
    "patch ingressgateways/status controller": A_RESOURCE,
    "create events controller": A_RESOURCE,
    "create tokenreviews server": "kubectl delete pod -l app=greeting --now",
}
"""What has to happen once it runs."""


class Right(msgspec.Struct, frozen=True):
    """One verb of one rule of a role."""

    kind: str
    role: str
    component: str
    rule: int
    verb: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.component}"


def rights() -> Iterator[Right]:
    for (kind, name), role in render(VALUES).objects.items():
        if kind not in ("Role", "ClusterRole") or WITHOUT_PODS in name:
            continue
        component = role["metadata"]["labels"]["component"]
        for number, rule in enumerate(role["rules"]):
            resource = rule["resources"][0]
            for verb in rule["verbs"]:
                for each in rule["resources"] if rule["apiGroups"] == [""] else [resource]:
                    yield Right(kind, name, component, number, verb, each)


RIGHTS = [right for right in rights() if f"{right.verb} {right.resource}" not in RARE]


def without(role: Any, right: Right) -> Any:
    """The role, short of that right: a rule of several resources is split, so that the others keep theirs."""
    short = copy.deepcopy(role)
    rule = short["rules"][right.rule]
    if rule["apiGroups"] == [""] and len(rule["resources"]) > 1:
        others = {**rule, "resources": [each for each in rule["resources"] if each != right.resource]}
        short["rules"].append(others)
        rule["resources"] = [right.resource]
    rule["verbs"] = [each for each in rule["verbs"] if each != right.verb]
    if not rule["verbs"]:
        short["rules"].remove(rule)
    return short


@pytest.mark.parametrize("right", RIGHTS, ids=str)
def test_a_component_without_this_right_says_what_it_may_not_do(mesh: Mesh, right: Right) -> None:
    words = {
        "component": right.component,
        "secret": SECRETS.get(right.component, ""),
        "webhook": WEBHOOKS.get(right.component, ""),
        "published": "consul-consul-server-ca",
    }
    role = mesh.get(f"{right.kind} {right.role}")
    del role["metadata"]["resourceVersion"]

    def put(value: Any) -> None:
        assert mesh.ask(f"kubectl replace -f - <<'END'\n{json.dumps(value)}\nEND").returncode == 0

    put(without(role, right))
    try:
        for command in (FIRST.get(f"{right.verb} {right.resource}"), RESTART):
            mesh.ask((command or ":").format(**words))
        if afterwards := AFTERWARDS.get(str(right)):
            eventually(lambda: is_well(mesh, right.component), "it has started")
            mesh.ask(afterwards)
        logs = f"kubectl logs -l component={right.component} --tail=-1"
        eventually(lambda: "forbidden" in mesh.ask(logs).stdout.lower(), "it is told in the log", within=20)
    finally:
        put(role)
        mesh.ask("kubectl delete pod wanted lost --now --ignore-not-found")
        mesh.ask(RESTART.format(**words))
        eventually(lambda: is_well(mesh, right.component), "it is well again")


def is_well(mesh: Mesh, component: str) -> bool:
    pods = mesh.get(f"pod -l component={component}")["items"]
    return bool(pods) and all(
        each["status"].get("containerStatuses", [{}])[0].get("ready")
        and "deletionTimestamp" not in each["metadata"]
        for each in pods
    )
