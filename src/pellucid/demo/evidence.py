"""What the real Envoys say: counters and certificates, asked inside the workloads' own namespaces."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pellucid.dataplane.envoy_settings import DEFAULT_ADMIN_PORT

_URI_NAMES = re.compile(r'"uri": "(spiffe://[^"]+)"')


class NoEnvoy(Exception):
    """No Envoy runs under this process."""


def descendants(pid: int) -> Iterator[int]:
    """Every process below one, nearest first."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        found = [int(child) for child in children.read_text().split()]
    except OSError:
        return
    yield from found
    for child in found:
        yield from descendants(child)


def envoy_below(pid: int) -> int:
    """The Envoy among a process' descendants. Raises NoEnvoy."""
    for candidate in descendants(pid):
        try:
            program = Path(f"/proc/{candidate}/exe").readlink()
        except OSError:
            continue
        if program.name == "envoy":
            return candidate
    raise NoEnvoy(f"no Envoy runs under process {pid}")


def admin(pid: int, path: str) -> str:
    """Ask the admin interface of an Envoy, inside its network namespace."""
    url = f"http://127.0.0.1:{DEFAULT_ADMIN_PORT}{path}"
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "curl", "--silent", "--fail", "--max-time", "5", url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def counters(pid: int, pattern: str) -> dict[str, int]:
    """The counters whose names match, such as `ssl.handshake`."""
    found = {}
    for line in admin(pid, f"/stats?filter={pattern}").splitlines():
        name, _, value = line.rpartition(": ")
        if value.isdigit():
            found[name] = int(value)
    return found


def certificate_names(pid: int) -> tuple[str, ...]:
    """The SPIFFE ids in the certificates an Envoy presents."""
    return tuple(dict.fromkeys(_URI_NAMES.findall(admin(pid, "/certs"))))
