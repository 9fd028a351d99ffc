"""Images of a container engine on this machine, if there is one: saved by it to an archive."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_SAVE = {"docker": ("save", "-o"), "podman": ("save", "--format=docker-archive", "-m", "-o")}


class EngineFailed(Exception):
    """There is no engine, or it has no such image; the message says what to do."""


@contextmanager
def saved_images(names: Sequence[str], environment: Mapping[str, str]) -> Iterator[Path]:
    """An archive of the images, for as long as it is needed. Raises EngineFailed."""
    path = environment.get("PATH")
    found = [engine for engine in _SAVE if shutil.which(engine, path=path)]
    if not found:
        raise EngineFailed(
            f"neither docker nor podman is in PATH to take {', '.join(names)} from; where it is, run "
            f"`docker save -o FILE {' '.join(names)}`, and load FILE here"
        )
    problems = []
    with tempfile.TemporaryDirectory(prefix="images-") as directory:
        archive = Path(directory, "images.tar")
        for engine in found:
            program = shutil.which(engine, path=path) or engine
            command = [program, *_SAVE[engine], str(archive), *names]
            done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
            if done.returncode == 0:
                yield archive
                return
            problems.append(f"{engine}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    raise EngineFailed(f"cannot save {', '.join(names)}: " + "; ".join(problems))
