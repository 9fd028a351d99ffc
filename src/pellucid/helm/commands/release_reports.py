"""Commands that tell about releases: `list`, `status`, `history`, `get`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.helm.output import (
    as_data,
    as_yaml,
    chosen_format,
    clock,
    hook_text,
    release_text,
    table,
    timestamp,
)
from pellucid.helm.release import as_json

if TYPE_CHECKING:
    from pellucid.helm.call import Call
    from pellucid.helm.release import Release

_STATES = ("deployed", "failed", "pending", "superseded", "uninstalled", "uninstalling")
_LIST_COLUMNS = ("NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION")
_HISTORY_COLUMNS = ("REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION")


def list_releases(call: Call) -> int:
    said, form = call.said, chosen_format(call.said)
    states = {state: said.boolean(state) for state in _STATES}
    if not any(states.values()):
        states |= {"deployed": True, "failed": True}
    releases = call.engine().releases(
        states
        | {
            "all": said.boolean("all"),
            "all_namespaces": said.boolean("all-namespaces"),
            "limit": said.integer("max"),
            "offset": said.integer("offset"),
            "filter": said.text("filter"),
            "selector": said.text("selector"),
            "by_date": said.boolean("date"),
            "sort_reverse": said.boolean("reverse"),
        }
    )
    if said.boolean("short"):
        names = [release.name for release in releases]
        if form != "table":
            call.output(as_data(names, form))
        elif names:
            call.output("\n".join(names))
        return 0
    rows = [_row(release) for release in releases]
    if form != "table":
        keys = [column.lower().replace(" ", "_") for column in _LIST_COLUMNS]
        call.output(as_data([dict(zip(keys, row, strict=True)) for row in rows], form))
        return 0
    shown = rows if said.boolean("no-headers") else [_LIST_COLUMNS, *rows]
    if shown:
        call.output(table(shown))
    return 0


def _row(release: Release) -> tuple[str, ...]:
    return (
        release.name,
        release.namespace,
        str(release.revision),
        timestamp(release.last_deployed),
        release.status,
        release.chart,
        release.app_version,
    )


def status(call: Call) -> int:
    form = chosen_format(call.said)
    release = _stored(call)
    if form == "table":
        call.output(release_text(release, description=call.said.boolean("show-desc")))
    else:
        call.output(as_data(as_json(release), form))
    return 0


def history(call: Call) -> int:
    """Every revision with its description, which is in the whole release only."""
    form = chosen_format(call.said)
    (name,) = call.arguments
    engine = call.engine()
    revisions = [
        engine.stored(name, one.revision) for one in engine.history(name, call.said.integer("max") or 0)
    ]
    if form == "table":
        rows = [(str(one.revision), clock(one.last_deployed), *_about(one)) for one in revisions]
        call.output(table([_HISTORY_COLUMNS, *rows]))
        return 0
    keys = [column.lower().replace(" ", "_") for column in _HISTORY_COLUMNS]
    call.output(
        as_data(
            [
                dict(zip(keys, (one.revision, one.last_deployed, *_about(one)), strict=True))
                for one in revisions
            ],
            form,
        )
    )
    return 0


def _about(release: Release) -> tuple[str, str, str, str]:
    return release.status, release.chart, release.app_version, release.description


def get_values(call: Call) -> int:
    form, every = chosen_format(call.said), call.said.boolean("all")
    values = (
        call.engine().computed_values(call.arguments[0], call.said.integer("revision"))
        if every
        else _stored(call).values or None
    )
    if form == "table":
        call.output(f"{'COMPUTED' if every else 'USER-SUPPLIED'} VALUES:\n{as_yaml(values)}")
    else:
        call.output(as_data(values, form))
    return 0


def get_manifest(call: Call) -> int:
    call.output(_stored(call).manifest)
    return 0


def get_hooks(call: Call) -> int:
    for hook in _stored(call).hooks:
        call.output(hook_text(hook))
    return 0


def get_notes(call: Call) -> int:
    if notes := _stored(call).notes:
        call.output(f"NOTES:\n{notes}")
    return 0


def get_metadata(call: Call) -> int:
    form, release = chosen_format(call.said), _stored(call)
    about = {
        "name": release.name,
        "chart": release.chart_name,
        "version": release.chart_version,
        "appVersion": release.app_version,
        "namespace": release.namespace,
        "revision": release.revision,
        "status": release.status,
        "deployedAt": release.last_deployed,
    }
    if form == "table":
        titles = {"appVersion": "APP_VERSION", "deployedAt": "DEPLOYED_AT"}
        call.output("\n".join(f"{titles.get(key, key.upper())}: {value}" for key, value in about.items()))
    else:
        call.output(as_data(about, form))
    return 0


def get_all(call: Call) -> int:
    release = _stored(call)
    computed = call.engine().computed_values(release.name, call.said.integer("revision"))
    head, marker, tail = release_text(release, full=True).partition("\nHOOKS:\n")
    values = (
        f"USER-SUPPLIED VALUES:\n{as_yaml(release.values or None)}\n\nCOMPUTED VALUES:\n{as_yaml(computed)}\n"
    )
    call.output(f"{head}\n{values}{marker}{tail}")
    return 0


def _stored(call: Call) -> Release:
    return call.engine().stored(call.arguments[0], call.said.integer("revision"))
