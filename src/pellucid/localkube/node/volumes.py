"""A pod's volumes on disk, and where its containers see them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.localkube.node.environment import expand
from pellucid.localkube.node.oci_config import Mount
from pellucid.localkube.node.volume_files import File, VolumeError

Object = dict[str, Any]


def write_files(directory: Path, files: Mapping[str, File], group: int | None) -> None:
    """Replace a volume's files at one instant: `..data` is moved to a folder with the new ones.

    Readers see either all of the old files or all of the new. Raises VolumeError on a path leading outside.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if _same(directory / "..data", files):
        return
    number = sum(1 for _ in directory.glob("..v*")) + 1
    while (fresh := directory / f"..v{number}").exists():
        number += 1
    fresh.mkdir()
    for name, file in files.items():
        path = fresh / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise VolumeError(f"invalid path {name}: must be relative and without '..'")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode | (0o440 if group is not None else 0))
        if group is not None:
            os.chown(path, 0, group)
    _point(directory / "..data", fresh.name)
    for top in {Path(name).parts[0] for name in files}:
        if not (directory / top).is_symlink():
            _point(directory / top, f"..data/{top}")
    for link in directory.iterdir():
        if link.is_symlink() and link.name != "..data" and not link.exists():
            link.unlink()
    for older in directory.glob("..v*"):
        if older != fresh:
            shutil.rmtree(older)


def _point(link: Path, target: str) -> None:
    temporary = link.with_name("..new")
    temporary.symlink_to(target)
    temporary.replace(link)


def _same(current: Path, files: Mapping[str, File]) -> bool:
    if not current.exists():
        return False
    present = {
        str(path.relative_to(current.resolve())): path.read_bytes()
        for path in current.resolve().rglob("*")
        if path.is_file()
    }
    return present == {name: file.content for name, file in files.items()}


def make_empty(directory: Path, group: int | None) -> None:
    """An emptyDir, writable by everyone, and by the pod's group."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o777)
    if group is not None:
        os.chown(directory, 0, group)
        directory.chmod(0o2777)


def host_path(source: Object) -> Path:
    """The path of a hostPath volume, made or checked as its type says. Raises VolumeError."""
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch(mode=0o644)
    elif kind == "Directory" and not path.is_dir():
        raise VolumeError(f"hostPath type check failed: {path} is not a directory")
    elif kind == "File" and not path.is_file():
        raise VolumeError(f"hostPath type check failed: {path} is not a file")
    elif kind == "Socket" and not path.is_socket():
        raise VolumeError(f"hostPath type check failed: {path} is not a socket file")
    elif not kind and not path.exists():
        path.mkdir(mode=0o755, parents=True)
    return path


def container_mounts(
    container: Object, volumes: Mapping[str, Path], variables: Mapping[str, str]
) -> tuple[Mount, ...]:
    """Where the container sees its volumes, outer paths first. Raises VolumeError."""
    mounts = []
    for wanted in container.get("volumeMounts") or ():
        if wanted["name"] not in volumes:
            raise VolumeError(f'volume "{wanted["name"]}" is not defined')
        source = volumes[wanted["name"]]
        inner = wanted.get("subPath") or expand(wanted.get("subPathExpr") or "", variables)
        if inner:
            source = _inside(source, inner)
        mounts.append(
            Mount(str(source), wanted["mountPath"], bool(wanted.get("readOnly")), _propagation(wanted))
        )
    return tuple(sorted(mounts, key=lambda mount: mount.destination.count("/")))


def _propagation(wanted: Object) -> str:
    asked = wanted.get("mountPropagation") or "None"
    if asked == "Bidirectional":
        raise VolumeError(
            f"mountPropagation Bidirectional of {wanted['mountPath']} is not supported here: "
            "nothing that a container mounts reaches the node"
        )
    return "rslave" if asked == "HostToContainer" else "rprivate"


def _inside(volume: Path, inner: str) -> Path:
    if ".." in Path(inner).parts or Path(inner).is_absolute():
        raise VolumeError(f"subPath {inner} must be relative and without '..'")
    path = volume / inner
    with contextlib.suppress(FileExistsError):
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(0o777)
    resolved = path.resolve()
    if not resolved.is_relative_to(volume.resolve()):
        raise VolumeError(f"subPath {inner} leads outside its volume")
    return resolved


def hosts_file(pod: Object, addresses: tuple[str, ...]) -> str:
    """`/etc/hosts` as the kubelet writes it."""
    metadata, spec = pod["metadata"], pod["spec"]
    name = spec.get("hostname") or metadata["name"]
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
    ]
    if spec.get("subdomain"):
        name = f"{name}.{spec['subdomain']}.{metadata['namespace']}.svc.cluster.local\t{name}"
    lines += [f"{address}\t{name}" for address in addresses]
    for alias in spec.get("hostAliases") or ():
        lines.append(f"{alias['ip']}\t" + "\t".join(alias.get("hostnames") or ()))
    return "\n".join(lines) + "\n"


def resolver_file(pod: Object, cluster_dns: str, machine_file: str) -> str:
    """`/etc/resolv.conf` by the pod's DNS policy; `machine_file` is the machine's own."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    policy = spec.get("dnsPolicy", "ClusterFirst")
    more = spec.get("dnsConfig") or {}
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    if policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork")):
        servers = [cluster_dns]
        searches = [f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local"]
        options = ["ndots:5"]
    elif policy != "None":
        return machine_file
    servers += [one for one in more.get("nameservers") or () if one not in servers]
    searches += [one for one in more.get("searches") or () if one not in searches]
    for option in more.get("options") or ():
        options = [one for one in options if one.partition(":")[0] != option["name"]]
        options.append(option["name"] + (f":{option['value']}" if option.get("value") else ""))
    lines = [f"search {' '.join(searches)}"] if searches else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"
