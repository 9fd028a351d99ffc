"""Layers as they are carried: as they are, or packed with gzip or zstd; told apart by their first bytes."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import zstandard

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

DecompressionFailed = (gzip.BadGzipFile, zlib.error, EOFError, zstandard.ZstdError)
"""What reading a broken one raises."""


@contextmanager
def decompressed(packed: IO[bytes]) -> Iterator[IO[bytes]]:
    """A stream of what is in a file that can seek."""
    start = packed.read(4)
    packed.seek(0)
    if start.startswith(_GZIP):
        with gzip.open(packed) as opened:
            yield cast("IO[bytes]", opened)
    elif start == _ZSTD:
        reader = zstandard.ZstdDecompressor().stream_reader(packed, closefd=False, read_across_frames=True)
        with io.BufferedReader(cast("io.RawIOBase", reader)) as buffered:
            yield buffered
    else:
        yield packed
