"""How the demo speaks: commands as a user would type them, output as it came, and what was seen."""

from __future__ import annotations

import sys

BOLD, DIM, GREEN, RED, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class Telling:
    """Prints; in colour only on a terminal."""

    def __init__(self, *, pause: bool = False) -> None:
        self._colour = sys.stdout.isatty()
        self._pause = pause
        self.failed: list[str] = []

    def step(self, text: str) -> None:
        """A new step begins."""
        print(f"\n{self._in(BOLD, text)}", flush=True)

    def text(self, text: str) -> None:
        """What a reader should know before the next command."""
        print(f"  {text}", flush=True)

    def command(self, command: str) -> None:
        """A command that is run now; waits for Enter first where a person walks through by hand."""
        print(self._in(BOLD, "  $ ") + command, end="" if self._pause else "\n", flush=True)
        if self._pause:
            sys.stdin.readline()

    def output(self, text: str) -> None:
        """What a program printed."""
        for line in text.rstrip().splitlines():
            print(self._in(DIM, f"    {line}"), flush=True)

    def saw(self, fact: str, *, true: bool = True) -> None:
        """What was checked, and whether it held. A failure is remembered."""
        mark = self._in(GREEN, "  ok  ") if true else self._in(RED, "  NOT ")
        print(f"{mark}{fact}", flush=True)
        if not true:
            self.failed.append(fact)

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self._colour else text
