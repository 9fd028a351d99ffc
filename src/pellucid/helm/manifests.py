"""What a chart would be in a cluster: its manifest and its hooks, without changing anything.

The engine's dry run gives the manifest, sorted as it would be applied, but not the hooks; those are picked
from the rendered templates.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.helm.release import Hook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pellucid.helm.engine import Engine
    from pellucid.helm.release import Release

HOOK = "helm.sh/hook"
_SEPARATOR = re.compile(r"(?:^|\n)---[^\S\n]*(?:\n|$)")
_SOURCE = re.compile(r"^# Source: (\S+)$", re.MULTILINE)


def dry_run(
    engine: Engine, chart: Path, name: str, values: dict[str, Any], options: Mapping[str, Any]
) -> Release:
    """The release that an install would make, with its hooks unless the options leave them out.

    options: as for an install; `dry_run` says whether the cluster is asked. Raises EngineError.
    """
    from pellucid.helm.engine import rendered_offline

    release = engine.install(chart, name, values, options)
    if options.get("disable_hooks"):
        return release
    render = engine.rendered if options["dry_run"] == "server" else rendered_offline
    texts = render(chart, values, name=name, namespace=release.namespace)
    return replace(release, hooks=tuple(hooks_of(texts)))


def hooks_of(rendered: Mapping[str, str]) -> Iterator[Hook]:
    """The documents of rendered templates that are hooks."""
    for path in sorted(rendered):
        for text in documents(rendered[path]):
            if HOOK in text and (hook := _hook(path, text)):
                yield hook


def documents(text: str) -> list[str]:
    """The YAML documents of a text, as they are written, without the empty ones."""
    return [part.strip("\n") for part in _SEPARATOR.split(text) if part.strip()]


def only(manifest: str, chart_name: str, wanted: tuple[str, ...]) -> list[str]:
    """The documents of a manifest that come from the templates wanted.

    wanted: paths within the chart, with `*` for any part of a name. Raises LookupError if one is not there.
    """
    found: list[str] = []
    for path in wanted:
        pattern = re.compile(re.escape(f"{chart_name}/{path}").replace(r"\*", "[^/]*"))
        matching = [one for one in documents(manifest) if _is_from(one, pattern)]
        if not matching:
            raise LookupError(f"could not find template {path} in chart")
        found += matching
    return found


def _is_from(document: str, pattern: re.Pattern[str]) -> bool:
    source = _SOURCE.search(document)
    return source is not None and pattern.fullmatch(source[1]) is not None


def _hook(path: str, text: str) -> Hook | None:
    import yaml

    content = yaml.safe_load(text)
    metadata = content.get("metadata") if isinstance(content, dict) else None
    events = ((metadata or {}).get("annotations") or {}).get(HOOK)
    if metadata is None or not events:
        return None
    return Hook(
        name=str(metadata.get("name", "")),
        kind=str(content.get("kind", "")),
        path=path,
        manifest=text,
        events=tuple(event.strip() for event in str(events).split(",")),
    )
