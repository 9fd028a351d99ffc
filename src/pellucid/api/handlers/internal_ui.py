"""`/v1/internal/ui`: what the web page shows.

Source: Consul 1.10 agent/ui_endpoint.go.
"""

from __future__ import annotations

from typing import Any

from pellucid.api.context import ApiContext
from pellucid.api.filtering import filtered
from pellucid.api.filtering.fields import CHECKED_SERVICE, UI_NODE
from pellucid.api.handlers.intention_reads import FoundIntention
from pellucid.api.handlers.parameters import filter_of, named
from pellucid.api.outcome import Content, Outcome, Read
from pellucid.api.query_options import PLAIN, query_options
from pellucid.api.request import Request
from pellucid.api.response import HttpError, go_list, json_bytes
from pellucid.api.shapes import check_object, node_fields, node_object, node_service_object
from pellucid.derive import catalog
from pellucid.derive.catalog import CheckedInstance
from pellucid.derive.engine import Db, query
from pellucid.derive.gateways import (
    GatewayService,
    gateway_services,
    gateway_services_index,
    ingress_gateways_of,
    terminating_gateways_of,
)
from pellucid.derive.identity import datacenter
from pellucid.derive.intentions import intentions_to
from pellucid.derive.service_summaries import ServiceSummary, summarize
from pellucid.derive.topology import Neighbour, topology
from pellucid.model.config_entries import ServiceIntentions
from pellucid.model.go_text import quote
from pellucid.model.services import Node, ServiceKind
from pellucid.rules.intentions import match_destination
from pellucid.state.mesh_tables import CHECKS, CONFIG_ENTRIES, NODES, SERVICES
from pellucid.state.tables import Stored, TableSelector

TOPOLOGY_KINDS = ("", "ingress-gateway")
DNS_DOMAIN = "consul"


def nodes(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/internal/ui/nodes`"""
    options = query_options(request, context.datacenter)
    return Read(_nodes, (filter_of(request),), options, PLAIN, repeatable=True)


def node(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/internal/ui/node/:node`"""
    options = query_options(request, context.datacenter)
    name = named(request, "Missing node name")
    return Read(_node, (name,), options, PLAIN, repeatable=True)


def services(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/internal/ui/services`"""
    options = query_options(request, context.datacenter)
    return Read(_services, (filter_of(request),), options, PLAIN, repeatable=True)


def gateway_services_nodes(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/internal/ui/gateway-services-nodes/:gateway`"""
    options = query_options(request, context.datacenter)
    gateway = named(request, "Missing gateway name")
    return Read(_gateway_services_nodes, (gateway,), options, PLAIN, repeatable=True)


def gateway_intentions(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/internal/ui/gateway-intentions/:gateway`"""
    options = query_options(request, context.datacenter)
    gateway = named(request, "Missing gateway name")
    return Read(_gateway_intentions, (gateway,), options, PLAIN, repeatable=True)


def service_topology(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/internal/ui/service-topology/:service?kind=`"""
    options = query_options(request, context.datacenter)
    service = named(request, "Missing service name")
    if "kind" not in request.parameters:
        raise HttpError(400, "Missing service kind")
    kind = request.parameters.get("kind")
    if kind not in TOPOLOGY_KINDS:
        raise HttpError(400, f"Unsupported service kind {quote(kind)}")
    return Read(_service_topology, (service, kind), options, PLAIN, repeatable=True)


def metrics_proxy(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/internal/ui/metrics-proxy/*`: there is none."""
    raise HttpError(404, "Metrics proxy is not enabled" if context.settings.ui_path else "UI is not enabled")


@query
def _index(db: Db) -> int:
    return max(db.stamp(TableSelector(table)) for table in (NODES, SERVICES, CHECKS))


@query
def _nodes(db: Db, expression: str) -> Content:
    objects = (_node_object(db, stored) for stored in catalog.nodes(db).rows)
    return Content(_index(db), json_bytes(filtered(expression, UI_NODE, objects)))


@query
def _node(db: Db, name: str) -> Content:
    found = catalog.node(db, name)
    if found is None:
        raise HttpError(404, "")
    return Content(_index(db), json_bytes(_node_object(db, found)))


def _node_object(db: Db, found: Stored[Node]) -> dict[str, Any]:
    name = found.value.name
    described = node_fields(found.value)
    del described["Datacenter"]
    return {
        **described,
        "Meta": node_object(found)["Meta"],
        "Services": [
            node_service_object(instance.service, instance.proxy, empty_tags_as_null=True)
            for instance in catalog.node_instances(db, name).rows
        ],
        "Checks": [
            check_object(check, empty_tags_as_null=True) for check in catalog.node_checks(db, name).rows
        ],
    }


@query
def _services(db: Db, expression: str) -> Content:
    every = [
        catalog.with_checks(db, instance)
        for name, _ in catalog.services(db).rows
        for instance in catalog.instances(db, name).rows
    ]
    if expression:
        every = _filtered(expression, every)
    summaries = summarize(every)
    present = {summary.name for summary in summaries if summary.instance_count}
    objects = [
        {
            **summary_object(summary, _associated(db, summary)),
            "ConnectedWithProxy": summary.has_proxy,
            "ConnectedWithGateway": not present.isdisjoint(
                (*ingress_gateways_of(db, summary.name), *terminating_gateways_of(db, summary.name))
            ),
        }
        for summary in summaries
    ]
    return Content(_index(db), json_bytes(objects))


def _filtered(expression: str, every: list[CheckedInstance]) -> list[CheckedInstance]:
    objects = [
        {
            "Node": node_object(found.instance.node),
            "Service": node_service_object(found.instance.service, found.instance.proxy),
            "Checks": [check_object(check) for check in found.checks],
            "position": position,
        }
        for position, found in enumerate(every)
    ]
    return [every[chosen["position"]] for chosen in filtered(expression, CHECKED_SERVICE, objects)]


def _associated(db: Db, summary: ServiceSummary) -> dict[str, Any]:
    if summary.kind not in (ServiceKind.INGRESS_GATEWAY, ServiceKind.TERMINATING_GATEWAY):
        return {}
    count = len({row.service for row in gateway_services(db, summary.name)})
    return {"AssociatedServiceCount": count} if count else {}


def summary_object(summary: ServiceSummary, gateway_config: dict[str, Any]) -> dict[str, Any]:
    """A service in figures; lists that are empty are null."""
    return {
        **({"Kind": summary.kind} if summary.kind else {}),
        "Name": summary.name,
        "Datacenter": summary.datacenter,
        "Tags": go_list(summary.tags),
        "Nodes": go_list(summary.nodes),
        "ExternalSources": go_list(summary.external_sources),
        "InstanceCount": summary.instance_count,
        "ChecksPassing": summary.passing,
        "ChecksWarning": summary.warning,
        "ChecksCritical": summary.critical,
        "GatewayConfig": gateway_config,
        "TransparentProxy": summary.transparent,
    }


@query
def _gateway_services_nodes(db: Db, gateway: str) -> Content:
    rows: dict[str, list[GatewayService]] = {}
    for row in gateway_services(db, gateway):
        rows.setdefault(row.service, []).append(row)
    objects = [
        summary_object(_instances_summary(db, service), _addresses(rows[service], datacenter(db)))
        for service in sorted(rows)
    ]
    return Content(gateway_services_index(db), json_bytes(objects))


def _instances_summary(db: Db, service: str) -> ServiceSummary:
    checked = [catalog.with_checks(db, instance) for instance in catalog.instances(db, service).rows]
    found = {summary.name: summary for summary in summarize(checked)}
    return found.get(service, ServiceSummary(service))


def _addresses(rows: list[GatewayService], datacenter: str) -> dict[str, Any]:
    """Where clients find a service at an ingress gateway."""
    addresses = [
        f"{host}:{row.port}"
        for row in rows
        if row.port
        for host in row.hosts or (f"{row.service}.ingress.{datacenter}.{DNS_DOMAIN}",)
    ]
    return {"Addresses": addresses} if addresses else {}


@query
def _gateway_intentions(db: Db, gateway: str) -> Content:
    index = db.stamp(TableSelector(CONFIG_ENTRIES))
    seen: dict[tuple[str, str], FoundIntention] = {}
    for row in gateway_services(db, gateway):
        for intention in match_destination(intentions_to(db, row.service), row.service):
            stored = db.get(CONFIG_ENTRIES, (ServiceIntentions.kind, intention.destination_name))
            if stored is not None:
                key = (intention.source_name, intention.destination_name)
                seen.setdefault(key, FoundIntention(intention, stored.create_index, stored.modify_index))
    return Content(index, json_bytes([found.json_object() for found in seen.values()]))


@query
def _service_topology(db: Db, service: str, kind: str) -> Content:
    found = topology(db, service, kind)
    body = {
        "Protocol": found.protocol,
        "TransparentProxy": found.transparent,
        "Upstreams": [_neighbour_object(neighbour) for neighbour in found.upstreams],
        "Downstreams": [_neighbour_object(neighbour) for neighbour in found.downstreams],
        "FilteredByACLs": False,
    }
    return Content(max(_index(db), db.stamp(TableSelector(CONFIG_ENTRIES))), json_bytes(body))


def _neighbour_object(neighbour: Neighbour) -> dict[str, Any]:
    decision = neighbour.decision
    return {
        **summary_object(neighbour.summary, {}),
        "Source": neighbour.source,
        "Intention": {
            "Allowed": decision.allowed,
            "HasPermissions": decision.has_permissions,
            "ExternalSource": decision.external_source,
            "HasExact": decision.has_exact,
            "DefaultAllow": decision.default_allow,
        },
    }
