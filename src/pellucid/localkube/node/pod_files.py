"""What of a pod is on disk beside its volumes: its `/etc` files, termination messages and logs."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from pellucid.localkube.node.oci_config import Mount
from pellucid.localkube.node.volumes import hosts_file, resolver_file

Object = dict[str, Any]
_MOST_TERMINATION_MESSAGE = 4096
_MOST_FALLBACK_MESSAGE, _MOST_FALLBACK_LINES = 2048, 80
_ETC = ("hosts", "hostname", "resolv.conf")


class PodFiles:
    """The directory of one pod."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.volumes = directory / "volumes"

    def log_path(self, container: str, run: int) -> Path:
        """The log of a container's n-th run, from 0."""
        return self._directory / "logs" / container / f"{run}.log"

    def write_etc(self, pod: Object, hostname: str, addresses: tuple[str, ...], cluster_dns: str) -> None:
        """`/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, which all its containers share."""
        etc = self._directory / "etc"
        etc.mkdir(parents=True, exist_ok=True)
        machine = Path("/etc/resolv.conf").read_text()
        contents = (
            hosts_file(pod, addresses),
            f"{hostname}\n",
            resolver_file(pod, cluster_dns, machine),
        )
        for name, content in zip(_ETC, contents, strict=True):
            (etc / name).write_text(content)

    def own_mounts(self, container: Object) -> list[Mount]:
        """What every container is shown whether it asks or not; its termination message starts empty."""
        message = self._message(container["name"])
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_bytes(b"")
        message.chmod(0o666)
        place = container.get("terminationMessagePath") or "/dev/termination-log"
        etc = [Mount(str(self._directory / "etc" / name), f"/etc/{name}") for name in _ETC]
        return [*etc, Mount(str(message), place)]

    def termination_message(self, container: Object, code: int, run: int) -> str:
        """What a container left as its last words, or the end of its log where its policy says so."""
        message = ""
        with contextlib.suppress(OSError):
            content = self._message(container["name"]).read_bytes()
            message = content[:_MOST_TERMINATION_MESSAGE].decode(errors="replace")
        if message or not code or container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return message
        with contextlib.suppress(OSError):
            records = self.log_path(container["name"], run).read_bytes().splitlines()
            lines = [record.split(b" ", 3)[-1] for record in records[-_MOST_FALLBACK_LINES:]]
            message = b"\n".join(lines)[-_MOST_FALLBACK_MESSAGE:].decode(errors="replace")
        return message

    def remove(self) -> None:
        """All of it; volumes that are mounted must be released before."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _message(self, name: str) -> Path:
        return self._directory / "termination" / name
