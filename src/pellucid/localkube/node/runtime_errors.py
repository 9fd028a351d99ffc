"""What the OCI runtime says when it refuses."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec


class ContainerFailed(Exception):
    """A container or a command in it could not be started; `exit_code` is what a shell would give."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def runtime_words(log: Path, action: str, code: int) -> str:
    """The last error of the runtime's log, in the words users know from container engines.

    `code` is the runtime's own exit code, below zero where a signal ended it.
    """
    said = f"the runtime was ended by signal {-code}" if code < 0 else "no reason given"
    with contextlib.suppress(OSError):
        for line in log.read_text().splitlines():
            with contextlib.suppress(msgspec.DecodeError):
                said = msgspec.json.decode(line).get("msg", said)
    return f"OCI runtime {action} failed: {said}: unknown"
