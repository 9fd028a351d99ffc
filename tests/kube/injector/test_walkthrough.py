"""The transparent-proxy walkthrough's three patched pods, before and after.

Each golden file is what the API server stores; `--refresh-golden` rewrites them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pellucid.kube.annotations import ORIGINAL_POD
from tests.kube.injector.pods import UNDIRECTED, Pod, container, inject, kuma_init

GOLDEN = Path(__file__).parent / "golden"


def patched(application: str, ports: list[dict[str, object]], *init_containers: dict[str, object]) -> Pod:
    """A pod of one of the walkthrough's deployments, after a patch of its template."""
    host_ip = {"name": "HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
    user = {"runAsNonRoot": True, "runAsUser": 101, "runAsGroup": 101}
    one = container(application, image=f"{application}:1", securityContext=user, env=[host_ip])
    spec: dict[str, object] = {"containers": [one | {"ports": ports} if ports else without_ports(one)]}
    if init_containers:
        spec["initContainers"] = list(init_containers)
    return {
        "metadata": {
            "generateName": f"{application}-7d4b9-",
            "labels": {"app": application},
            "annotations": {"consul.hashicorp.com/connect-inject": "true"},
        },
        "spec": spec,
    }


def without_ports(one: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in one.items() if name != "ports"}


HTTP: list[dict[str, object]] = [{"name": "http", "containerPort": 8080}]
PODS = {
    "server-with-sidecar": patched("hello", HTTP),
    "client-redirected": patched("hello-client", [], kuma_init()),
    "server-redirected": patched("hello", HTTP, kuma_init()),
}


@pytest.mark.parametrize("name", PODS)
@pytest.mark.parametrize("native", [True, False], ids=["native", "classic"])
def test_the_pod_is_what_the_golden_file_shows(name: str, native: bool, refresh_golden: bool) -> None:
    changed = inject(PODS[name], native_sidecars=native, hooks_may_sleep=native, **UNDIRECTED)
    original = json.loads(changed["metadata"]["annotations"].pop(ORIGINAL_POD))
    assert original["metadata"] == PODS[name]["metadata"]
    shown = yaml.safe_dump(json.loads(json.dumps(changed)), sort_keys=False)
    file = GOLDEN / f"{name}.{'native' if native else 'classic'}.yaml"
    if refresh_golden:
        file.write_text(shown)
    assert shown == file.read_text()
