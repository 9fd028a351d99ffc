"""Commands that change releases: `install`, `upgrade`, `rollback`, `uninstall`, `test`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pellucid.helm import manifests
from pellucid.helm.call import CommandFailed
from pellucid.helm.chart_names import name_and_chart
from pellucid.helm.engine import EngineError, ReleaseNotFound, rendered_offline
from pellucid.helm.flags import UsageError
from pellucid.helm.output import as_data, chosen_format, release_text
from pellucid.helm.release import UNINSTALLED, as_json
from pellucid.helm.user_values import user_values

if TYPE_CHECKING:
    from pellucid.helm.call import Call
    from pellucid.helm.chart_sources import Chart
    from pellucid.helm.engine import Engine
    from pellucid.helm.flags import Said
    from pellucid.helm.release import Release

_WAITS = {"true": "watcher", "false": "hookOnly", "": "hookOnly"}
_DRY_RUNS = {"true": "client", "false": "none", "": "none"}
_SWITCHES = {
    "wait-for-jobs": "wait_for_jobs",
    "skip-crds": "skip_crds",
    "no-hooks": "disable_hooks",
    "disable-openapi-validation": "disable_openapi_validation",
    "skip-schema-validation": "skip_schema_validation",
    "render-subchart-notes": "sub_notes",
    "hide-notes": "hide_notes",
    "hide-secret": "hide_secret",
    "take-ownership": "take_ownership",
    "force": "force_replace",
    "force-conflicts": "force_conflicts",
    "cleanup-on-fail": "cleanup_on_fail",
}
"""Flag -> the engine's option, where both are yes or no."""


def install(call: Call) -> int:
    form = chosen_format(call.said)
    name, reference = name_and_chart(call)
    with call.chart(reference) as chart:
        release = _installed(call, name, chart, replaces=call.said.boolean("replace"))
    return _show_change(call, release, form)


def upgrade(call: Call) -> int:
    """A new revision; with --install the first one, if there is no release or it was uninstalled."""
    said, form = call.said, chosen_format(call.said)
    name, reference = call.arguments
    engine = call.engine()
    with call.chart(reference) as chart:
        if said.boolean("install") and (gone := _gone(engine, name)):
            if form == "table":
                call.output(f'Release "{name}" does not exist. Installing it now.')
            release = _installed(call, name, chart, replaces=gone == UNINSTALLED)
            return _show_change(call, release, form)
        release = _upgraded(call, engine, name, chart)
    if form == "table" and _dry_run(said) == "none":
        call.output(f'Release "{name}" has been upgraded. Happy Helming!')
    return _show_change(call, release, form)


def rollback(call: Call) -> int:
    said = call.said
    name, revision = call.arguments[0], call.arguments[1] if len(call.arguments) > 1 else "0"
    if not revision.isdecimal():
        raise CommandFailed(
            f'could not convert revision to a number: strconv.Atoi: parsing "{revision}": invalid syntax'
        )
    options = _switches(said) | {
        "version": int(revision),
        "timeout_seconds": said.whole_seconds("timeout"),
        "wait": _wait(said),
        "dry_run": _dry_run(said),
        "max_history": said.integer("history-max"),
    }
    call.engine().rollback(name, options | ({"server_side_apply": "false"} if said.boolean("force") else {}))
    call.output("Rollback was a success! Happy Helming!")
    return 0


def uninstall(call: Call) -> int:
    said, engine = call.said, call.engine()
    options = {
        "keep_history": said.boolean("keep-history"),
        "ignore_not_found": said.boolean("ignore-not-found"),
        "disable_hooks": said.boolean("no-hooks"),
        "dry_run": said.boolean("dry-run"),
        "description": said.text("description"),
        "deletion_propagation": said.text("cascade"),
        "timeout_seconds": said.whole_seconds("timeout"),
        "wait": _wait(said),
    }
    for name in call.arguments:
        if kept := engine.uninstall(name, options):
            call.output(kept)
        call.output(f'release "{name}" uninstalled')
    return 0


def test(call: Call) -> int:
    """Runs the tests and shows how they ended, passed or not."""
    said, engine = call.said, call.engine()
    (name,) = call.arguments
    included, excluded = _test_filter(said.list("filter"))
    options = {
        "timeout_seconds": said.whole_seconds("timeout"),
        "logs": said.boolean("logs"),
        "include_names": included,
        "exclude_names": excluded,
    }
    logs, failure = "", None
    try:
        logs = engine.test(name, options)
    except ReleaseNotFound:
        raise
    except EngineError as error:
        failure = error
    release = engine.stored(name)
    call.output(release_text(replace(release, notes="") if said.boolean("hide-notes") else release))
    if logs:
        call.output(logs.rstrip("\n"))
    if failure is not None:
        raise failure
    return 0


def _test_filter(filters: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Names of the tests to run and not to run."""
    for one in filters:
        if not one.startswith(("name=", "!name=")):
            raise UsageError(f"--filter {one}: write name=NAME or !name=NAME")
    return (
        [one.removeprefix("name=") for one in filters if one.startswith("name=")],
        [one.removeprefix("!name=") for one in filters if one.startswith("!name=")],
    )


def _installed(call: Call, name: str, chart: Chart, *, replaces: bool) -> Release:
    said, engine = call.said, call.engine()
    options = _change_options(said) | {
        "create_namespace": said.boolean("create-namespace"),
        "replace": replaces,
        **({"server_side_apply": False} if said.boolean("force") else {}),
    }
    values = _values(call, chart)
    if _dry_run(said) != "none":
        return replace(
            manifests.dry_run(engine, chart.path, name, values, options), description="Dry run complete"
        )
    release = engine.install(chart.path, name, values, options)
    return _whole(engine, release, said)


def _upgraded(call: Call, engine: Engine, name: str, chart: Chart) -> Release:
    said = call.said
    options = _change_options(said) | {
        "reuse_values": said.boolean("reuse-values"),
        "reset_values": said.boolean("reset-values"),
        "reset_then_reuse_values": said.boolean("reset-then-reuse-values"),
        "max_history": said.integer("history-max"),
        **({"server_side_apply": "false"} if said.boolean("force") else {}),
    }
    values = _values(call, chart)
    release = engine.upgrade(chart.path, name, values, options)
    if _dry_run(said) == "none":
        return _whole(engine, release, said)
    texts = rendered_offline(
        chart.path, values, name=name, namespace=release.namespace, revision=release.revision, is_upgrade=True
    )
    hooks = () if said.boolean("no-hooks") else tuple(manifests.hooks_of(texts))
    return replace(release, hooks=hooks, description="Dry run complete")


def _values(call: Call, chart: Chart) -> dict[str, Any]:
    """The user's values, and a word about a chart that stands in for another."""
    if chart.stand_in is not None:
        version = f", taking the values of version {chart.asked_version}" if chart.asked_version else ""
        call.tell(f"The chart is this program's own, {chart.path.name}{version}.")
    return chart.with_asked_version(user_values(call.said, call.stdin))


def _whole(engine: Engine, release: Release, said: Said) -> Release:
    """The release with its hooks and times, as it was stored."""
    stored = engine.stored(release.name, release.revision)
    return replace(stored, notes="" if said.boolean("hide-notes") else stored.notes)


def _show_change(call: Call, release: Release, form: str) -> int:
    if form == "table":
        call.output(release_text(release, full=release.description == "Dry run complete"))
    else:
        call.output(as_data(as_json(release), form))
    return 0


def _gone(engine: Engine, name: str) -> str:
    """Why there is no release to upgrade: `missing` or `uninstalled`; empty if there is one."""
    try:
        revisions = engine.history(name, most=1)
    except ReleaseNotFound:
        return "missing"
    return UNINSTALLED if revisions and revisions[-1].status == UNINSTALLED else ""


def _change_options(said: Said) -> dict[str, Any]:
    """The engine's options that an install and an upgrade have in common."""
    atomic = said.boolean("atomic") or said.boolean("rollback-on-failure")
    return _switches(said) | {
        "timeout_seconds": said.whole_seconds("timeout"),
        "wait": "watcher" if atomic and not said.given("wait") else _wait(said),
        "dry_run": _dry_run(said),
        "rollback_on_failure": atomic,
        "description": said.text("description"),
        "labels": _labels(said.list("labels")),
    }


def _switches(said: Said) -> dict[str, bool]:
    return {option: True for flag, option in _SWITCHES.items() if said.boolean(flag)}


def _wait(said: Said) -> str:
    wait = _WAITS.get(said.text("wait"), said.text("wait"))
    if wait not in ("watcher", "legacy", "hookOnly"):
        raise UsageError(f'invalid argument "{wait}" for "--wait" flag: write watcher, legacy or hookOnly')
    return wait


def _dry_run(said: Said) -> str:
    chosen = _DRY_RUNS.get(said.text("dry-run"), said.text("dry-run"))
    if chosen not in ("none", "client", "server"):
        raise UsageError(f'invalid argument "{chosen}" for "--dry-run" flag: write none, client or server')
    return chosen


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"--labels {pair}: write key=value")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
