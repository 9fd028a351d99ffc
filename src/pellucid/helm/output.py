"""How helm shows things: a release as text, tables, JSON and YAML.

Source: helm 3's status printer and output package; what they print, not how.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pellucid.helm.flags import Flag, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.helm.flags import Said
    from pellucid.helm.release import Hook, Release

FORMAT = Flag("output", "How to print: table, json or yaml.", default="table", short="o")
_TIME = re.compile(r"(\d+-\d+-\d+)T(\d+:\d+:\d+)(\.\d+)?(Z|[+-]\d\d:\d\d)")


def chosen_format(said: Said) -> str:
    """Raises UsageError for a format that helm does not have."""
    chosen = said.text("output")
    if chosen not in ("table", "json", "yaml"):
        raise UsageError(f'invalid argument "{chosen}" for "-o, --output" flag: invalid format type')
    return chosen


def as_data(value: Any, form: str) -> str:
    """JSON on one line, or YAML with sorted keys, as helm writes them; without the last newline."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if form == "json" else as_yaml(value)


def as_yaml(value: Any) -> str:
    """Without the last newline."""
    import yaml

    text = yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").rstrip("\n")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as helm's tables: cells padded to their column, tabs between; without the last newline.

    A cell of several lines becomes one.
    """
    rows = [[" ".join(cell.split("\n")) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "\t".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def release_text(release: Release, *, description: bool = False, full: bool = False) -> str:
    """A release after it was changed, or as `status` shows it.

    full: hooks and manifest too, as after a dry run and in `get all`.
    """
    parts = [
        f"NAME: {release.name}",
        *([f"LAST DEPLOYED: {clock(release.last_deployed)}"] if release.last_deployed else []),
        f"NAMESPACE: {release.namespace}",
        f"STATUS: {release.status}",
        f"REVISION: {release.revision}",
        *([f"DESCRIPTION: {release.description}"] if description else []),
        *_test_suite(release),
    ]
    if full:
        parts += ["HOOKS:", *(hook_text(hook) for hook in release.hooks), f"MANIFEST:\n{release.manifest}"]
    if notes := release.notes.strip():
        parts.append(f"NOTES:\n{notes}")
    return "\n".join(parts)


def hook_text(hook: Hook) -> str:
    """A hook with where it comes from."""
    return f"---\n# Source: {hook.path}\n{hook.manifest}"


def _test_suite(release: Release) -> list[str]:
    tests = [hook for hook in release.hooks if hook.is_test]
    if not tests:
        return ["TEST SUITE: None"]
    return [
        f"TEST SUITE:     {test.name}\n"
        f"Last Started:   {clock(test.started_at)}\n"
        f"Last Completed: {clock(test.completed_at)}\n"
        f"Phase:          {test.phase}"
        for test in tests
        if test.started_at
    ]


def clock(rfc3339: str) -> str:
    """A time as Go's ANSIC layout has it: `Tue Nov 24 09:45:20 2026`."""
    match = _TIME.fullmatch(rfc3339)
    if match is None:
        return rfc3339
    moment = datetime.fromisoformat(f"{match[1]}T{match[2]}")
    return f"{moment:%a %b} {moment.day:2d} {moment:%H:%M:%S %Y}"


def timestamp(rfc3339: str) -> str:
    """A time as Go prints one: `2026-11-24 09:45:20.25 +0000 UTC`."""
    match = _TIME.fullmatch(rfc3339)
    if match is None:
        return rfc3339
    offset = "+0000" if match[4] == "Z" else match[4].replace(":", "")
    return f"{match[1]} {match[2]}{match[3] or ''} {offset} {'UTC' if match[4] == 'Z' else offset}"
