"""kubeconfig: a cluster's own, and how it is merged into the user's and taken out again.

Source: Kubernetes docs, "Organizing Cluster Access Using kubeconfig Files"; kind's own merging rules.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pellucid.foundation.private_file import write_private
from pellucid.localkube.cluster.definition import ClusterDefinition, ClusterError

Config = dict[str, Any]
_LISTS = ("clusters", "contexts", "users")


def own_kubeconfig(definition: ClusterDefinition, pki: Path, server: str = "") -> Config:
    """The administrator's kubeconfig of one cluster, whose API is at `server` (default: on loopback)."""
    context = definition.context
    server = server or f"https://127.0.0.1:{definition.port}"

    def encoded(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    cluster = {"certificate-authority-data": encoded("ca.crt"), "server": server}
    user = {
        "client-certificate-data": encoded("admin.crt"),
        "client-key-data": encoded("admin.key"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "users": [{"name": context, "user": user}],
        "current-context": context,
        "preferences": {},
    }


def merged(existing: Config, added: Config) -> Config:
    """`existing` with the entries of `added` replacing those of the same name, and its context current."""
    result = {"apiVersion": "v1", "kind": "Config", "preferences": {}} | existing
    for key in _LISTS:
        names = {entry["name"] for entry in added[key]}
        kept = [entry for entry in existing.get(key) or () if entry.get("name") not in names]
        result[key] = [*kept, *added[key]]
    result["current-context"] = added["current-context"]
    return result


def without(existing: Config, context: str) -> Config:
    """`existing` less the cluster, context and user named `context`, which is then not current either."""
    result = dict(existing)
    for key in _LISTS:
        if existing.get(key):
            result[key] = [entry for entry in existing[key] if entry.get("name") != context]
    if existing.get("current-context") == context:
        result["current-context"] = ""
    return result


def user_kubeconfig_paths(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The user's kubeconfig files: those of $KUBECONFIG, or ~/.kube/config."""
    named = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return tuple(named) or (Path(environment.get("HOME") or "/root") / ".kube" / "config",)


def add_to_user(added: Config, environment: Mapping[str, str]) -> Path:
    """Merge into the user's first existing kubeconfig, or make the last one. Returns its path.

    Raises ClusterError if it cannot be read or written.
    """
    paths = user_kubeconfig_paths(environment)
    path = next((candidate for candidate in paths if candidate.exists()), paths[-1])
    _change(path, lambda existing: merged(existing, added))
    return path


def remove_from_user(context: str, environment: Mapping[str, str]) -> None:
    """Take a context out of every one of the user's kubeconfig files. Raises ClusterError."""
    for path in user_kubeconfig_paths(environment):
        if path.exists():
            _change(path, lambda existing: without(existing, context))


def written(config: Config) -> str:
    """A kubeconfig as YAML."""
    return str(yaml.safe_dump(config, default_flow_style=False, sort_keys=True))


def _change(path: Path, change: Callable[[Config], Config]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            before = _read(path)
            after = change(before)
            if after != before:
                write_private(path.resolve(), written(after).encode())
    except OSError as error:
        raise ClusterError(f"cannot write the kubeconfig {path}: {error.strerror}") from None


def _read(path: Path) -> Config:
    if not path.exists():
        return {}
    try:
        config = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ClusterError(f"the kubeconfig {path} is not YAML, and was left as it is: {error}") from None
    if not isinstance(config, dict):
        raise ClusterError(f"the kubeconfig {path} is not a mapping, and was left as it is")
    return config


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the directory's lock, so that two clusters made at once do not undo each other's change."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
