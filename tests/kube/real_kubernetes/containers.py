"""The chart's containers as processes of this machine: what its objects ask a kubelet for, and no more.

Command, environment, projected tokens, config maps and the service account are those of the pod; the image's
program is the one under test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pellucid.demo.stage import Program
from tests.agent.kubernetes.test_agent_as_pod import IN_A_POD
from tests.kube.real_kubernetes.control_plane import ADDRESS, PORT, ControlPlane
from tests.mesh.mesh import PELLUCID, eventually, program

SERVER = "consul-consul-server-api.default.svc"


@contextmanager
def container(plane: ControlPlane, pod: dict[str, Any], directory: Path) -> Iterator[Program]:
    """The pod's only container, as long as the block lasts. pod: as the API server has it."""
    directory.mkdir()
    spec = pod["spec"]
    (of_pod,) = spec["containers"]
    account = _account(plane, spec["serviceAccountName"], directory / "account")
    volumes = {each["name"]: each for each in spec["volumes"]}
    places = {
        mount["mountPath"]: _volume(plane, volumes[mount["name"]], spec["serviceAccountName"], directory)
        for mount in of_pod["volumeMounts"]
        if mount["mountPath"].startswith("/consul/")
    }
    environment = {
        "KUBERNETES_SERVICE_HOST": ADDRESS,
        "KUBERNETES_SERVICE_PORT": str(PORT),
        **{each["name"]: _value(each, pod) for each in of_pod.get("env") or ()},
    }
    words = [_said(word, places, environment) for word in of_pod["command"]]
    assert words[0] == "pellucid"
    hosts = directory / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {SERVER}\n")
    inside = ("nsenter", f"--target={plane.namespace.pid}", "--net", "unshare", "--mount", "sh", "-c")
    mounted = f"mount --bind {hosts} /etc/hosts && {IN_A_POD}"
    with program(*inside, mounted, str(account), *PELLUCID, *words[1:], environment=environment) as running:
        yield running


def _account(plane: ControlPlane, name: str, directory: Path) -> Path:
    """What the kubelet mounts for a service account."""
    directory.mkdir()
    (directory / "token").write_text(plane.kubectl(f"create token {name}").strip())
    (directory / "ca.crt").write_bytes(plane.authority.certificate)
    (directory / "namespace").write_text("default")
    return directory


def _volume(plane: ControlPlane, volume: dict[str, Any], account: str, directory: Path) -> Path:
    place = directory / str(volume["name"])
    place.mkdir()
    if "configMap" in volume:
        named = f"configmap {volume['configMap']['name']}"
        found = eventually(lambda: plane.get(named), f"there is a {named}")
        for name, text in found["data"].items():
            (place / name).write_text(text)
    for source in (volume.get("projected") or {}).get("sources", ()):
        wanted = source["serviceAccountToken"]
        token = plane.kubectl(f"create token {account} --audience={wanted['audience']}")
        (place / wanted["path"]).write_text(token.strip())
    return place


def _value(variable: dict[str, Any], pod: dict[str, Any]) -> str:
    if "value" in variable:
        return str(variable["value"])
    found = pod
    for key in variable["valueFrom"]["fieldRef"]["fieldPath"].split("."):
        found = found[key]
    return json.dumps(found).strip('"')


def _said(word: str, places: dict[str, Path], environment: dict[str, str]) -> str:
    for path, place in places.items():
        word = word.replace(path, str(place))
    return re.sub(r"\$\((\w+)\)", lambda variable: environment[variable[1]], word)
