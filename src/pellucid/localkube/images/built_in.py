"""The images that every cluster has, each made from programs of this machine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pellucid.localkube.images import programs
from pellucid.localkube.images.image import Bind
from pellucid.localkube.images.image_entries import ImageEntry

_PROGRAMS = "/opt/programs"
_PYTHON = "/usr/bin/python3"
_UNTIL_TOLD_TO_END = "trap 'exit 0' TERM INT; sleep infinity & wait"


class BuiltIn(msgspec.Struct, frozen=True):
    """An image, and what the machine must have for it: a program, and the Debian package that brings it."""

    entry: ImageEntry
    program: str = "/bin/sh"
    """A path, or a pattern of paths, below `/`."""
    package: str = "dash"

    def lacks(self, host: Path = Path("/")) -> bool:
        """Whether this machine does not have the program."""
        return not any(host.glob(self.program.lstrip("/")))


def _of_ours(name: str, program: str = _PYTHON, package: str = "python3") -> BuiltIn:
    """An image that runs one of `programs`."""
    script = f"{name.replace('-', '_')}.py"
    source = Path(programs.__file__).with_name(script)
    bind = Bind(str(source), f"{_PROGRAMS}/{script}")
    return BuiltIn(ImageEntry(name, (_PYTHON, f"{_PROGRAMS}/{script}"), binds=(bind,)), program, package)


BUILT_IN = (
    BuiltIn(ImageEntry("busybox", command=("sh",))),
    BuiltIn(ImageEntry("alpine", command=("/bin/sh",))),
    BuiltIn(ImageEntry("debian", command=("bash",)), "/bin/bash", "bash"),
    BuiltIn(ImageEntry("ubuntu", command=("bash",)), "/bin/bash", "bash"),
    BuiltIn(ImageEntry("bash", command=("bash",)), "/bin/bash", "bash"),
    BuiltIn(ImageEntry("curl", entrypoint=("curl",), command=("--help",)), "/usr/bin/curl", "curl"),
    BuiltIn(ImageEntry("python", command=(_PYTHON,)), _PYTHON, "python3"),
    BuiltIn(ImageEntry("pause", entrypoint=("sh", "-c", _UNTIL_TOLD_TO_END))),
    BuiltIn(
        ImageEntry("redis", command=("redis-server", "--protected-mode", "no"), working_dir="/data"),
        "/usr/bin/redis-server",
        "redis-server",
    ),
    _of_ours("postgres", "/usr/lib/postgresql/*/bin/postgres", "postgresql"),
    _of_ours("nginx", "/usr/sbin/nginx", "nginx-light"),
    _of_ours("hello-client"),
    _of_ours("hello-http"),
    _of_ours("kuma-init"),
)
