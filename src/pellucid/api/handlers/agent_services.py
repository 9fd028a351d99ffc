"""`/v1/agent/service*`: what this agent has registered, and registering it.

Source: Consul 1.10 docs, "Service - Agent HTTP API"; agent/agent_endpoint.go.
"""

from __future__ import annotations

import hashlib

from pellucid.api.context import ApiContext
from pellucid.api.filtering import filtered
from pellucid.api.filtering.fields import AGENT_SERVICE
from pellucid.api.handlers.parameters import decoded_body, filter_of, named, required_switch
from pellucid.api.outcome import Commit, Content, Outcome, Read
from pellucid.api.query_options import check_namespace, query_options
from pellucid.api.registrations import (
    agent_service,
    check_removed,
    credentials,
    deregistered,
    in_maintenance,
    maintenance_check_id,
    ports_in_use,
    registered,
)
from pellucid.api.request import Request
from pellucid.api.response import Headers, HttpError, Response, json_bytes
from pellucid.api.shapes import agent_service_object
from pellucid.api.workload_access import (
    CREDENTIAL_PARAMETER,
    holds_credential,
    identity_of,
    instances_using,
    require_instance,
    speaks_for,
)
from pellucid.derive.agent_views import local_service, local_services
from pellucid.derive.engine import Db, query
from pellucid.derive.identity import datacenter
from pellucid.identity.credentials import hash_of, mint
from pellucid.model.definitions import ServiceDefinition
from pellucid.model.go_text import quote
from pellucid.model.identity import CREDENTIAL_HEADER
from pellucid.model.services import Service
from pellucid.rules.registration import Registration, register
from pellucid.rules.service_definition import RegistrationError
from pellucid.rules.sidecar import SidecarError
from pellucid.state.mesh_tables import CREDENTIALS, SERVICES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change, Delete

SCRIPTS_DISABLED = (
    "Scripts are disabled on this agent from remote calls; "
    "to enable, configure 'enable_script_checks' to true"
)


def services(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/services`"""
    check_namespace(request)
    options = query_options(request, context.datacenter)
    args = (context.agent.node_name, filter_of(request))
    return Read(_services, args, options, None, sends_index=False, by_hash=True, repeatable=True)


def service(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/service/:id`; `?hash=` waits for another content."""
    options = query_options(request, context.datacenter)
    service_id = request.below
    args = (context.agent.node_name, service_id)
    return Read(_service, args, options, None, sends_index=False, by_hash=True, repeatable=True)


@query
def _services(db: Db, node: str, expression: str) -> Content:
    objects = [
        agent_service_object(shown.service.value, shown.proxy, datacenter(db))
        for shown in local_services(db, node)
    ]
    chosen = filtered(expression, AGENT_SERVICE, objects)
    return Content(0, json_bytes({item["ID"]: item for item in chosen}))


@query
def _service(db: Db, node: str, service_id: str) -> Content:
    shown = local_service(db, node, service_id)
    if shown is None:
        raise HttpError(404, f"unknown service ID: {service_id}")
    without_hash = agent_service_object(shown.service.value, shown.proxy, datacenter(db))
    content_hash = hashlib.blake2b(json_bytes(without_hash), digest_size=8).hexdigest()
    body = json_bytes(agent_service_object(shown.service.value, shown.proxy, datacenter(db), content_hash))
    headers: Headers = (("X-Consul-ContentHash", content_hash),)
    return Content(0, body, headers=headers, content_hash=content_hash)


# Registering


def register_service(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/service/register`"""
    definition = decoded_body(request, ServiceDefinition)
    state, node = context.head, context.agent.node_name
    registration = _registration(context, definition)
    _refuse_scripts(context, registration)
    services = _services_of(registration)
    for service in services:
        existing = state.get(SERVICES, (node, service.id))
        if existing is not None:
            require_instance(state, request, existing.value)
    changes = registered(state, registration, replace_checks=_replaces_checks(request))
    credential_changes, headers = _credential(state, request, services)
    return Commit((*changes, *credential_changes), Response(headers=headers))


def _registration(context: ApiContext, definition: ServiceDefinition) -> Registration:
    node = context.agent.node_name
    sidecar = definition.connect.sidecar_service if definition.connect else None
    # Looking at every port costs what every service costs; only a sidecar without a port needs it.
    needs_port = sidecar is not None and not sidecar.port
    try:
        return register(
            definition,
            node=node,
            ports_in_use=ports_in_use(context.head, node) if needs_port else {},
            sidecar_ports=context.settings.sidecar_ports,
        )
    except SidecarError as error:
        raise HttpError(500, str(error)) from error
    except RegistrationError as error:
        raise HttpError(400, str(error)) from error


def _refuse_scripts(context: ApiContext, registration: Registration) -> None:
    checks = (*registration.checks, *registration.sidecar_checks)
    if not context.settings.enable_script_checks and any(check.script_args for check in checks):
        raise HttpError(500, SCRIPTS_DISABLED)


def _services_of(registration: Registration) -> tuple[Service, ...]:
    sidecar = registration.sidecar
    return (registration.service,) if sidecar is None else (registration.service, sidecar)


def _replaces_checks(request: Request) -> bool:
    given = request.parameters
    return "replace-existing-checks" in given and given.get("replace-existing-checks") in ("", "true")


def _credential(
    state: Snapshot, request: Request, services: tuple[Service, ...]
) -> tuple[tuple[Change, ...], Headers]:
    """The credential changes of a registration, and the header that tells a new secret.

    Nobody gets a credential for a service that is there already by merely registering one more
    instance of it from elsewhere: such a caller must speak for the service.
    """
    node, service_id = services[0].node, services[0].id
    if not request.peer.is_local and not all(_may_join(state, request, service) for service in services):
        return tuple(Delete(CREDENTIALS, (node, service.id)) for service in services), ()
    stored = state.get(CREDENTIALS, (node, service_id))
    if stored is not None and request.parameters.get(CREDENTIAL_PARAMETER) != "new":
        return credentials(stored.value.secret_sha256, services), ()
    secret, _ = mint(node, service_id)
    return credentials(hash_of(secret), services), ((CREDENTIAL_HEADER, secret),)


def _may_join(state: Snapshot, request: Request, service: Service) -> bool:
    identity = identity_of(service)
    others = [other for other in instances_using(state, identity) if other.id != service.id]
    return not others or speaks_for(state, request, identity)


def deregister_service(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/service/deregister/:id`; an unknown id is fine."""
    service_id = named(request, "Missing service ID")
    node = context.agent.node_name
    service = agent_service(context.head, node, service_id)
    if service is None:
        return Response()
    require_instance(context.head, request, service)
    return Commit(deregistered(context.head, node, service_id))


def service_maintenance(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/service/maintenance/:id?enable=`"""
    service_id = named(request, "Missing service ID")
    enable = required_switch(request, "enable")
    node = context.agent.node_name
    service = agent_service(context.head, node, service_id)
    if service is None:
        raise HttpError(404, f"No service registered with ID {quote(service_id)}")
    require_instance(context.head, request, service)
    if enable:
        return Commit(in_maintenance(node, service, request.parameters.get("reason")))
    return Commit(check_removed(node, maintenance_check_id(service)))


# Credentials


def issue_credential(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/connect/credential/:id`: a new secret for an instance, whose old one ends.

    Ours, not Consul's. For programs on this machine, or with the credential it replaces.
    """
    service_id = named(request, "Missing service ID")
    state, node = context.head, context.agent.node_name
    service = agent_service(state, node, service_id)
    if not request.peer.is_local and not holds_credential(state, request, node, service_id):
        raise HttpError(403, "Permission denied: a new credential needs the current one as token")
    if service is None:
        raise HttpError(404, f"unknown service ID: {service_id}")
    secret, credential = mint(node, service_id)
    changes = credentials(credential.secret_sha256, (service,))
    body = json_bytes({"ServiceID": service_id, "Credential": secret})
    return Commit(changes, Response(200, body, "application/json", ((CREDENTIAL_HEADER, secret),)))
