"""A root file system made from this machine's own programs and libraries, and nothing of its people's files.

`/usr` is this machine's; of `/etc` only what programs need to run comes along, no key and no password.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

_LINKED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_EMPTY = ("dev", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "var/lib", "var/log")
_FROM_ETC = (
    "alternatives",
    "ca-certificates.conf",
    "debian_version",
    "ethertypes",
    "host.conf",
    "java-17-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "networks",
    "nginx/fastcgi_params",
    "nginx/mime.types",
    "nginx/proxy_params",
    "os-release",
    "pki/tls/certs",
    "profile",
    "protocols",
    "rpc",
    "services",
    "shells",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "xattr.conf",
)
_USERS = """root:x:0:0:root:/root:/bin/sh
postgres:x:999:999:postgres:/var/lib/postgresql:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
_GROUPS = "root:x:0:\ntty:x:5:\npostgres:x:999:\nnogroup:x:65534:\n"
_NAME_SERVICES = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"


_TRUSTED = "ssl/certs"


def make_host_root(
    directory: Path, host: Path = Path("/"), trusted: Mapping[str, bytes] | None = None
) -> dict[str, tuple[str, ...]]:
    """Write the root into `directory`, again if it was there, and return its layers (see `Image`).

    trusted: further certificate authorities (PEM) that programs in it trust, by OpenSSL's hash of their name.
    """
    if directory.exists():
        shutil.rmtree(directory)
    for name in _EMPTY:
        (directory / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (directory / name).mkdir()
        (directory / name).chmod(0o1777)
    (directory / "var/run").symlink_to("/run")
    _write_etc(directory / "etc", host / "etc")
    _trust(directory / "etc" / _TRUSTED, trusted or {})
    layers: dict[str, tuple[str, ...]] = {"usr": (str(host / "usr"),)}
    for name in _LINKED:
        original = host / name
        if original.is_symlink():
            (directory / name).symlink_to(os.readlink(original))
        elif original.is_dir():
            (directory / name).mkdir()
            layers[name] = (str(original),)
    return layers


def _write_etc(etc: Path, original: Path) -> None:
    etc.mkdir()
    for name in _FROM_ETC:
        source, target = original / name, etc / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        elif source.is_dir():
            shutil.copytree(source, target, symlinks=True)
    (etc / "passwd").write_text(_USERS)
    (etc / "group").write_text(_GROUPS)
    (etc / "nsswitch.conf").write_text(_NAME_SERVICES)
    (etc / "mtab").symlink_to("/proc/mounts")
    for name in ("hostname", "hosts", "resolv.conf"):
        (etc / name).touch()


def _trust(certificates: Path, authorities: Mapping[str, bytes]) -> None:
    """For those who read one file, and for those who look a certificate up by its hash."""
    for hashed, authority in authorities.items():
        certificates.mkdir(parents=True, exist_ok=True)
        with (certificates / "ca-certificates.crt").open("ab") as bundle:
            bundle.write(authority)
        (certificates / f"{hashed}.0").write_bytes(authority)
