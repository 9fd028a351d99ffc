"""What a run of the bench is to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.server import Server, running

OWN = (sys.executable, "-m", "pellucid")
"""This mesh."""


@dataclass(frozen=True)
class Plan:
    """Which program is measured, and how long."""

    program: tuple[str, ...]
    """The command that takes `agent`, `version`, `intention`, …"""
    quick: bool = False
    peer: bool = False
    """True if the program is another implementation, and only known to be Consul-compatible."""

    def say(self, text: str) -> None:
        """Tell whoever waits what is going on."""
        print(f"bench: {text}", file=sys.stderr, flush=True)

    @contextmanager
    def server(self, *words: str) -> Iterator[Server]:
        """The program's agent for as long as the block lasts, keeping nothing unless told."""
        with running(self.program, *words, peer=self.peer) as server:
            yield server
