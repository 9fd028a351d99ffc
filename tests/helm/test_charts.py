"""Commands that look at charts and make them; none needs a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helm.command_line import CHARTS, Helm


def kinds(manifest: str) -> list[str]:
    return [document["kind"] for document in yaml.safe_load_all(manifest) if document]


def test_a_chart_is_rendered_with_its_hooks(helm: Helm) -> None:
    rendered = helm.ok("template", "spring", "shop", "--namespace", "garden")
    assert rendered.startswith("---\n# Source: shop/templates/shop.yaml\n")
    assert kinds(rendered) == ["ConfigMap", "Deployment", "Widget", "Job", "Job", "Pod"]
    assert "name: spring-words" in rendered


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--no-hooks"], ["ConfigMap", "Deployment", "Widget"]),
        (["--skip-tests"], ["ConfigMap", "Deployment", "Widget", "Job", "Job"]),
        (["--no-hooks", "--include-crds"], ["CustomResourceDefinition", "ConfigMap", "Deployment", "Widget"]),
        (["-s", "templates/hooks.yaml"], ["Job", "Job", "Pod"]),
    ],
)
def test_parts_of_it_can_be_left_out(helm: Helm, words: list[str], expected: list[str]) -> None:
    assert kinds(helm.ok("template", "shop", *words)) == expected


def test_the_version_of_kubernetes_can_be_chosen(helm: Helm, tmp_path: Path) -> None:
    chart = shutil.copytree(CHARTS / "thirty", tmp_path / "thirty")
    (chart / "templates" / "version.yaml").write_text("kind: {{ .Capabilities.KubeVersion.Version }}\n")
    shown = helm.ok("template", str(chart), "--kube-version", "1.27.3", "-s", "templates/version.yaml")
    assert kinds(shown) == ["v1.27.3"]


def test_a_template_that_fails_is_named_with_its_line(helm: Helm, tmp_path: Path) -> None:
    chart = shutil.copytree(CHARTS / "thirty", tmp_path / "thirty")
    (chart / "templates" / "bad.yaml").write_text('kind: A\na: {{ required "a is needed" .Values.a }}\n')
    complaint = helm.failing("template", str(chart))
    assert complaint == "Error: execution error at (thirty/templates/bad.yaml:2:6): a is needed\n"
    assert helm.failing("template", "shop", "-s", "none.yaml").startswith(
        "Error: could not find template none"
    )


def test_parts_of_a_chart_are_shown(helm: Helm) -> None:
    assert yaml.safe_load(helm.ok("show", "chart", "shop"))["version"] == "0.2.0"
    assert yaml.safe_load(helm.ok("show", "values", "./shop/"))["greeting"] == "hello"
    assert helm.ok("show", "readme", "shop") == "# Shop\n"
    assert kinds(helm.ok("show", "crds", "shop")) == ["CustomResourceDefinition"]


def test_lint_says_what_it_finds(helm: Helm, tmp_path: Path) -> None:
    good = helm("lint", "shop", "thirty")
    assert (good.code, good.err) == (0, "")
    assert good.out == (
        "==> Linting shop\n[INFO] Chart.yaml: icon is recommended\n\n"
        "==> Linting thirty\n[INFO] Chart.yaml: icon is recommended\n\n"
        "2 chart(s) linted, 0 chart(s) failed\n"
    )
    chart = shutil.copytree(CHARTS / "thirty", tmp_path / "thirty")
    (chart / "templates" / "bad.yaml").write_text("{{ .Values.a.b }}\n")
    bad = helm("lint", str(chart))
    assert (bad.code, bad.err) == (1, "Error: 1 chart(s) linted, 1 chart(s) failed\n")
    assert "[ERROR] templates/: " in bad.out


def test_a_chart_is_created_and_packaged(helm: Helm, tmp_path: Path) -> None:
    assert helm.ok("create", str(tmp_path / "mine")) == f"Creating {tmp_path}/mine\n"
    said = helm.ok("package", str(tmp_path / "mine"), "-d", str(tmp_path), "--version", "3.2.1")
    archive = tmp_path / "mine-3.2.1.tgz"
    assert said == f"Successfully packaged chart and saved it to: {archive}\n"
    assert "version: 3.2.1" in helm.ok("show", "chart", str(archive))


def test_the_version_is_helms(helm: Helm) -> None:
    short = helm.ok("version", "--short")
    assert short.startswith("v4.")
    assert helm.ok("version") == f'version.BuildInfo{{Version:"{short.strip()}"}}\n'
    assert helm.ok("version", "--template", "{{.Version}}") == short


def test_through_a_link_named_helm_the_commands_are_helms(helm: Helm, tmp_path: Path) -> None:
    link = tmp_path / "helm-link" / "helm"
    link.parent.mkdir()
    link.symlink_to(Path(sys.executable).with_name("pellucid"))
    done = subprocess.run([link, "version", "--short"], capture_output=True, text=True, check=True)
    assert done.stdout == helm.ok("version", "--short")


def test_consuls_chart_is_rendered_from_ours_with_the_version_that_was_asked_for(
    helm: Helm, tmp_path: Path
) -> None:
    chart = shutil.copytree(CHARTS / "thirty", tmp_path / "pellucid")
    (chart / "templates" / "thirty.yaml").write_text("version: {{ .Values.global.chartVersion }}\n")
    words = ("template", "consul", "hashicorp/consul", "--version", "0.31.0")
    rendered = helm(*words, PELLUCID_CHARTS_DIRECTORY=str(tmp_path))
    assert yaml.safe_load(rendered.out) == {"version": "0.31.0"}
    rendered = helm(*words, "--set", "global.chartVersion=0.32.1", PELLUCID_CHARTS_DIRECTORY=str(tmp_path))
    assert yaml.safe_load(rendered.out) == {"version": "0.32.1"}


def test_consuls_chart_without_one_of_ours_is_a_clear_error(helm: Helm, tmp_path: Path) -> None:
    result = helm(
        "install",
        "consul",
        "hashicorp/consul",
        "--version",
        "0.31.0",
        PELLUCID_CHARTS_DIRECTORY=str(tmp_path),
    )
    place = tmp_path / "pellucid"
    assert result.code == 1
    assert result.err == (
        "Error: INSTALLATION FAILED: hashicorp/consul is this program's own chart, but it is not at "
        f"{place}\n"
    )


def test_a_cluster_that_is_not_there_is_a_clear_error(helm: Helm) -> None:
    for words in (["list"], ["install", "spring", "shop"], ["status", "spring"], ["uninstall", "spring"]):
        result = helm(*words, "--kube-apiserver", "https://127.0.0.1:1", KUBECONFIG="")
        assert result.code == 1
        assert "kubernetes cluster unreachable" in result.err
        assert "connection refused" in result.err
    assert "stat /nowhere: no such file" in helm.failing("list", "--kubeconfig", "/nowhere")


def test_nothing_of_helm_is_loaded_before_a_command_needs_it() -> None:
    program = (
        "import sys; from pellucid.cli import main; main(['helm', '--help']); "
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=True
    )
    assert not {"helm_python", "yaml", "pellucid.helm.engine"} & set(done.stderr.split())
