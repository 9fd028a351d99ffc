"""A release as Helm keeps it: values, and how the engine's JSON becomes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

UNINSTALLED = "uninstalled"


@dataclass(frozen=True)
class Hook:
    """A hook of a release, and its last run; times are RFC 3339, empty if it never ran."""

    name: str
    kind: str
    path: str
    manifest: str
    events: tuple[str, ...]
    started_at: str = ""
    completed_at: str = ""
    phase: str = ""

    @property
    def is_test(self) -> bool:
        return "test" in self.events


@dataclass(frozen=True)
class Release:
    """One revision of a release. Times are RFC 3339; values are what the user supplied."""

    name: str
    namespace: str
    revision: int
    status: str
    chart_name: str
    chart_version: str
    app_version: str = ""
    first_deployed: str = ""
    last_deployed: str = ""
    deleted: str = ""
    description: str = ""
    notes: str = ""
    manifest: str = ""
    values: dict[str, Any] | None = None
    hooks: tuple[Hook, ...] = field(default=())

    @property
    def chart(self) -> str:
        """Chart and version as helm's tables show them: `demo-0.1.0`."""
        return f"{self.chart_name}-{self.chart_version}"


def from_summary(summary: dict[str, Any]) -> Release:
    """What actions and lists of the engine give: no hooks, no values, no description."""
    return Release(
        name=summary["name"],
        namespace=summary["namespace"],
        revision=summary["revision"],
        status=summary["status"],
        chart_name=summary.get("chart_name", ""),
        chart_version=summary.get("chart_version", ""),
        app_version=summary.get("app_version", ""),
        last_deployed=summary.get("deployed_at", ""),
        notes=summary.get("notes", ""),
        manifest=summary.get("manifest", ""),
    )


def from_stored(stored: dict[str, Any]) -> Release:
    """The whole release, as it is stored in the cluster."""
    summary, info = stored["summary"], stored.get("info") or {}
    return replace(
        from_summary(summary),
        first_deployed=info.get("first_deployed", ""),
        last_deployed=info.get("last_deployed", ""),
        deleted=info.get("deleted", ""),
        description=info.get("description", ""),
        notes=info.get("notes", ""),
        values=stored.get("config"),
        hooks=tuple(_hook(hook) for hook in stored.get("hooks") or ()),
    )


def _hook(hook: dict[str, Any]) -> Hook:
    run = hook.get("last_run") or {}
    return Hook(
        name=hook["name"],
        kind=hook["kind"],
        path=hook["path"],
        manifest=hook["manifest"],
        events=tuple(hook.get("events") or ()),
        started_at=run.get("started_at", ""),
        completed_at=run.get("completed_at", ""),
        phase=run.get("phase", ""),
    )


def as_json(release: Release) -> dict[str, Any]:
    """The release in the shape of helm's `-o json`; of its chart there is only the metadata."""
    info = {
        "first_deployed": release.first_deployed,
        "last_deployed": release.last_deployed,
        "deleted": release.deleted,
        "description": release.description,
        "status": release.status,
        "notes": release.notes,
    }
    chart = {
        "name": release.chart_name,
        "version": release.chart_version,
        "appVersion": release.app_version,
    }
    return {
        "name": release.name,
        "info": {key: value for key, value in info.items() if value or key == "deleted"},
        "chart": {"metadata": {key: value for key, value in chart.items() if value}},
        **({"config": release.values} if release.values else {}),
        "manifest": release.manifest,
        **({"hooks": [_hook_as_json(hook) for hook in release.hooks]} if release.hooks else {}),
        "version": release.revision,
        "namespace": release.namespace,
    }


def _hook_as_json(hook: Hook) -> dict[str, Any]:
    return {
        "name": hook.name,
        "kind": hook.kind,
        "path": hook.path,
        "manifest": hook.manifest,
        "events": list(hook.events),
        "last_run": {
            "started_at": hook.started_at,
            "completed_at": hook.completed_at,
            "phase": hook.phase,
        },
    }
