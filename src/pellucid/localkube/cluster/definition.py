"""What a cluster is on disk: its definition, and where each of its parts is kept.

Everything of a cluster is under one directory, readable by its owner only:

    cluster.json    the definition
    process.json    the running server process, absent when stopped
    kubeconfig      for the administrator
    pki/            keys and certificates
    state/          the API's objects
    nodes/          containers, volumes and logs of each node
    images/         root file systems
    images.json     further images (see `images.image_entries`)
    volumes/        what claims got
    server.log      what the server process says
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from pellucid.foundation.private_file import write_private
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.types.release import DEFAULT, Release

DIRECTORY_VARIABLE = "PELLUCID_CLUSTERS_DIRECTORY"
DEFAULT_DIRECTORY = Path("/var/lib/pellucid/clusters")
API_PORT = 6443
"""The API server's port on the control plane's node."""
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,49}")


class ClusterError(Exception):
    """The cluster cannot be what was asked; the message says why and what to do."""


class PortMapping(msgspec.Struct, frozen=True):
    """A TCP port of the host that leads to one of a node, the first of which is 0."""

    host_port: int
    node_port: int
    address: str = "127.0.0.1"
    node: int = 0


class ClusterSettings(msgspec.Struct, frozen=True):
    """What whoever creates a cluster decides."""

    nodes: int = 1
    release: Release = DEFAULT
    api_port: int = 0
    """The API's on the host's loopback; 0 for any that is free."""
    pod_network: str = str(AddressPlan().pods_v4)
    node_labels: tuple[dict[str, str], ...] = ()
    """Of the first nodes, beside those that every node has."""
    ports: tuple[PortMapping, ...] = ()
    uplink: bool = False
    """Whether it is lent the host's way out."""
    outside: dict[str, tuple[str, ...]] = {}
    """Names that a stand-in for the outside world answers to, with their addresses."""
    insecure_registries: tuple[str, ...] = ()
    """Those that are spoken to by HTTP, as `host` or `host:port`; any on loopback is, too."""


class ClusterDefinition(msgspec.Struct, frozen=True):
    """What was decided when the cluster was created. `port` is the API's on the host's loopback."""

    name: str
    port: int
    settings: ClusterSettings = ClusterSettings()

    @property
    def context(self) -> str:
        """The name of its context, cluster and user in a kubeconfig."""
        return f"kind-{self.name}"

    def plan(self) -> AddressPlan:
        """Which addresses it uses."""
        return AddressPlan(pods_v4=IPv4Network(self.settings.pod_network))

    def node_names(self) -> tuple[str, ...]:
        """The nodes' names, the control plane's first; as kind names them."""
        numbers = range(1, self.settings.nodes)
        workers = (f"{self.name}-worker{number if number > 1 else ''}" for number in numbers)
        return (f"{self.name}-control-plane", *workers)


def images_file(directory: Path) -> Path:
    """The file of further images, in a cluster's directory."""
    return directory / "images.json"


def cgroup_of(directory: Path, node_name: str) -> str:
    """The cgroup that a node's containers are under.

    directory: of the cluster; clusters kept in different places may have the same name.
    """
    place = hashlib.sha256(bytes(directory.resolve())).hexdigest()[:8]
    return f"pellucid-{node_name}-{place}"


def clusters_directory(environment: Mapping[str, str]) -> Path:
    """Where all clusters are: $PELLUCID_CLUSTERS_DIRECTORY, or /var/lib/pellucid/clusters."""
    return Path(environment.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY)


def check_name(name: str) -> None:
    """Raises ClusterError if `name` cannot name a cluster."""
    if NAME.fullmatch(name) is None:
        raise ClusterError(
            f"{name!r} is not a valid cluster name: use at most 50 lower case letters, digits, dots and "
            "hyphens, with a letter or digit first"
        )


def load_definition(directory: Path) -> ClusterDefinition:
    """The definition in a cluster's directory. Raises ClusterError if there is none that can be read."""
    path = directory / "cluster.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=ClusterDefinition)
    except FileNotFoundError:
        raise ClusterError(f"no cluster {directory.name!r}: {path} does not exist") from None
    except msgspec.DecodeError as error:
        raise ClusterError(
            f"{path} cannot be read ({error}); delete the cluster and create it again"
        ) from None


def save_definition(directory: Path, definition: ClusterDefinition) -> None:
    """Write the definition, as the last step of making a cluster's directory."""
    write_private(directory / "cluster.json", msgspec.json.encode(definition))


def defined_clusters(root: Path) -> tuple[str, ...]:
    """The names of all clusters under `root`, sorted."""
    return tuple(sorted(path.parent.name for path in root.glob("*/cluster.json")))
