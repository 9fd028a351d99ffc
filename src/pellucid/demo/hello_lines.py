"""What the hello client's lines say, and how long the next one takes to come."""

from __future__ import annotations

import time
from collections.abc import Callable

from pellucid.demo.stage import Program, Stage


def says_hello(line: str) -> bool:
    """A line of the client that brings a greeting."""
    return line.endswith("says: Hello World")


def says_error(line: str) -> bool:
    """A line of the client that brings an error."""
    return "[ERR]" in line


def time_to(stage: Stage, client: Program, wanted: Callable[[str], bool], command: str) -> float:
    """Milliseconds from starting a command to the client's first wanted line. Raises DidNotHappen."""
    started = time.monotonic()
    stage.run(command)
    line = client.wait_for(wanted, after=started)
    stage.telling.output(line.text)
    return (line.at - started) * 1000
