"""`/v1/health`: instances with their checks, and checks by node, service and state.

Source: Consul 1.10 docs, "Health HTTP API"; agent/health_endpoint.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pellucid.api.context import ApiContext
from pellucid.api.filtering import filtered
from pellucid.api.filtering.fields import CHECKED_SERVICE, HEALTH_CHECK
from pellucid.api.handlers.catalog_reads import has_tags
from pellucid.api.handlers.parameters import filter_of, named, node_meta
from pellucid.api.outcome import Content, Outcome, Read
from pellucid.api.query_options import (
    FAILED_QUERY,
    QueryOptions,
    consistent,
    parse_bool,
    query_options,
    streamed,
)
from pellucid.api.request import Request
from pellucid.api.response import HttpError, json_bytes
from pellucid.api.shapes import check_object, node_object, node_service_object
from pellucid.derive import catalog
from pellucid.derive.catalog import Instance, Listed, MetaFilter
from pellucid.derive.engine import Db, Query, query
from pellucid.derive.gateways import gateway_services_index, ingress_gateways_of
from pellucid.model.checks import CheckStatus, HealthCheck
from pellucid.state.tables import Stored


def node(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/health/node/:node`"""
    options = query_options(request, context.datacenter)
    name = named(request, "Missing node name")
    return _checks_read(options, _node_checks, name, filter_of(request))


def checks(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/health/checks/:service`"""
    options = query_options(request, context.datacenter)
    name = named(request, "Missing service name")
    return _checks_read(options, _service_checks, name, node_meta(request), filter_of(request))


def state(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/health/state/:state`"""
    options = query_options(request, context.datacenter)
    name = named(request, "Missing check state")
    return _checks_read(options, _checks_in_state, name, node_meta(request), filter_of(request))


def service(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/health/service/:name`"""
    return _instances_read(context, request, "service")


def connect(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/health/connect/:name`"""
    return _instances_read(context, request, "connect")


def ingress(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/health/ingress/:name`"""
    return _instances_read(context, request, "ingress")


def _checks_read(options: QueryOptions, query: Query[..., Content], *args: Any) -> Read:
    return Read(query, args, options, consistent(options), on_error=FAILED_QUERY, repeatable=True)


def _instances_read(context: ApiContext, request: Request, by: str) -> Read:
    options = query_options(request, context.datacenter)
    name = named(request, "Missing service name")
    given = request.parameters
    passing = "passing" in given
    if given.get("passing"):
        wanted = parse_bool(given.get("passing"))
        if wanted is None:
            index = _listed(context.engine.db, by, name).index
            raise HttpError(400, "Invalid value for ?passing", consistent(options).headers(index))
        passing = wanted
    is_streamed = by != "ingress" and "near" not in given and (options.cached or options.index > 0)
    return Read(
        _checked_instances,
        (by, name, given.all("tag"), node_meta(request), passing, filter_of(request)),
        options,
        streamed(options) if is_streamed else consistent(options),
        repeatable=True,
    )


def _listed(db: Db, by: str, name: str) -> Listed[Instance]:
    match by:
        case "connect":
            return catalog.connect_instances(db, name)
        case "ingress":
            return _ingress_instances(db, name)
    return catalog.instances(db, name)


@query
def _ingress_instances(db: Db, service: str) -> Listed[Instance]:
    listed = [catalog.instances(db, gateway) for gateway in ingress_gateways_of(db, service)]
    index = max((gateway_services_index(db), *(gateway.index for gateway in listed)))
    return Listed(index, tuple(instance for gateway in listed for instance in gateway.rows))


@query
def _checked_instances(
    db: Db,
    by: str,
    name: str,
    tags: tuple[str, ...],
    meta: MetaFilter,
    passing: bool,
    expression: str,
) -> Content:
    listed = _listed(db, by, name)
    chosen = (
        catalog.with_checks(db, instance)
        for instance in listed.rows
        if has_tags(instance, tags) and catalog.has_meta(instance.node.value, meta)
    )
    objects = (
        {
            "Node": node_object(found.instance.node),
            "Service": node_service_object(found.instance.service, found.instance.proxy),
            "Checks": [check_object(check) for check in found.checks],
        }
        for found in chosen
        if not passing or _all_passing(found.checks)
    )
    return Content(listed.index, json_bytes(filtered(expression, CHECKED_SERVICE, objects)))


def _all_passing(checks: Iterable[Stored[HealthCheck]]) -> bool:
    return all(stored.value.status is CheckStatus.PASSING for stored in checks)


@query
def _node_checks(db: Db, name: str, expression: str) -> Content:
    return _checks_content(catalog.node_checks(db, name), expression)


@query
def _service_checks(db: Db, name: str, meta: MetaFilter, expression: str) -> Content:
    return _checks_content(catalog.service_checks(db, name, meta), expression)


@query
def _checks_in_state(db: Db, state: str, meta: MetaFilter, expression: str) -> Content:
    return _checks_content(catalog.checks_in_state(db, state, meta), expression)


def _checks_content(listed: Listed[Stored[HealthCheck]], expression: str) -> Content:
    objects = map(check_object, listed.rows)
    return Content(listed.index, json_bytes(filtered(expression, HEALTH_CHECK, objects)))
