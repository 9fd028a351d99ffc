"""One command at a time works on a cluster, and is not stopped half-way through undoing what it did."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pellucid.localkube.cluster.definition import ClusterError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold a cluster's directory, making it if need be. Raises ClusterError if another command does."""
    while True:
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(directory, descriptor):
                yield
                return
        except BlockingIOError:
            raise ClusterError(f"another command is at work on the cluster {directory.name!r}") from None
        finally:
            os.close(descriptor)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A request to end becomes an exception, so that what was begun is undone, as on Ctrl-C."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Requests to end wait until this is over."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _is_still(directory: Path, descriptor: int) -> bool:
    """Whether the path leads to what was opened: whoever held it before may have deleted it."""
    try:
        there = directory.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))
