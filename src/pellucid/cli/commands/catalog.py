"""`catalog datacenters`, `nodes`, `services`: what the catalog knows.

Source: Consul 1.10 command/catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.cli.columns import columns
from pellucid.cli.command import FORMAT, Attempt, Command, Invocation
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT_ID_LENGTH = 8
TAGS_GAP = " " * 6


def _datacenters(invocation: Invocation) -> int:
    wants_json = invocation.wants_json()
    datacenters = _ask(invocation, "datacenters", "/v1/catalog/datacenters", {})
    if wants_json:
        invocation.output_json(datacenters)
    else:
        for datacenter in datacenters:
            invocation.output(datacenter)
    return 0


def _nodes(invocation: Invocation) -> int:
    flags = invocation.flags
    wants_json = invocation.wants_json()
    query = {"near": flags.text("near"), "filter": flags.text("filter")}
    service = flags.text("service")
    path = f"/v1/catalog/service/{service}" if service else "/v1/catalog/nodes"
    nodes = _ask(invocation, "nodes", path, _with_node_meta(invocation, query))
    if wants_json:
        invocation.output_json(nodes)
    elif not nodes:
        invocation.error("No nodes match the given query - try expanding your search.")
    elif flags.boolean("detailed"):
        header = ("Node", "ID", "Address", "DC", "TaggedAddresses", "Meta")
        invocation.output(columns([header, *map(_detailed_node, nodes)]))
    else:
        invocation.output(columns([("Node", "ID", "Address", "DC"), *map(_node, nodes)]))
    return 0


def _services(invocation: Invocation) -> int:
    wants_json = invocation.wants_json()
    services = _services_of_node(invocation) if invocation.flags.text("node") else _all_services(invocation)
    if wants_json:
        invocation.output_json(services)
    elif not services:
        invocation.error("No services match the given query - try expanding your search.")
    elif invocation.flags.boolean("tags"):
        rows = [(name, ",".join(sorted(services[name]))) for name in sorted(services)]
        invocation.output(columns(rows, TAGS_GAP))
    else:
        invocation.output("\n".join(sorted(services)))
    return 0


def _all_services(invocation: Invocation) -> dict[str, list[str]]:
    """Every service's tags."""
    found = _ask(invocation, "services", "/v1/catalog/services", _with_node_meta(invocation, {}))
    return dict(found)


def _services_of_node(invocation: Invocation) -> dict[str, list[str]]:
    """The services of the node that -node names, with their tags; empty for an unknown node."""
    node = invocation.flags.text("node")
    found = _ask(invocation, "services", f"/v1/catalog/node/{node}", _with_node_meta(invocation, {}))
    services: dict[str, list[str]] = {}
    for service in ((found or {}).get("Services") or {}).values():
        tags = services.setdefault(service["Service"], [])
        tags += [tag for tag in service["Tags"] or () if tag not in tags]
    return services


def _ask(invocation: Invocation, what: str, path: str, query: Mapping[str, str | list[str]]) -> Any:
    with Attempt(f"Error listing {what}"):
        return invocation.client().get(path, {**query, **invocation.scope()})


def _with_node_meta(invocation: Invocation, query: Mapping[str, str]) -> dict[str, str | list[str]]:
    """The query without its empty parts, and with -node-meta as the API spells it."""
    pairs = [f"{key}:{value}" for key, value in invocation.flags.pairs("node-meta").items()]
    return {key: value for key, value in query.items() if value} | ({"node-meta": pairs} if pairs else {})


def _node(node: Mapping[str, Any]) -> tuple[str, ...]:
    short = node["ID"].partition("-")[0] if len(node["ID"]) > SHORT_ID_LENGTH else node["ID"]
    return node["Node"], short, node["Address"], node.get("Datacenter", "")


def _detailed_node(node: Mapping[str, Any]) -> tuple[str, ...]:
    meta = node.get("Meta", node.get("NodeMeta"))
    return (
        node["Node"],
        node["ID"],
        node["Address"],
        node.get("Datacenter", ""),
        _pairs(node.get("TaggedAddresses")),
        _pairs(meta),
    )


def _pairs(mapping: Mapping[str, str] | None) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted((mapping or {}).items()))


NODE_META = Flag(
    "node-meta", "Only nodes with this metadata; repeatable.", kind="pairs", placeholder="key=value"
)
DATACENTERS = Command(
    usage="catalog datacenters [options]",
    about="Lists the datacenters that the agent knows, one per line, the nearest first.",
    run=_datacenters,
    flags=(FORMAT,),
    takes_server=True,
)
NODES = Command(
    usage="catalog nodes [options]",
    about=(
        "Lists nodes with their ID, address and datacenter.\n\n"
        "    $ {program} catalog nodes -service=web -detailed"
    ),
    run=_nodes,
    flags=(
        Flag("detailed", "Also show the full ID, tagged addresses and metadata.", kind="boolean"),
        Flag("filter", "Only nodes for which this filter expression holds.", placeholder="expression"),
        Flag("near", "Sort by estimated round-trip time from this node (_agent: this one)."),
        NODE_META,
        Flag("service", "Only nodes that have an instance of this service."),
        FORMAT,
    ),
    takes_server=True,
)
SERVICES = Command(
    usage="catalog services [options]",
    about="Lists the names of all registered services, or of those on one node.",
    run=_services,
    flags=(
        Flag("node", "Only services of this node, by name or ID."),
        NODE_META,
        Flag("tags", "Also show each service's tags.", kind="boolean"),
        FORMAT,
    ),
    takes_server=True,
    takes_namespace=True,
)
