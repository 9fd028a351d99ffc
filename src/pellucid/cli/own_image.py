"""This very program as an image for clusters on this machine: what runs here runs in their pods.

Pods get this program's Python, its packages and its source, at the same paths and read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pellucid.localkube.images.image_entries import ImageEntry

NAME = "pellucid/pellucid"
_LINKS = "/opt/pellucid/bin"
_IN_EVERY_IMAGE = "/usr"


def own_image(package: Path, roots: Sequence[Path], scripts: Path) -> ImageEntry:
    """An image whose entrypoint is `pellucid`, which answers to `consul`, too.

    package: this program's source. roots: what else it is made of. scripts: where its commands are.
    """
    from pellucid.localkube.images.image import DEFAULT_PATH, Bind
    from pellucid.localkube.images.image_entries import ImageEntry

    program, everything = scripts / "pellucid", (package, *roots)
    installed = any(package.is_relative_to(root) for root in roots)
    links = [Bind(str(program), f"{_LINKS}/{name}") for name in ("pellucid", "consul")]
    return ImageEntry(
        NAME,
        entrypoint=("pellucid",),
        environment={
            "PATH": f"{scripts}:{_LINKS}:{DEFAULT_PATH}",
            **({} if installed else {"PYTHONPATH": str(package.parent)}),
        },
        binds=(*(Bind(str(root), str(root)) for root in outermost(everything)), *links),
    )


def outermost(roots: Iterable[Path]) -> tuple[Path, ...]:
    """The directories to show: both as named and as links lead to them, without what lies in another.

    `/usr` is part of every image already.
    """
    every = sorted({form for root in roots for form in (root.absolute(), root.resolve())})
    return tuple(
        path
        for path in every
        if not path.is_relative_to(_IN_EVERY_IMAGE)
        and not any(path.is_relative_to(other) for other in every if other != path)
    )


def this_program() -> ImageEntry:
    """The image of the program that runs now."""
    import sys
    import sysconfig
    from pathlib import Path

    import pellucid

    roots = (Path(sys.prefix), Path(sys.base_prefix))
    return own_image(Path(pellucid.__file__).parent, roots, Path(sysconfig.get_path("scripts")))
