"""When a cluster is ready: every node says that it is."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing

from pellucid.localkube.api.store import Resources
from pellucid.localkube.network.following import changes_of
from pellucid.localkube.types.kinds import NODES


async def nodes_ready(resources: Resources, names: Iterable[str]) -> None:
    """Wait until all the nodes of these names are ready."""
    wanted = set(names)
    async with aclosing(changes_of(resources, (NODES,))) as changes:
        async for _ in changes:
            if wanted <= {one["metadata"]["name"] for one in resources.select(NODES)[1] if _is_ready(one)}:
                return


def _is_ready(node: dict[str, object]) -> bool:
    status = node.get("status")
    conditions = status.get("conditions") or () if isinstance(status, dict) else ()
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
