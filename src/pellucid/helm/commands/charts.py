"""Commands that look at charts and make them: `template`, `lint`, `show`, `package`, `create`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.helm import engine, manifests
from pellucid.helm.call import CommandFailed
from pellucid.helm.chart_names import name_and_chart
from pellucid.helm.output import hook_text
from pellucid.helm.user_values import user_values

if TYPE_CHECKING:
    from typing import Any

    from pellucid.helm.call import Call

_SEVERITIES = {0: "UNKNOWN", 1: "INFO", 2: "WARNING", 3: "ERROR"}


def template(call: Call) -> int:
    """Manifest and hooks as they would be applied; the cluster is asked only if that is wanted."""
    said = call.said
    name, reference = name_and_chart(call, default="release-name")
    with_cluster = said.boolean("validate") or said.text("dry-run") == "server"
    options: dict[str, Any] = {
        "dry_run": "server" if with_cluster else "client",
        "disable_hooks": said.boolean("no-hooks"),
        "skip_schema_validation": said.boolean("skip-schema-validation"),
        "api_versions": list(said.list("api-versions")),
        "kube_version": said.text("kube-version"),
        "replace": True,
    }
    with call.chart(reference) as chart:
        values = chart.with_asked_version(user_values(said, call.stdin))
        release = manifests.dry_run(call.engine(), chart.path, name, values, options)
        crds = engine.chart_crds(chart.path) if said.boolean("include-crds") else ()
    if release.hooks and (said.given("kube-version") or said.given("api-versions")):
        call.tell("WARNING: hooks are rendered without --kube-version and --api-versions")
    hooks = [hook for hook in release.hooks if not (hook.is_test and said.boolean("skip-tests"))]
    parts = [
        *(f"---\n# Source: {crd.path}\n{crd.text.strip()}" for crd in crds),
        *(f"---\n{document}" for document in manifests.documents(release.manifest)),
        *(hook_text(hook) for hook in hooks),
    ]
    if wanted := said.list("show-only"):
        try:
            parts = [f"---\n{one}" for one in manifests.only("\n".join(parts), release.chart_name, wanted)]
        except LookupError as error:
            raise CommandFailed(str(error.args[0])) from None
    for part in parts:
        call.output(part)
    return 0


def lint(call: Call) -> int:
    """Findings per chart; exit code 1 if there is an error, or a warning that counts as one."""
    said = call.said
    values, charts = user_values(said, call.stdin), call.arguments or (".",)
    failed = 0
    for chart in charts:
        report = engine.lint(
            Path(chart),
            values,
            strict=said.boolean("strict"),
            with_subcharts=said.boolean("with-subcharts"),
            skip_schema_validation=said.boolean("skip-schema-validation"),
            kube_version=said.text("kube-version") or None,
        )
        least = 2 if said.boolean("quiet") else 0
        findings = [one for one in report["messages"] if one["severity"] >= least]
        if findings or report["errors"] or not said.boolean("quiet"):
            call.output(f"==> Linting {chart}")
        for finding in findings:
            call.output(f"[{_SEVERITIES[finding['severity']]}] {finding['path']}: {finding['error']}")
        if not report["messages"]:
            for error in report["errors"]:
                call.output(f"Error {error}")
        failed += bool(report["errors"])
        call.output("")
    summary = f"{len(charts)} chart(s) linted, {failed} chart(s) failed"
    if failed:
        raise CommandFailed(summary)
    if not said.boolean("quiet"):
        call.output(summary)
    return 0


def show_all(call: Call) -> int:
    return _show(call, "all")


def show_chart(call: Call) -> int:
    return _show(call, "chart")


def show_crds(call: Call) -> int:
    return _show(call, "crds")


def show_readme(call: Call) -> int:
    return _show(call, "readme")


def show_values(call: Call) -> int:
    return _show(call, "values")


def _show(call: Call, part: str) -> int:
    with call.chart(call.arguments[0]) as chart:
        call.output(engine.shown(chart.path, part).rstrip("\n"))
    return 0


def package(call: Call) -> int:
    for chart in call.arguments:
        archive = engine.packaged(
            Path(chart),
            destination=call.said.text("destination"),
            version=call.said.text("version") or None,
            app_version=call.said.text("app-version") or None,
        )
        call.output(f"Successfully packaged chart and saved it to: {Path(archive).absolute()}")
    return 0


def create(call: Call) -> int:
    path = Path(call.arguments[0])
    call.output(f"Creating {call.arguments[0]}")
    engine.created(path.name, path.parent)
    return 0
