"""What every pod of a node is run with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pellucid.localkube.api.store import Resources
from pellucid.localkube.images.image_table import ImageTable
from pellucid.localkube.network.pod_network import PodNetwork
from pellucid.localkube.node.container_runtime import ContainerRuntime
from pellucid.localkube.node.event_recorder import EventRecorder

Object = dict[str, Any]
IssueToken = Callable[[Object, Object], Awaitable[str]]
"""From a pod and a `serviceAccountToken` projection to a token bound to that pod."""
LeftAlone = Callable[[Sequence[str]], Awaitable[None]]
"""Waits until no service sends new connections to some addresses."""


async def at_once(addresses: Sequence[str]) -> None:
    """For a node without services."""


@dataclass(frozen=True)
class NodeParts:
    """The node's runtime, network, images and its view of the API."""

    name: str
    directory: Path
    resources: Resources
    runtime: ContainerRuntime
    images: ImageTable
    network: PodNetwork
    events: EventRecorder
    issue_token: IssueToken
    now: Callable[[], datetime]
    capacity: dict[str, str]
    left_alone: LeftAlone = at_once
