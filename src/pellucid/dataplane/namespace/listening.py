"""Which TCP ports a namespace listens at, read from the kernel instead of by knocking.

Source: Linux Documentation/networking/proc_net_tcp.
"""

from __future__ import annotations

from pathlib import Path

_LISTEN = "0A"


def listening_ports(table: str) -> set[int]:
    """The ports in state LISTEN in the text of /proc/net/tcp or tcp6."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == _LISTEN}


def is_listening(pid: int, port: int) -> bool:
    """Whether something listens at the port in the network namespace of that process."""
    return any(port in listening_ports(_table(pid, name)) for name in ("tcp", "tcp6"))


def _table(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/net/{name}").read_text()
    except OSError:
        return ""
