"""The images of a node, built with buildah: the mesh's own, from its Containerfile, and those of the tests.

Everything stands on one base of Debian's own packages, so that no registry is needed. As a program this
builds what takes long: the base, and the layers that hold packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pellucid import __version__

CHECKOUT = Path(__file__).parents[4]
_STORE = CHECKOUT / ".cache" / "kubernetes" / "images"
_BASE = "docker.io/library/debian:12-slim"
_MIRROR = "http://deb.debian.org/debian"
_LEFT_OUT = ("dev", "var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")
_ENVIRONMENT = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

OUR_IMAGE = f"docker.io/pellucid/pellucid:{__version__}"
PAUSE_IMAGE = "docker.io/library/pause:latest"
_OF_TESTS = {
    "pause": (PAUSE_IMAGE,),
    "python": ("docker.io/library/python:3",),
    "curl": ("docker.io/library/curl:latest", "docker.io/curlimages/curl:latest"),
    "hello-http": ("docker.io/freddygv/hello-http:v0.2.2",),
    "kuma-init": ("kong-docker-kuma-docker.bintray.io/kuma-init:1.0.3",),
    "hello-client": ("docker.io/freddygv/hello-client:v0.2.4",),
}
"""Images by the stage of the Containerfile beside this file."""

REGISTRIES = ("docker.io", "kong-docker-kuma-docker.bintray.io")
"""Those that the images are said to come from."""


def missing() -> str:
    """Why images cannot be built here without waiting long; empty if they can."""
    if not shutil.which("buildah"):
        return "no buildah"
    if _buildah("inspect", "--type=image", _BASE, check=False).returncode:
        return "no base image"
    return ""


def build_ours() -> None:
    """The image of the mesh, from the sources as they are now."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Path(directory) / "pip.conf"
        settings.write_text("[global]\ncert = /host-certs/ca-certificates.crt\n")
        # What this machine trusts: package indexes may be reached through a proxy of its own.
        trusted = (f"--volume={settings}:/etc/pip.conf:ro", "--volume=/etc/ssl/certs:/host-certs:ro")
        _build(CHECKOUT / "Containerfile", OUR_IMAGE, *trusted)


def build_tests(outside: Path) -> None:
    """The images of the tests' programs. outside: has `certificate.pem`, which the hello-client trusts."""
    for stage, names in _OF_TESTS.items():
        _build(
            Path(__file__).with_name("Containerfile"),
            names[0],
            f"--target={stage}",
            f"--build-context=outside={outside}",
        )
        for other in names[1:]:
            _buildah("tag", names[0], other)


def push(registry: str, *inside: str) -> None:
    """Hand all images to a registry. inside: the command that leads to where it is."""
    for name in (OUR_IMAGE, *(name for names in _OF_TESTS.values() for name in names)):
        path = name.partition("/")[2]
        words = ("push", "--quiet", "--tls-verify=false", "--disable-compression", name)
        _buildah(*words, f"docker://{registry}/{path}", inside=inside)


def _build_base() -> None:
    with tempfile.TemporaryDirectory(dir=_STORE.parent) as directory:
        root, archive = Path(directory) / "root", Path(directory) / "root.tar"
        _run("debootstrap", "--variant=minbase", "bookworm", str(root), _MIRROR)
        without = [f"--exclude=./{path}/*" for path in _LEFT_OUT]
        _run("tar", "--create", f"--file={archive}", f"--directory={root}", *without, ".")
        container = _buildah("from", "scratch").stdout.strip()
        _buildah("add", "--quiet", container, str(archive), "/")
        _buildah("config", "--env", _ENVIRONMENT, "--cmd", "bash", container)
        _buildah("commit", "--quiet", "--rm", container, _BASE)


def _build(recipe: Path, name: str, *options: str) -> None:
    words = ("build", "--layers", "--pull-never", "--isolation=chroot", f"--tag={name}", f"--file={recipe}")
    _buildah(*words, *options, str(CHECKOUT))


def _buildah(
    *words: str, inside: tuple[str, ...] = (), check: bool = True
) -> subprocess.CompletedProcess[str]:
    store = ("--storage-driver=overlay", f"--root={_STORE / 'root'}", f"--runroot={_STORE / 'run'}")
    # Its mounts are its own, and so gone when it is.
    command = (*inside, "unshare", "--mount", "buildah", *store, *words)
    return _run(*command) if check else subprocess.run(command, capture_output=True, text=True)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(_STORE)})
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


def main() -> None:
    """Build all of them once."""
    _STORE.mkdir(parents=True, exist_ok=True)
    if missing():
        _build_base()
    build_ours()
    with tempfile.TemporaryDirectory() as outside:
        (Path(outside) / "certificate.pem").touch()
        build_tests(Path(outside))


if __name__ == "__main__":
    main()
