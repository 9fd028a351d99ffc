"""What the real Envoys say: counters and certificates, asked inside the workloads' own namespaces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from pellucid.dataplane.envoy_settings import DEFAULT_ADMIN_PORT


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


def presented_names(pid: int, address: str, port: int) -> tuple[str, ...]:
    """The SPIFFE ids in the certificate that a listener shows to whoever dials it, here from inside the
    network namespace of a process."""
    dial = f"import ssl; print(ssl.get_server_certificate(({address!r}, {port}), timeout=5))"
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", dial]
    pem = subprocess.run(command, check=True, capture_output=True).stdout
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return tuple(names.value.get_values_for_type(x509.UniformResourceIdentifier))


def address_in(pid: int) -> str:
    """The IPv4 address that a process' network namespace is reached at."""
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "hostname", "--all-ip-addresses"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next(address for address in shown.split() if "." in address)
