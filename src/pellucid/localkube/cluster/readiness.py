"""When a cluster is ready: every node says that it is."""

from __future__ import annotations

from contextlib import aclosing

from pellucid.localkube.api.store import Resources
from pellucid.localkube.cluster.definition import ClusterDefinition
from pellucid.localkube.network.following import changes_of
from pellucid.localkube.types.kinds import NODES


async def nodes_ready(resources: Resources, definition: ClusterDefinition) -> None:
    """Wait until all the nodes are ready, and give them the labels that the definition has for them."""
    wanted = set(definition.node_names())
    async with aclosing(changes_of(resources, (NODES,))) as changes:
        async for _ in changes:
            if wanted <= {one["metadata"]["name"] for one in resources.select(NODES)[1] if _is_ready(one)}:
                break
    for name, labels in zip(definition.node_names(), definition.settings.node_labels, strict=False):
        if labels:
            await resources.patch(NODES, "", name, {"metadata": {"labels": labels}})


def _is_ready(node: dict[str, object]) -> bool:
    status = node.get("status")
    conditions = status.get("conditions") or () if isinstance(status, dict) else ()
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
