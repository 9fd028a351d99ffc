"""Is the application still there? The kernel knows; a container cannot see the pod's other processes.

The pod's containers share one network namespace: a TCP socket in it that neither this process nor Envoy holds
is the application's. A socket that no process holds any more (its connection is being closed) is nobody's.

Source: Linux Documentation/networking/proc_net_tcp.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

_INODE = 9
_NOBODYS = 0


def sockets_of_others(tables: Iterable[str], own: Collection[int]) -> set[int]:
    """The inodes in the texts of /proc/net/tcp and tcp6 that are not among our own."""
    rows = (line.split() for table in tables for line in table.splitlines()[1:])
    inodes = {int(row[_INODE]) for row in rows if len(row) > _INODE}
    return inodes - {_NOBODYS, *own}


def application_is_there(own_processes: Callable[[], Iterable[int]]) -> bool:
    """Whether anybody but these processes (by their ids) holds a TCP socket in our network namespace."""
    tables = [_text(Path(f"/proc/self/net/{name}")) for name in ("tcp", "tcp6")]
    own = {inode for process in own_processes() for inode in _held(process)}
    return bool(sockets_of_others(tables, own))


def _held(process: int) -> Iterable[int]:
    directory = f"/proc/{process}/fd"
    try:
        links = [_link(f"{directory}/{name}") for name in os.listdir(directory)]
    except OSError:
        return
    for link in links:
        if link.startswith("socket:["):
            yield int(link[len("socket:[") : -1])


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
