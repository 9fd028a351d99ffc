"""Which cluster and namespace a command line means."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pellucid.helm.flags import parse
from pellucid.helm.kube_settings import FLAGS, cluster_access, namespace


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    """Two contexts; the current one is in the namespace `shop`."""
    contexts = [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
        {"name": "two", "context": {"cluster": "c", "user": "u"}},
    ]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump({"current-context": "one", "contexts": contexts}))
    return str(file)


@pytest.mark.parametrize(
    ("line", "variables", "expected"),
    [
        ("", {}, "shop"),
        ("-n garden", {"HELM_NAMESPACE": "house"}, "garden"),
        ("", {"HELM_NAMESPACE": "house"}, "house"),
        ("--kube-context two", {}, "default"),
        ("", {"HELM_KUBECONTEXT": "two"}, "default"),
        ("--kubeconfig /nowhere", {}, "default"),
    ],
)
def test_the_namespace(kubeconfig: str, line: str, variables: dict[str, str], expected: str) -> None:
    said, _ = parse(FLAGS, line.split())
    assert namespace(said, {"KUBECONFIG": kubeconfig} | variables) == expected


def test_of_several_kubeconfigs_the_first_that_says_something_wins(kubeconfig: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(yaml.safe_dump({"current-context": "two"}))
    said, _ = parse(FLAGS, [])
    assert namespace(said, {"KUBECONFIG": f"{tmp_path}/none:{other}:{kubeconfig}"}) == "default"
    assert namespace(said, {"KUBECONFIG": f"{kubeconfig}:{other}"}) == "shop"


def test_what_the_engine_is_told() -> None:
    said, _ = parse(FLAGS, ["--kube-context", "a", "--kube-as-group", "x", "--kube-as-group", "y"])
    access = cluster_access(said, {"HELM_KUBETOKEN": "t", "HELM_DRIVER": "memory", "KUBECONFIG": "/k"})
    assert access.settings == {
        "kubeconfig_path": "/k",
        "kube_context": "a",
        "kube_token": "t",
        "kube_as_groups": ["x", "y"],
        "burst_limit": 100,
        "storage_driver": "memory",
    }
