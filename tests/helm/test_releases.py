"""Releases on a cluster of this machine: from installing to uninstalling, when it works and when not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helm.command_line import CHARTS, Helm

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("runc"), reason="needs runc"),
    pytest.mark.timeout(120),
]
WAIT = ("--wait", "--timeout", "60s")
IMPATIENT = ("--wait", "--timeout", "2s")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    """helm with a cluster."""
    helm = Helm(tmp_path_factory.mktemp("helm"))

    def run(*words: str) -> None:
        command = [sys.executable, "-m", "pellucid", "cluster", *words, "-name", "helm-releases"]
        subprocess.run(command, env=helm.environment, check=True, timeout=110, capture_output=True)

    run("create")
    try:
        yield helm
    finally:
        run("delete")


@pytest.fixture
def helm(cluster: Helm) -> Iterator[Helm]:
    """helm with a cluster on which there is no release."""
    yield cluster
    for release in cluster("list", "-A", "-a", "-o", "json").json():
        cluster("uninstall", release["name"], "-n", release["namespace"], "--no-hooks", *WAIT)


def kubectl(helm: Helm, *words: str) -> str:
    program = Path(sys.executable).with_name("kubectl")
    done = subprocess.run(
        [program, *words], env=helm.environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def names(helm: Helm, kind: str, namespace: str = "default") -> set[str]:
    listed = kubectl(helm, "get", kind, "-n", namespace, "-o", "name").split()
    return {name.partition("/")[2] for name in listed}


def greeting(helm: Helm, release: str = "spring") -> str:
    return kubectl(helm, "get", "configmap", f"{release}-words", "-o", "jsonpath={.data.greeting}")


def statuses(helm: Helm, release: str = "spring") -> list[str]:
    return [revision["status"] for revision in helm("history", release, "-o", "json").json()]


def test_a_release_from_installing_to_uninstalling(helm: Helm) -> None:
    installed = helm.ok("install", "spring", "shop", *WAIT)
    assert re.fullmatch(
        r"NAME: spring\n"
        r"LAST DEPLOYED: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n"
        r"NAMESPACE: default\nSTATUS: deployed\nREVISION: 1\n"
        r"NOTES:\nhello from spring in default, revision 1\n",
        installed,
    )
    assert helm.ok("status", "spring") == installed
    ready = kubectl(helm, "get", "deployment", "spring", "-o", "jsonpath={.status.readyReplicas}")
    assert ready == "1"
    upgraded = helm.ok("upgrade", "spring", "shop", "--set", "greeting=welcome", *WAIT)
    assert upgraded.startswith('Release "spring" has been upgraded. Happy Helming!\nNAME: spring\n')
    assert greeting(helm) == "welcome"
    assert helm.ok("rollback", "spring", "1", *WAIT) == "Rollback was a success! Happy Helming!\n"
    assert greeting(helm) == "hello"
    assert statuses(helm) == ["superseded", "superseded", "deployed"]
    shown = helm.ok("history", "spring").splitlines()
    assert shown[0].split() == ["REVISION", "UPDATED", "STATUS", "CHART", "APP", "VERSION", "DESCRIPTION"]
    assert [line.rpartition("\t")[2].strip() for line in shown[1:]] == [
        "Install complete",
        "Upgrade complete",
        "Rollback to 1",
    ]
    assert helm.ok("uninstall", "spring", *WAIT) == 'release "spring" uninstalled\n'
    assert "spring" not in names(helm, "deployment")
    assert helm.failing("status", "spring") == "Error: release: not found\n"


def test_releases_are_listed(helm: Helm) -> None:
    helm.ok("install", "spring", "shop")
    helm.ok("install", "autumn", "thirty", "-n", "garden", "--create-namespace")
    heading, row = helm.ok("list").splitlines()
    columns = ["NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"]
    assert [cell.strip() for cell in heading.split("\t")] == columns
    name, namespace, revision, updated, *rest = (cell.strip() for cell in row.split("\t"))
    assert (name, namespace, revision, *rest) == ("spring", "default", "1", "deployed", "shop-0.2.0", "1.4")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \S+", updated)
    assert helm.ok("ls", "-Aq").split() == ["autumn", "spring"]
    assert helm.ok("ls", "-A", "--filter", "^a", "-q").split() == ["autumn"]
    assert [one["name"] for one in helm("list", "-n", "garden", "-o", "json").json()] == ["autumn"]
    assert helm.ok("list", "--failed", "-q") == ""


def test_what_is_stored_is_shown(helm: Helm) -> None:
    helm.ok("install", "spring", "shop", "--set", "greeting=moin", "--description", "The first.")
    assert helm.ok("get", "values", "spring") == "USER-SUPPLIED VALUES:\ngreeting: moin\n"
    computed = helm("get", "values", "spring", "-a", "-o", "json").json()
    assert (computed["greeting"], computed["colours"]) == ("moin", ["red", "green"])
    manifest = helm.ok("get", "manifest", "spring")
    assert manifest.startswith("---\n# Source: shop/templates/shop.yaml\napiVersion: v1\nkind: ConfigMap\n")
    assert "kind: Job" not in manifest
    hooks = helm.ok("get", "hooks", "spring")
    assert hooks.count("\nkind: Job\n") == 2
    assert hooks.count("\nkind: Pod\n") == 1
    assert helm.ok("get", "notes", "spring") == "NOTES:\nmoin from spring in default, revision 1\n\n"
    everything = helm.ok("get", "all", "spring")
    for part in ("USER-SUPPLIED VALUES:", "COMPUTED VALUES:", "HOOKS:", "MANIFEST:", "NOTES:"):
        assert f"\n{part}\n" in everything
    assert "DESCRIPTION: The first.\n" in helm.ok("status", "spring", "--show-desc")
    status = helm("status", "spring", "-o", "json").json()
    assert (status["version"], status["info"]["status"], status["config"]) == (
        1,
        "deployed",
        {"greeting": "moin"},
    )
    assert helm("get", "metadata", "spring", "-o", "json").json()["chart"] == "shop"
    helm.ok("upgrade", "spring", "shop", "--set", "greeting=hei")
    assert "moin" in helm.ok("get", "values", "spring", "--revision", "1")


def test_an_upgrade_keeps_or_resets_the_users_values(helm: Helm) -> None:
    installed = helm.ok("upgrade", "spring", "shop", "--install", "--set", "greeting=moin")
    assert installed.startswith('Release "spring" does not exist. Installing it now.\nNAME: spring\n')
    helm.ok("upgrade", "spring", "shop", "--reuse-values", "--set", "colours={blue}")
    assert helm("get", "values", "spring", "-o", "json").json() == {"greeting": "moin", "colours": ["blue"]}
    helm.ok("upgrade", "spring", "shop", "--reset-values")
    assert helm("get", "values", "spring", "-o", "json").json() is None


def test_hooks_run_and_go_by_their_policies(helm: Helm) -> None:
    helm.ok("install", "spring", "shop")
    jobs = names(helm, "jobs")
    assert "spring-post-install" in jobs
    assert "spring-pre-install" not in jobs
    runs = {hook["name"]: hook["last_run"]["phase"] for hook in stored_hooks(helm)}
    assert runs == {"spring-pre-install": "Succeeded", "spring-post-install": "Succeeded", "spring-test": ""}
    helm.ok("uninstall", "spring", *WAIT)
    kubectl(helm, "delete", "job", "spring-post-install")
    helm.ok("install", "spring", "shop", "--no-hooks")
    assert "spring-post-install" not in names(helm, "jobs")


def stored_hooks(helm: Helm) -> list[dict[str, Any]]:
    hooks: list[dict[str, Any]] = helm("status", "spring", "-o", "json").json()["hooks"]
    return hooks


def test_a_hook_that_fails_fails_the_installation(helm: Helm) -> None:
    complaint = helm.failing("install", "spring", "shop", "--set", "before=false", "--timeout", "30s")
    assert complaint.startswith("Error: INSTALLATION FAILED: failed pre-install: ")
    assert "Job/default/spring-pre-install" in complaint
    assert statuses(helm) == ["failed"]
    assert "spring" not in names(helm, "deployments")


def test_tests_pass_and_fail(helm: Helm) -> None:
    helm.ok("install", "spring", "shop")
    passed = helm.ok("test", "spring", "--logs", "--timeout", "30s")
    assert "\nTEST SUITE:     spring-test\n" in passed
    assert "\nPhase:          Succeeded\n" in passed
    assert "POD LOGS: spring-test\nlooked around\n" in passed
    helm.ok("upgrade", "spring", "shop", "--set", "tested=false")
    failed = helm("test", "spring", "--timeout", "30s")
    assert failed.code == 1
    assert "\nPhase:          Failed\n" in failed.out
    assert "spring-test" in failed.err


def test_thirty_objects_come_and_go(helm: Helm) -> None:
    helm.ok("install", "autumn", "thirty", "--wait-for-jobs", *WAIT)
    manifest = helm.ok("get", "manifest", "autumn")
    assert manifest.count("\nkind: ") == 30
    assert kubectl(helm, "get", "statefulset", "books", "-o", "jsonpath={.status.readyReplicas}") == "2"
    assert kubectl(helm, "get", "job", "count", "-o", "jsonpath={.status.succeeded}") == "1"
    labels = kubectl(helm, "get", "secret", "secret-7", "-o", "jsonpath={.metadata.labels}")
    assert json.loads(labels) == {"app.kubernetes.io/managed-by": "Helm"}
    helm.ok("uninstall", "autumn", *WAIT)
    kinds = "configmap,secret,service,statefulset,daemonset,job,ingress,role,rolebinding,pvc,serviceaccount"
    assert kubectl(helm, "get", kinds, "-l", "app.kubernetes.io/managed-by=Helm", "-o", "name") == ""


def test_custom_resource_definitions_come_first_and_stay(helm: Helm) -> None:
    helm.ok("install", "spring", "shop")
    assert names(helm, "widgets.example.com") == {"spring"}
    helm.ok("uninstall", "spring", *WAIT)
    assert "widgets.example.com" in names(helm, "crd")
    kubectl(helm, "delete", "crd", "widgets.example.com")
    complaint = helm.failing("install", "spring", "shop", "--skip-crds")
    assert 'no matches for kind "Widget" in version "example.com/v1"' in complaint


@pytest.mark.parametrize("wait", ["--wait", "--wait=legacy"])
def test_what_never_becomes_ready_fails_after_the_timeout(helm: Helm, wait: str) -> None:
    words = ("install", "spring", "shop", "--set", "ready=false", wait, "--timeout", "2s")
    complaint = helm.failing(*words)
    assert complaint.startswith("Error: INSTALLATION FAILED: ")
    assert "context deadline exceeded" in complaint
    assert statuses(helm) == ["failed"]
    assert helm.ok("list", "-q").split() == ["spring"]


def test_an_atomic_installation_that_fails_leaves_nothing(helm: Helm) -> None:
    words = ("install", "spring", "shop", "--set", "ready=false", "--atomic", "--timeout", "2s")
    assert "release spring failed, and has been uninstalled" in helm.failing(*words)
    assert helm.ok("list", "-a", "-q") == ""
    assert "spring-words" not in names(helm, "configmap")


def test_an_atomic_upgrade_that_fails_goes_back(helm: Helm) -> None:
    helm.ok("install", "spring", "shop", *WAIT)
    values = ("--set", "ready=false,greeting=never")
    complaint = helm.failing("upgrade", "spring", "shop", *values, "--atomic", "--timeout", "2s")
    assert complaint.startswith("Error: UPGRADE FAILED: release spring failed, and has been rolled back")
    assert statuses(helm) == ["superseded", "failed", "deployed"]
    assert greeting(helm) == "hello"


def test_a_manifest_that_the_server_refuses_is_named(helm: Helm, tmp_path: Path) -> None:
    chart = shutil.copytree(CHARTS / "thirty", tmp_path / "thirty")
    template = chart / "templates" / "bad.yaml"
    template.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndat: {a: b}\n")
    complaint = helm.failing("install", "autumn", str(chart))
    assert 'strict decoding error: unknown field "dat"' in complaint
    assert statuses(helm, "autumn") == ["failed"]
    template.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-root-ca.crt}\n")
    complaint = helm.failing("install", "winter", str(chart))
    assert "exists and cannot be imported into the current release" in complaint
    assert "winter" not in helm.ok("list", "-a", "-q")


def test_dry_runs_change_nothing(helm: Helm) -> None:
    kubectl(helm, "delete", "crd", "widgets.example.com", "--ignore-not-found")
    shown = helm.ok("install", "spring", "shop", "--dry-run")
    assert "\nSTATUS: pending-install\n" in shown
    assert "\nHOOKS:\n---\n# Source: shop/templates/hooks.yaml\n" in shown
    assert "\nMANIFEST:\n---\n# Source: shop/templates/shop.yaml\n" in shown
    assert "widgets.example.com" not in names(helm, "crd")
    helm.ok("install", "spring", "shop")
    shown = helm.ok("upgrade", "spring", "shop", "--set", "greeting=never", "--dry-run")
    assert "never" in shown
    assert "Happy Helming" not in shown
    helm.ok("rollback", "spring", "1", "--dry-run")
    helm.ok("uninstall", "spring", "--dry-run")
    assert (statuses(helm), greeting(helm)) == (["deployed"], "hello")


def test_history_is_kept_when_told_and_the_name_can_be_taken_again(helm: Helm) -> None:
    helm.ok("install", "spring", "shop")
    helm.ok("uninstall", "spring", "--keep-history", *WAIT)
    assert helm.ok("list", "-q") == ""
    assert helm.ok("list", "--uninstalled", "-q").split() == ["spring"]
    assert "cannot reuse a name that is still in use" in helm.failing("install", "spring", "shop")
    helm.ok("upgrade", "--install", "spring", "shop")
    assert helm.ok("list", "-q").split() == ["spring"]


def test_names_are_needed_checked_and_made(helm: Helm) -> None:
    needed = "Error: INSTALLATION FAILED: must either provide a name or specify --generate-name\n"
    assert helm.failing("install", "shop") == needed
    assert "invalid release name" in helm.failing("install", "SPRING", "shop")
    made = helm.ok("install", "./shop", "--generate-name", "--no-hooks")
    assert re.match(r"NAME: shop-\d+\n", made)


def test_an_unknown_release_is_said_in_helms_words(helm: Helm) -> None:
    assert helm.failing("upgrade", "spring", "shop") == (
        'Error: UPGRADE FAILED: "spring" has no deployed releases\n'
    )
    assert helm.failing("uninstall", "spring") == (
        "Error: uninstall: Release not loaded: spring: release: not found\n"
    )
    assert helm.ok("uninstall", "spring", "--ignore-not-found") == 'release "spring" uninstalled\n'
    for words in (
        ["rollback", "spring"],
        ["history", "spring"],
        ["get", "values", "spring"],
        ["test", "spring"],
    ):
        assert "release: not found" in helm.failing(*words)


def test_an_interrupt_ends_an_installation_and_marks_it_as_failed(helm: Helm) -> None:
    command = helm.command("install", "spring", "shop", "--set", "ready=false", "--wait", "--timeout", "60s")
    with subprocess.Popen(
        command, env=helm.environment, cwd=CHARTS, stderr=subprocess.PIPE, text=True
    ) as running:
        kubectl(helm, "wait", "--for=create", "deployment/spring", "--timeout=30s")
        running.send_signal(signal.SIGINT)
        _, complaint = running.communicate(timeout=60)
    assert running.returncode == 1
    assert complaint == "Error: INSTALLATION FAILED: context canceled\n"
    assert statuses(helm) == ["failed"]
