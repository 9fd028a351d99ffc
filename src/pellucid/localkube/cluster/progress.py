"""Progress as kind shows it: one line per step, with a mark when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """Steps written to a stream; on a terminal a running step is shown before it is done."""

    def __init__(self, stream: TextIO, *, terminal: bool) -> None:
        self._stream = stream
        self._terminal = terminal

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Tell of a step, and how it ended."""
        if self._terminal:
            self._write(f" • {text}  ...")
        try:
            yield
        except BaseException:
            self._write(f"{self._again()} ✗ {text}\n")
            raise
        self._write(f"{self._again()} ✓ {text}\n")

    def say(self, text: str) -> None:
        """Write a line."""
        self._write(text + "\n")

    def _again(self) -> str:
        return "\r\x1b[K" if self._terminal else ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
