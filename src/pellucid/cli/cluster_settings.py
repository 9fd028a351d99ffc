"""What `cluster create` is asked for: from its flags, the environment and kind's configuration file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.command import CommandFailed, UsageFailed
from pellucid.cli.go_flags import FALSE_WORDS, TRUE_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from pellucid.cli.go_flags import FlagValues
    from pellucid.localkube.cluster.definition import ClusterSettings
    from pellucid.localkube.cluster.kind_config import KindConfig
    from pellucid.localkube.types.release import Release

OUTSIDE_VARIABLE = "PELLUCID_CLUSTER_OUTSIDE"
UPLINK_VARIABLE = "PELLUCID_CLUSTER_UPLINK"
_REGISTRY = re.compile(r"([a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?")
_DURATION = re.compile(r"0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")


@dataclass(frozen=True)
class Wanted:
    """A cluster to be made. `wait` is the duration as it was given; empty for none."""

    name: str
    settings: ClusterSettings
    images: Path | None
    wait: str


def cluster_settings(flags: FlagValues, environment: Mapping[str, str], stdin: TextIO) -> Wanted:
    """Flags count more than the file. Raises UsageFailed naming the flag, CommandFailed naming the file."""
    from pellucid.localkube.cluster.definition import ClusterSettings
    from pellucid.localkube.network.addresses import AddressPlan
    from pellucid.localkube.outside.names import InvalidOutsideName, outside_names

    wait = flags.text("wait")
    if wait and _DURATION.fullmatch(wait) is None:
        raise UsageFailed(f"-wait: {wait!r} is no duration; write it as in 60s or 1m30s")
    config = _config(flags.text("config"), stdin)
    default = ClusterSettings()
    said = flags.list("outside") or (environment.get(OUTSIDE_VARIABLE, ""),)
    try:
        outside = outside_names(said, AddressPlan(pods_v4=config.pod_network or AddressPlan().pods_v4))
    except InvalidOutsideName as error:
        raise UsageFailed(f"-outside (or ${OUTSIDE_VARIABLE}): {error}") from None
    settings = ClusterSettings(
        nodes=flags.integer("nodes") if flags.given("nodes") else config.nodes,
        release=_release(flags) or config.release or default.release,
        api_port=config.api_port,
        node_labels=config.node_labels,
        ports=config.ports,
        pod_network=str(config.pod_network or default.pod_network),
        uplink=_uplink(flags, environment),
        outside=outside,
        insecure_registries=_insecure_registries(flags),
    )
    name = flags.text("name") if flags.given("name") else config.name or flags.text("name")
    images = flags.text("images")
    return Wanted(name, settings, Path(images) if images else None, wait if wait not in ("0", "0s") else "")


def _config(file: str, stdin: TextIO) -> KindConfig:
    from pellucid.localkube.cluster.kind_config import InvalidKindConfig, KindConfig, read_kind_config

    if not file:
        return KindConfig()
    try:
        return read_kind_config(stdin.read() if file == "-" else Path(file).read_text())
    except OSError as error:
        raise CommandFailed(f"ERROR: failed to create cluster: {file}: {error.strerror}") from None
    except (InvalidKindConfig, UnicodeDecodeError) as error:
        raise CommandFailed(f"ERROR: failed to create cluster: {file}: {error}") from None


def _uplink(flags: FlagValues, environment: Mapping[str, str]) -> bool:
    said = environment.get(UPLINK_VARIABLE, "")
    if flags.given("uplink") or not said:
        return flags.boolean("uplink")
    if said not in TRUE_WORDS | FALSE_WORDS:
        raise CommandFailed(
            f"ERROR: failed to create cluster: ${UPLINK_VARIABLE}: {said!r} is neither 1 nor 0"
        )
    return said in TRUE_WORDS


def _insecure_registries(flags: FlagValues) -> tuple[str, ...]:
    said = flags.list("insecure-registry")
    for one in said:
        if _REGISTRY.fullmatch(one) is None:
            raise UsageFailed(f"-insecure-registry: {one!r} is no registry; write host or host:port")
    return said


def _release(flags: FlagValues) -> Release | None:
    from pellucid.localkube.cluster.kind_config import InvalidKindConfig, release_of_image
    from pellucid.localkube.types.release import InvalidRelease, parse_release

    version, image = flags.text("kubernetes-version"), flags.text("image")
    try:
        by_version = parse_release(version) if version else None
        by_image = release_of_image(image) if image else None
    except InvalidRelease as error:
        raise UsageFailed(f"-kubernetes-version: {error}") from None
    except InvalidKindConfig as error:
        raise UsageFailed(f"-image: {error}") from None
    if by_version and by_image and by_version != by_image:
        raise UsageFailed(f"-kubernetes-version says {by_version}, -image {by_image}")
    return by_version or by_image
