"""`/v1/catalog`: reading what is registered.

Source: Consul 1.10 docs, "Catalog HTTP API"; agent/catalog_endpoint.go.
"""

from __future__ import annotations

from typing import Any

from pellucid.api.context import ApiContext
from pellucid.api.filtering import filtered
from pellucid.api.filtering.fields import CATALOG_SERVICE, NODE, NODE_SERVICE
from pellucid.api.handlers.parameters import filter_of, named, node_meta
from pellucid.api.outcome import Content, Outcome, Read
from pellucid.api.query_options import FAILED_QUERY, consistent, query_options
from pellucid.api.request import Request
from pellucid.api.response import json_bytes, json_response
from pellucid.api.shapes import catalog_service_object, node_object, node_service_object
from pellucid.derive import catalog
from pellucid.derive.catalog import Instance, Listed, MetaFilter
from pellucid.derive.engine import Db, Query, query
from pellucid.derive.gateways import GatewayService, gateway_services, gateway_services_index


def datacenters(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/catalog/datacenters`"""
    query_options(request, context.datacenter)
    return json_response([context.datacenter])


def nodes(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/catalog/nodes`. `?near` sorts by distance, and there is one place only."""
    return _read(context, request, _nodes, node_meta(request), filter_of(request))


def services(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/catalog/services`"""
    return _read(context, request, _services, node_meta(request))


def service(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/catalog/service/:name`"""
    return _service(context, request, connect=False)


def connect(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/catalog/connect/:name`"""
    return _service(context, request, connect=True)


def node(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/catalog/node/:node`"""
    query_options(request, context.datacenter)
    name = named(request, "Missing node name")
    return _read(context, request, _node, name, filter_of(request))


def node_services(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/catalog/node-services/:node`"""
    query_options(request, context.datacenter)
    name = named(request, "Missing node name")
    return _read(context, request, _node_services, name, filter_of(request))


def gateway(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/catalog/gateway-services/:gateway`"""
    query_options(request, context.datacenter)
    name = named(request, "Missing gateway name")
    return _read(context, request, _gateway_services, name)


def _service(context: ApiContext, request: Request, *, connect: bool) -> Outcome:
    query_options(request, context.datacenter)
    name = named(request, "Missing service name")
    tags = request.parameters.all("tag")
    return _read(
        context, request, _service_instances, name, connect, tags, node_meta(request), filter_of(request)
    )


def _read(context: ApiContext, request: Request, query: Query[..., Content], *args: Any) -> Read:
    options = query_options(request, context.datacenter)
    return Read(query, args, options, consistent(options), on_error=FAILED_QUERY, repeatable=True)


@query
def _nodes(db: Db, meta: MetaFilter, expression: str) -> Content:
    listed = catalog.nodes(db, meta)
    return Content(listed.index, json_bytes(filtered(expression, NODE, map(node_object, listed.rows))))


@query
def _services(db: Db, meta: MetaFilter) -> Content:
    listed = catalog.services(db, meta)
    return Content(listed.index, json_bytes({name: list(tags) for name, tags in listed.rows}))


@query
def _service_instances(
    db: Db, name: str, connect: bool, tags: tuple[str, ...], meta: MetaFilter, expression: str
) -> Content:
    listed = catalog.connect_instances(db, name) if connect else catalog.instances(db, name)
    objects = (
        catalog_service_object(instance.node.value, instance.service, instance.proxy)
        for instance in listed.rows
        if has_tags(instance, tags) and catalog.has_meta(instance.node.value, meta)
    )
    return Content(listed.index, json_bytes(filtered(expression, CATALOG_SERVICE, objects)))


@query
def _node(db: Db, name: str, expression: str) -> Content:
    found = catalog.node(db, name)
    if found is None:
        return Content(0, b"null")
    listed = catalog.node_instances(db, name)
    services = {item["ID"]: item for item in _node_service_objects(listed, expression)}
    return Content(listed.index, json_bytes({"Node": node_object(found), "Services": services}))


@query
def _node_services(db: Db, name: str, expression: str) -> Content:
    found = catalog.node(db, name)
    if found is None:
        return Content(0, json_bytes({"Node": None, "Services": None}))
    listed = catalog.node_instances(db, name)
    services = _node_service_objects(listed, expression)
    return Content(listed.index, json_bytes({"Node": node_object(found), "Services": services}))


def _node_service_objects(listed: Listed[Instance], expression: str) -> list[Any]:
    objects = (node_service_object(instance.service, instance.proxy) for instance in listed.rows)
    return filtered(expression, NODE_SERVICE, objects)


@query
def _gateway_services(db: Db, gateway: str) -> Content:
    rows = [gateway_service_object(row) for row in gateway_services(db, gateway)]
    return Content(gateway_services_index(db), json_bytes(rows or None))


def gateway_service_object(row: GatewayService) -> dict[str, Any]:
    """A service behind a gateway; what is empty is left out."""
    settings = {
        "Port": row.port,
        "Protocol": row.protocol,
        "Hosts": list(row.hosts),
        "CAFile": row.ca_file,
        "CertFile": row.cert_file,
        "KeyFile": row.key_file,
        "SNI": row.sni,
        "FromWildcard": row.from_wildcard,
    }
    return {
        "Gateway": {"Name": row.gateway},
        "Service": {"Name": row.service},
        "GatewayKind": row.kind,
        **{key: value for key, value in settings.items() if value},
        "CreateIndex": row.create_index,
        "ModifyIndex": row.modify_index,
    }


def has_tags(instance: Instance, tags: tuple[str, ...]) -> bool:
    """True if the instance has every one of these tags, whatever their case."""
    own = {tag.lower() for tag in instance.service.value.tags}
    return all(tag.lower() in own for tag in tags)
