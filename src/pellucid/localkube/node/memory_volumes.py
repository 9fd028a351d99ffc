"""Volumes kept in memory: a tmpfs each, in the mount namespace of this process.

Source: Kubernetes docs, "Volumes - emptyDir".
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_MS_NOSUID_NODEV = 2 | 4
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def make_memory_volume(place: Path, size: int) -> None:
    """Mount a tmpfs of `size` bytes at most, 0 for the kernel's own limit. Raises OSError."""
    place.mkdir(parents=True, exist_ok=True)
    options = f"size={size}" if size else ""
    if _libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", _MS_NOSUID_NODEV, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(place))


def release_memory_volume(place: Path) -> None:
    """Unmount it, and what it holds is gone; harmless where nothing is mounted."""
    _libc.umount2(os.fsencode(place), _MNT_DETACH)
