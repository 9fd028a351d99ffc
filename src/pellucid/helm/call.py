"""One run of a command: what it was given, and where it writes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pellucid.helm.chart_sources import Chart, located_chart
from pellucid.helm.flags import Said
from pellucid.helm.kube_settings import cluster_access
from pellucid.helm.repositories import read_repositories, repositories_file

if TYPE_CHECKING:
    from pellucid.helm.engine import Engine


class CommandFailed(Exception):
    """The command ends here with exit code 1; the text follows `Error: `."""


@dataclass(frozen=True)
class Call:
    """What a command's function gets. own_charts: the directory of this program's own charts."""

    said: Said
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    own_charts: Path

    def output(self, text: str) -> None:
        """Write a line of result."""
        self.stdout.write(text + "\n")

    def tell(self, text: str) -> None:
        """Write a line that is no result."""
        self.stderr.write(text + "\n")

    def engine(self) -> Engine:
        """Helm's engine, for the cluster and namespace of this command line. Raises EngineError."""
        from pellucid.helm.engine import Engine, log_to_standard_error

        if self.said.boolean("debug"):
            log_to_standard_error()
        return Engine(cluster_access(self.said, self.environment))

    def repositories_file(self) -> Path:
        """helm's file of repositories."""
        named = self.said.text("repository-config")
        return Path(named) if named else repositories_file(self.environment)

    def chart(self, reference: str) -> AbstractContextManager[Chart]:
        """The chart that an argument means, for the duration of a block.

        Raises ChartNotFound, UsageError, RepositoriesError, EngineError.
        """
        repositories = read_repositories(self.repositories_file())
        return located_chart(reference, self.said, repositories, self.own_charts)
