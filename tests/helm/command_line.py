"""helm as a user has it: this program, in a process of its own, with files of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHARTS = Path(__file__).parent / "charts"


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Helm:
    """Runs helm commands; configuration, and whatever else they write, goes to `directory`."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "HELM_CONFIG_HOME": str(self.directory / "helm"),
            "KUBECONFIG": str(self.directory / "kubeconfig"),
            "PELLUCID_CLUSTERS_DIRECTORY": str(self.directory / "clusters"),
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "pellucid", "helm", *words]

    def __call__(self, *words: str, text: str = "", **variables: str) -> Result:
        done = subprocess.run(
            self.command(*words),
            env=self.environment | variables,
            cwd=CHARTS,
            input=text,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, text: str = "") -> str:
        """The output of a command that must succeed."""
        result = self(*words, text=text)
        assert result.code == 0, result.err
        return result.out

    def failing(self, *words: str, text: str = "") -> str:
        """What a command says that must fail with helm's exit code."""
        result = self(*words, text=text)
        assert result.code == 1, result.out
        return result.err
