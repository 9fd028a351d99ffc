"""From the CHART on a command line to a chart on disk.

A path, an archive, `oci://...`, `name` with `--repo`, or `repository/name`. A few `repository/name`s are
*stand-ins*: charts of other people's in whose place this program has one of its own.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.helm.flags import Flag, UsageError

if TYPE_CHECKING:
    from pellucid.helm.flags import Said
    from pellucid.helm.repositories import Repository

FLAGS = (
    Flag("version", "The chart's version; the newest if absent."),
    Flag("repo", "URL of the repository that has the chart."),
)


@dataclass(frozen=True)
class StandIn:
    """A chart of ours in place of another's.

    repository: URL of the repository that has the other. chart: the name of ours in the charts directory.
    lowest, below: versions of the other whose values ours takes; `below` itself is not among them.
    version_value: where ours is told which version was asked for.
    """

    repository: str
    chart: str
    lowest: tuple[int, int, int]
    below: tuple[int, int, int]
    version_value: tuple[str, str]

    def takes(self, version: tuple[int, int, int]) -> bool:
        return self.lowest <= version < self.below


STAND_INS: Mapping[str, StandIn] = {
    "hashicorp/consul": StandIn(
        repository="https://helm.releases.hashicorp.com",
        chart="pellucid",
        lowest=(0, 31, 0),
        below=(1, 0, 0),
        version_value=("global", "chartVersion"),
    ),
}


class ChartNotFound(Exception):
    """There is no such chart where it was looked for."""


@dataclass(frozen=True)
class Chart:
    """A chart on disk. stand_in, asked_version: the chart and version in whose place it is, if it is."""

    path: Path
    stand_in: StandIn | None = field(default=None)
    asked_version: str = ""

    def with_asked_version(self, values: dict[str, Any]) -> dict[str, Any]:
        """The user's values, and which version was asked for unless they say so themselves."""
        if self.stand_in is None or not self.asked_version:
            return values
        group, name = self.stand_in.version_value
        held = values.get(group)
        if held is not None and not isinstance(held, dict):
            return values
        return values | {group: {name: self.asked_version} | (held or {})}


@contextmanager
def located_chart(
    reference: str, said: Said, repositories: tuple[Repository, ...], own_charts: Path
) -> Iterator[Chart]:
    """The chart that a command line means; a downloaded one is there for the duration of the block.

    own_charts: the directory of the charts that stand in for others.
    Raises ChartNotFound, UsageError, EngineError.
    """
    version, url = said.text("version"), said.text("repo")
    if Path(reference).exists() and not url:
        yield Chart(Path(reference))
        return
    if reference.startswith((".", "/")):
        raise ChartNotFound(f'path "{reference}" not found')
    known = {repository.name: repository.url for repository in repositories}
    name, _, chart = reference.partition("/")
    if not url and (stand_in := _stand_in(reference, known)):
        yield _own(reference, stand_in, version, own_charts)
        return
    if not url and not reference.startswith("oci://"):
        if not chart:
            raise ChartNotFound(
                f"non-absolute URLs should be in form of repo_name/path_to_chart, got: {name}"
            )
        if name not in known:
            raise ChartNotFound(f"repo {name} not found")
        reference, url = chart, known[name]
    with tempfile.TemporaryDirectory(prefix="helm-chart-") as scratch:
        from pellucid.helm import engine

        yield Chart(engine.pulled(reference, url, version, Path(scratch)))


def is_stand_in_repository(repository: Repository) -> bool:
    """True if charts of ours stand in for this repository's."""
    return any(_same(stand_in.repository, repository.url) for stand_in in STAND_INS.values())


def _stand_in(reference: str, known: Mapping[str, str]) -> StandIn | None:
    """A repository that the user gave the same name but another URL is the user's."""
    stand_in = STAND_INS.get(reference)
    if stand_in is None:
        return None
    recorded = known.get(reference.partition("/")[0], stand_in.repository)
    return stand_in if _same(recorded, stand_in.repository) else None


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _own(reference: str, stand_in: StandIn, version: str, own_charts: Path) -> Chart:
    if version and not stand_in.takes(_exact(version, reference)):
        lowest, below = (".".join(map(str, one)) for one in (stand_in.lowest, stand_in.below))
        raise ChartNotFound(
            f"{reference} is this program's own chart, which takes the values of versions from {lowest} to "
            f"below {below}: --version {version} is not among them"
        )
    path = own_charts / stand_in.chart
    if not (path / "Chart.yaml").is_file():
        raise ChartNotFound(f"{reference} is this program's own chart, but it is not at {path}")
    return Chart(path, stand_in, version.removeprefix("v"))


def _exact(version: str, reference: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?", version)
    if match is None:
        raise UsageError(f"--version {version}: {reference} needs an exact one, such as 0.31.0")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch
