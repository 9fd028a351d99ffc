"""`/v1/catalog/register` and `/v1/catalog/deregister`: what no agent of ours runs.

What this agent itself holds (its node, its server, what was registered with it) is out of reach here.
Consul lets the catalog be changed under an agent, which puts it right again with its next sync; ours
is right all the time, and such requests are answered as Consul answers them.

Source: Consul 1.10 docs, "Catalog HTTP API"; agent/consul/catalog_endpoint.go,
agent/consul/state/catalog.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from pellucid.api.context import ApiContext
from pellucid.api.handlers.parameters import decoded_body
from pellucid.api.outcome import Commit, Outcome
from pellucid.api.query_options import check_datacenter
from pellucid.api.registrations import (
    agent_service,
    check_removed,
    credential_of_another_pod_removed,
    deregistered,
    virtual_addresses,
)
from pellucid.api.request import Request
from pellucid.api.response import HttpError, json_response
from pellucid.model.checks import SERF_HEALTH, CheckStatus, HealthCheck, is_maintenance
from pellucid.model.definitions import ServiceDefinition, WeightsDefinition
from pellucid.model.durations import Duration, format_duration
from pellucid.model.go_text import errors_occurred, quote
from pellucid.model.names import SERVER_SERVICE, is_uuid
from pellucid.model.services import Node, Origin, Proxy, Service, ServiceAddress
from pellucid.rules.service_definition import RegistrationError, service_of, structural_errors
from pellucid.state.mesh_tables import CHECK_DEFINITIONS, CHECKS, NODES, SERVICES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change, Delete, Put


class CatalogConnect(msgspec.Struct, frozen=True):
    """`Connect` of a catalog service."""

    native: bool = False


class CatalogService(msgspec.Struct, frozen=True):
    """The service of a catalog registration."""

    kind: str = ""
    id: str = ""
    service: str = ""
    tags: tuple[str, ...] = ()
    address: str = ""
    tagged_addresses: Mapping[str, ServiceAddress] | None = None
    meta: Mapping[str, str] | None = None
    port: int = 0
    socket_path: str = ""
    weights: WeightsDefinition | None = None
    enable_tag_override: bool = False
    proxy: Proxy | None = None
    connect: CatalogConnect | None = None
    create_index: int = 0
    modify_index: int = 0


class CheckDefinitionFields(msgspec.Struct, frozen=True):
    """How a catalog check is run by whoever runs it; kept to be shown."""

    http: str = ""
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    header: Mapping[str, tuple[str, ...]] | None = None
    method: str = ""
    body: str = ""
    tcp: str = ""
    interval: Duration = 0
    timeout: Duration = 0
    deregister_critical_service_after: Duration = 0


class CatalogCheck(msgspec.Struct, frozen=True):
    """A check of a catalog registration."""

    node: str = ""
    check_id: str = ""
    name: str = ""
    status: str = ""
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    service_tags: tuple[str, ...] = ()
    type: str = ""
    exposed_port: int = 0
    definition: CheckDefinitionFields | None = None
    create_index: int = 0
    modify_index: int = 0


class CatalogRegistration(msgspec.Struct, frozen=True):
    """The body of `PUT /v1/catalog/register`."""

    datacenter: str = ""
    id: str = ""
    node: str = ""
    address: str = ""
    tagged_addresses: Mapping[str, str] | None = None
    node_meta: Mapping[str, str] | None = None
    service: CatalogService | None = None
    check: CatalogCheck | None = None
    checks: tuple[CatalogCheck, ...] = ()
    skip_node_update: bool = False


class CatalogDeregistration(msgspec.Struct, frozen=True):
    """The body of `PUT /v1/catalog/deregister`: a service, a check, or else the whole node."""

    datacenter: str = ""
    node: str = ""
    address: str = ""
    service_id: str = ""
    check_id: str = ""


def register(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/catalog/register`"""
    given = decoded_body(request, CatalogRegistration)
    check_datacenter(given.datacenter or request.parameters.get("dc"), context.datacenter)
    state = context.head
    if not given.node:
        raise HttpError(500, "Must provide node")
    if given.id and not is_uuid(given.id):
        raise HttpError(500, f"Bad node ID: uuid string is wrong length: {quote(given.id)} is no UUID")
    if not given.address and not given.skip_node_update:
        raise HttpError(500, "Must provide address if SkipNodeUpdate is not set")
    own_node = context.agent.node_name
    changes: list[Change] = []
    if given.node != own_node:
        changes += _node_changes(state, given, context.datacenter)
    service = _service(given) if given.service is not None else None
    if service is not None and not _is_agents(state, own_node, service.node, service.id):
        changes += (Put(SERVICES, service), *virtual_addresses(state, (service,)))
        changes += credential_of_another_pod_removed(state, service)
    for given_check in (*given.checks, *((given.check,) if given.check else ())):
        check = _health_check(state, given, given_check, service)
        if not _runs_check(state, own_node, check.node, check.check_id):
            changes.append(Put(CHECKS, check))
    return Commit(changes, json_response(True))


def _is_agents(state: Snapshot, own_node: str, node: str, service_id: str) -> bool:
    """True for the agent's server and for what was registered with it."""
    if node != own_node:
        return False
    return service_id == SERVER_SERVICE or agent_service(state, node, service_id) is not None


def _runs_check(state: Snapshot, own_node: str, node: str, check_id: str) -> bool:
    """True for the checks whose results the agent itself reports."""
    if node != own_node:
        return False
    known = state.get(CHECK_DEFINITIONS, (node, check_id)) is not None
    return known or check_id == SERF_HEALTH or is_maintenance(check_id)


def _node_changes(state: Snapshot, given: CatalogRegistration, datacenter: str) -> Iterator[Change]:
    known = state.get(NODES, (given.node,))
    if known is not None and given.skip_node_update:
        return
    node = Node(
        name=given.node,
        address=given.address,
        id=given.id or (known.value.id if known else ""),
        datacenter=datacenter,
        tagged_addresses=given.tagged_addresses,
        meta=given.node_meta,
    )
    yield Put(NODES, node)


def _service(given: CatalogRegistration) -> Service:
    wanted = given.service
    assert wanted is not None
    if wanted.id and not wanted.service:
        raise HttpError(500, "Must provide service name with ID")
    if wanted.address in ("0.0.0.0", "::", "[::]"):  # noqa: S104 - refused, not bound
        raise HttpError(500, "Invalid service address")
    definition = ServiceDefinition(
        kind=wanted.kind,
        id=wanted.id or wanted.service,
        name=wanted.service,
        tags=wanted.tags,
        address=wanted.address,
        meta=wanted.meta,
        port=wanted.port,
        socket_path=wanted.socket_path,
        weights=wanted.weights,
        enable_tag_override=wanted.enable_tag_override,
        proxy=wanted.proxy,
    )
    try:
        service = service_of(definition, node=given.node, origin=Origin.CATALOG)
    except RegistrationError as error:
        raise HttpError(500, str(error)) from error
    service = msgspec.structs.replace(
        service,
        # Unlike an agent, the catalog adds no lan_* and wan_* addresses of its own.
        tagged_addresses=wanted.tagged_addresses,
        connect_native=wanted.connect is not None and wanted.connect.native,
    )
    if faults := structural_errors(service):
        raise HttpError(500, errors_occurred(faults))
    return service


def _health_check(
    state: Snapshot, given: CatalogRegistration, check: CatalogCheck, registered: Service | None
) -> HealthCheck:
    node = check.node or given.node
    if node != given.node:
        raise HttpError(500, f"check node {quote(node)} does not match the node {quote(given.node)}")
    service = registered if registered and registered.id == check.service_id else None
    if check.service_id and service is None:
        known = state.get(SERVICES, (node, check.service_id))
        if known is None:
            raise HttpError(
                500, f"failed inserting check: Missing service registration on node {quote(node)}"
            )
        service = known.value
    try:
        status = CheckStatus(check.status or CheckStatus.CRITICAL)
    except ValueError:
        raise HttpError(500, f"Invalid check status: {quote(check.status)}") from None
    return HealthCheck(
        node=node,
        check_id=check.check_id or check.name,
        name=check.name,
        status=status,
        notes=check.notes,
        output=check.output,
        service_id=check.service_id,
        service_name=service.name if service else "",
        service_tags=service.tags if service else (),
        type=check.type or _type_of(check.definition),
        exposed_port=check.exposed_port,
        definition=_definition_object(check.definition),
    )


def _type_of(definition: CheckDefinitionFields | None) -> str:
    if definition is None:
        return ""
    return "http" if definition.http else "tcp" if definition.tcp else ""


def _definition_object(definition: CheckDefinitionFields | None) -> Mapping[str, object] | None:
    if definition is None:
        return None
    shown = {
        "Interval": definition.interval and format_duration(definition.interval),
        "Timeout": definition.timeout and format_duration(definition.timeout),
        "DeregisterCriticalServiceAfter": definition.deregister_critical_service_after
        and format_duration(definition.deregister_critical_service_after),
        "HTTP": definition.http,
        "Header": {name: list(values) for name, values in sorted((definition.header or {}).items())},
        "Method": definition.method,
        "Body": definition.body,
        "TLSServerName": definition.tls_server_name,
        "TLSSkipVerify": definition.tls_skip_verify,
        "TCP": definition.tcp,
    }
    return {key: value for key, value in shown.items() if value} or None


def deregister(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/catalog/deregister`; what is not there is fine."""
    given = decoded_body(request, CatalogDeregistration)
    check_datacenter(given.datacenter or request.parameters.get("dc"), context.datacenter)
    if not given.node:
        raise HttpError(500, "Must provide node")
    return Commit(_removed(context.head, given, context.agent.node_name), json_response(True))


def _removed(state: Snapshot, given: CatalogDeregistration, own_node: str) -> tuple[Change, ...]:
    node = given.node
    if given.service_id:
        if _is_agents(state, own_node, node, given.service_id):
            return ()
        return deregistered(state, node, given.service_id)
    if given.check_id:
        return (
            () if _runs_check(state, own_node, node, given.check_id) else check_removed(node, given.check_id)
        )
    changes: list[Change] = [] if node == own_node else [Delete(NODES, (node,))]
    for stored in state.rows(SERVICES, "node", node):
        if not _is_agents(state, own_node, node, stored.value.id):
            changes += deregistered(state, node, stored.value.id)
    for check in state.rows(CHECKS, "node", node):
        if not _runs_check(state, own_node, node, check.value.check_id):
            changes += check_removed(node, check.value.check_id)
    return tuple(changes)
