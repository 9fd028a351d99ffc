"""A container's output on disk, a line per record: `TIME stdout|stderr F|P TEXT`.

Source: the Kubernetes container runtime interface's logging format.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

_LONGEST_RECORD = 16 * 1024
_ROTATED_AT = 10 * 1024 * 1024


class LogOptions(msgspec.Struct, frozen=True):
    """What of a log is wanted; see the `pods/log` query parameters. `since` is RFC 3339 in UTC."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None


def rfc3339_nano(moment: datetime) -> str:
    """In UTC, with nine digits of the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


class LogWriter:
    """Splits a container's streams into records. Keeps one older file of 10 MiB beside the current."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._partial = {"stdout": b"", "stderr": b""}
        self._changed = asyncio.Event()
        self.closed = False

    def write(self, stream: str, content: bytes) -> None:
        """Content of `stdout` or `stderr`, cut anywhere."""
        stamp = rfc3339_nano(self._now()).encode()
        *lines, rest = (self._partial[stream] + content).split(b"\n")
        records = [b"%s %s F %s\n" % (stamp, stream.encode(), line) for line in lines]
        while len(rest) >= _LONGEST_RECORD:
            records.append(b"%s %s P %s\n" % (stamp, stream.encode(), rest[:_LONGEST_RECORD]))
            rest = rest[_LONGEST_RECORD:]
        self._partial[stream] = rest
        if records:
            self._append(b"".join(records))

    def close(self) -> None:
        """Write what has no line's end, and end whoever follows."""
        if self.closed:
            return
        stamp = rfc3339_nano(self._now()).encode()
        for stream, rest in self._partial.items():
            if rest:
                self._append(b"%s %s P %s\n" % (stamp, stream.encode(), rest))
        self.closed = True
        self._file.close()
        self._wake()

    @property
    def next_change(self) -> asyncio.Event:
        """Set when something more is written, or the log is closed."""
        return self._changed

    def _append(self, records: bytes) -> None:
        if self._file.tell() > _ROTATED_AT:
            self._file.close()
            self._path.replace(self._path.with_suffix(".log.1"))
            self._file = self._path.open("ab", buffering=0)
        self._file.write(records)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def parse_record(record: bytes) -> tuple[datetime, bytes, bytes]:
    """Time, its text, and the content with its line's end if it has one."""
    stamp, _, rest = record.partition(b" ")
    _, _, rest = rest.partition(b" ")
    flag, _, content = rest.partition(b" ")
    moment = datetime.strptime(stamp[:26].decode(), "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
    return moment, stamp, content + (b"\n" if flag == b"F" else b"")


async def read_log(path: Path, writer: LogWriter | None, options: LogOptions) -> AsyncIterator[bytes]:
    """The records wanted, and with `follow` those to come, until the container ends."""
    remaining = options.limit_bytes
    async for content in _contents(path, writer, options):
        piece = content if remaining is None else content[:remaining]
        if piece:
            yield piece
        if remaining is not None:
            remaining -= len(piece)
            if remaining <= 0:
                return


async def _contents(path: Path, writer: LogWriter | None, options: LogOptions) -> AsyncIterator[bytes]:
    file = path.open("rb")
    try:
        written = _render_all(file, options)
        for content in written if options.tail_lines is None else _last(written, options.tail_lines):
            yield content
        while options.follow and writer is not None:
            change, ended = writer.next_change, writer.closed
            appended = _render_all(file, options)
            for content in appended:
                yield content
            if appended:
                continue
            if os.stat(path).st_ino != os.fstat(file.fileno()).st_ino:
                file.close()
                file = path.open("rb")
                continue
            if ended:
                return
            await change.wait()
    finally:
        file.close()


def _render_all(file: BinaryIO, options: LogOptions) -> list[bytes]:
    return [rendered for line in file if (rendered := _render(line, options)) is not None]


def _last(items: list[bytes], count: int) -> list[bytes]:
    return items[max(0, len(items) - count) :]


def _render(line: bytes, options: LogOptions) -> bytes | None:
    moment, stamp, content = parse_record(line.rstrip(b"\n"))
    if options.since is not None and moment < options.since:
        return None
    return stamp + b" " + content if options.timestamps else content
