"""Creating, starting, stopping and deleting clusters."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pellucid.foundation.private_file import write_private
from pellucid.localkube.cluster.certificates import make_certificates
from pellucid.localkube.cluster.definition import (
    API_PORT,
    ClusterDefinition,
    ClusterError,
    ClusterSettings,
    cgroup_of,
    check_name,
    clusters_directory,
    defined_clusters,
    images_file,
    load_definition,
    save_definition,
)
from pellucid.localkube.cluster.holding import ended_by_signals, held, undisturbed
from pellucid.localkube.cluster.kubeconfig import add_to_user, own_kubeconfig, remove_from_user, written
from pellucid.localkube.cluster.progress import Progress
from pellucid.localkube.cluster.server_process import (
    host_listeners,
    running_server,
    start_server,
    stop_server,
)
from pellucid.localkube.images.archive import InvalidArchive, load_archive
from pellucid.localkube.images.image_entries import (
    ImageEntry,
    InvalidImageTable,
    joined,
    read_image_entries,
    write_image_entries,
)
from pellucid.localkube.node.container_runtime import remove_leftovers

MAX_NODES = 10
PACKAGES = {
    "unshare": "util-linux",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "ip6tables-restore": "iptables",
    "runc": "runc",
}
"""Programs that a cluster needs, and the Debian packages that have them."""


@dataclass(frozen=True)
class Clusters:
    """The clusters of this machine, for a user with this environment.

    `images` are further images that every cluster gets when it is created or started.
    """

    environment: Mapping[str, str]
    images: tuple[ImageEntry, ...] = ()

    @property
    def root(self) -> Path:
        """The directory that holds a directory for each cluster."""
        return clusters_directory(self.environment)

    def names(self) -> tuple[str, ...]:
        """Every cluster, running or stopped, sorted."""
        return defined_clusters(self.root)

    def definition(self, name: str) -> ClusterDefinition:
        """Raises ClusterError if there is no such cluster."""
        if name not in self.names():
            raise ClusterError(f"could not find a cluster with the name {name!r}")
        return load_definition(self.root / name)

    def is_running(self, name: str) -> bool:
        """Whether the cluster's server runs."""
        return running_server(self.root / name) is not None

    def kubeconfig(self, name: str, *, inside: bool = False) -> str:
        """The administrator's kubeconfig (YAML), for use here or inside the cluster. Raises ClusterError."""
        definition = self.definition(name)
        server = f"https://{definition.plan().node(0).v4}:{API_PORT}" if inside else ""
        return written(own_kubeconfig(definition, self.root / name / "pki", server))

    def use(self, name: str) -> None:
        """Make a cluster the user's current context, again. Raises ClusterError."""
        add_to_user(own_kubeconfig(self.definition(name), self.root / name / "pki"), self.environment)

    def create(
        self,
        name: str,
        settings: ClusterSettings,
        progress: Progress,
        *,
        images: Path | None = None,
        retain: bool = False,
    ) -> ClusterDefinition:
        """Make a cluster, start it and make it the user's current context.

        images: a file of further images. Raises ClusterError; then nothing of it is left, unless what there
        is of it is to be retained, for a look at its log.
        """
        check_name(name)
        _check_machine(self.environment)
        if not 1 <= settings.nodes <= MAX_NODES:
            raise ClusterError(f"a cluster has 1 to {MAX_NODES} nodes, not {settings.nodes}")
        added = _images_of(images) if images else ()
        with held(self.root / name):
            if name in self.names():
                raise ClusterError(f"node(s) already exist for a cluster with the name {name!r}")
            try:
                with ended_by_signals():
                    return self._make(name, settings, progress, added)
            except BaseException:
                with undisturbed():
                    if retain:
                        stop_server(self.root / name)
                    else:
                        self._remove(name)
                raise

    def _make(
        self, name: str, settings: ClusterSettings, progress: Progress, added: tuple[ImageEntry, ...]
    ) -> ClusterDefinition:
        directory = self.root / name
        with host_listeners(settings, settings.api_port) as listeners:
            definition = ClusterDefinition(name, int(listeners[0].getsockname()[1]), settings)
            with progress.step("Writing configuration 📜"):
                _fill(directory, definition)
                write_image_entries(images_file(directory), joined(self.images, added))
            with progress.step("Starting control-plane 🕹️"):
                start_server(directory, listeners, uplink=settings.uplink)
        add_to_user(own_kubeconfig(definition, directory / "pki"), self.environment)
        return definition

    def start(self, name: str) -> None:
        """Start a stopped cluster, with all its objects. Raises ClusterError."""
        definition, directory = self.definition(name), self.root / name
        with held(directory):
            if self.is_running(name):
                return
            _check_machine(self.environment)
            _remove_containers(directory)
            self._add_images(name, self.images)
            settings = definition.settings
            with host_listeners(settings, definition.port) as listeners, ended_by_signals():
                start_server(directory, listeners, uplink=settings.uplink)

    def stop(self, name: str) -> None:
        """Stop a cluster and keep its objects. Raises ClusterError if there is no such cluster."""
        self.definition(name)
        with held(self.root / name):
            stop_server(self.root / name)

    def load(self, name: str, file: Path) -> tuple[str, ...]:
        """Add the images of an OCI or Docker archive, or those that a file `*.json` lists; their names.

        Raises ClusterError.
        """
        self.definition(name)
        if file.suffix == ".json":
            entries = _images_of(file)
            self._add_images(name, entries)
            return tuple(entry.name for entry in entries)
        try:
            return load_archive(file, self.root / name / "images")
        except (InvalidArchive, OSError) as error:
            raise ClusterError(f"cannot load {file}: {error}") from None

    def export_logs(self, name: str, target: Path) -> None:
        """Copy the server's log and every container's under `target`. Raises ClusterError.

        The server's is `server.log`, a container's `<node>/<pod uid>/<container>/<run>.log`.
        """
        self.definition(name)
        directory = self.root / name
        try:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(directory / "server.log", target / "server.log")
            for log in directory.glob("nodes/*/pods/*/logs/*/*.log"):
                node, _, pod, _, container, run = log.relative_to(directory / "nodes").parts
                place = target / node / pod / container
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy2(log, place / run)
        except OSError as error:
            raise ClusterError(f"cannot write logs to {target}: {error}") from None

    def delete(self, name: str) -> tuple[str, ...]:
        """Delete a cluster with everything of it. Answers its nodes' names; none if there was no such one."""
        check_name(name)
        nodes = load_definition(self.root / name).node_names() if name in self.names() else ()
        if (self.root / name).exists():
            with held(self.root / name), undisturbed():
                self._remove(name)
        remove_from_user(f"kind-{name}", self.environment)
        return nodes

    def _add_images(self, name: str, entries: tuple[ImageEntry, ...]) -> None:
        file = images_file(self.root / name)
        try:
            there = read_image_entries(file) if file.exists() else ()
        except InvalidImageTable as error:
            raise ClusterError(f"the cluster's images cannot be read: {error}") from None
        write_image_entries(file, joined(there, entries))

    def _remove(self, name: str) -> None:
        directory = self.root / name
        if not directory.exists():
            return
        stop_server(directory)
        _remove_containers(directory)
        shutil.rmtree(directory)


def _check_machine(environment: Mapping[str, str]) -> None:
    """Raises ClusterError naming what this machine or this user lacks."""
    if os.geteuid() != 0:
        raise ClusterError("a cluster needs root, for network namespaces and mounts; use sudo")
    path = environment.get("PATH")
    missing = [program for program in PACKAGES if shutil.which(program, path=path) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES[program] for program in missing}))
        raise ClusterError(f"{', '.join(missing)} not found in PATH; install {packages}")


def _images_of(file: Path) -> tuple[ImageEntry, ...]:
    """A file of images as a user gives it. Raises ClusterError."""
    try:
        entries = read_image_entries(file)
    except InvalidImageTable as error:
        raise ClusterError(f"the images cannot be read: {error}") from None
    for entry in entries:
        if gone := [bind.source for bind in entry.binds if not Path(bind.source).exists()]:
            raise ClusterError(f"{file}: {entry.name!r} binds {gone[0]}, which is not on this machine")
    return entries


def _remove_containers(directory: Path) -> None:
    """What containers of a server that has ended leave outside its namespaces: files and cgroups."""
    for node in (directory / "nodes").glob("*"):
        remove_leftovers(node / "runtime", cgroup_of(directory, node.name))


def _empty(directory: Path) -> None:
    """Of what a creation left that was killed; the directory itself is held."""
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _fill(directory: Path, definition: ClusterDefinition) -> None:
    _empty(directory)
    plan = definition.plan()
    addresses = ["127.0.0.1", str(plan.services_v4[1])]
    addresses += [plan.node(index).v4 for index in range(definition.settings.nodes)]
    pki = directory / "pki"
    make_certificates(pki, definition.node_names(), addresses, datetime.now(UTC))
    write_private(directory / "kubeconfig", written(own_kubeconfig(definition, pki)).encode())
    save_definition(directory, definition)
