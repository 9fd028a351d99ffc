"""Programs that run beside the bench, and the lines they print."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.server import BenchError
from pellucid.demo.stage import DidNotHappen, Program


@contextmanager
def program(
    *command: str, environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> Iterator[Program]:
    """Run a program, ended with the block."""
    process = subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = Program(process)
    try:
        yield running
    finally:
        running.stop()


def said(program: Program, key: str, value: object, *, after: float = 0.0, seconds: float = 30.0) -> Any:
    """The first JSON line after a moment in which a key has a value. Raises BenchError."""

    def matches(text: str) -> bool:
        return text.startswith("{") and json.loads(text).get(key) == value

    return json.loads(_wait(program, matches, after, seconds))


def _wait(program: Program, wanted: Callable[[str], bool], after: float, seconds: float) -> str:
    try:
        return program.wait_for(wanted, after=after, seconds=seconds).text
    except DidNotHappen as failure:
        raise BenchError(str(failure)) from failure
