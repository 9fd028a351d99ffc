"""`/v1/agent/check*`, `/v1/agent/health/*`: checks of this agent, and what they come to.

Source: Consul 1.10 docs, "Check - Agent HTTP API"; agent/agent_endpoint.go.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pellucid.api.context import ApiContext
from pellucid.api.filtering import filtered
from pellucid.api.filtering.fields import HEALTH_CHECK
from pellucid.api.handlers.agent_services import SCRIPTS_DISABLED
from pellucid.api.handlers.parameters import decoded_body, filter_of
from pellucid.api.outcome import Commit, Content, Outcome, Read
from pellucid.api.query_options import query_options
from pellucid.api.registrations import agent_service, check_added, check_removed
from pellucid.api.request import Request
from pellucid.api.response import JSON, HttpError, Response, json_bytes, json_response, text_response
from pellucid.api.shapes import agent_check_object, agent_service_object, client_check_object
from pellucid.api.workload_access import require_instance
from pellucid.derive.agent_views import (
    LocalInstance,
    local_checks,
    local_instance,
    local_instances_named,
    worst_status,
)
from pellucid.derive.engine import Db, query
from pellucid.model.checks import CheckDefinition, CheckStatus
from pellucid.model.definitions import CheckRegistration
from pellucid.model.go_text import quote
from pellucid.rules.checks import check_definition, check_error, is_known_status
from pellucid.state.mesh_tables import CHECK_DEFINITIONS, CHECKS
from pellucid.state.tables import Put

_STATUS_CODES = {"passing": 200, "warning": 429, "critical": 503, "maintenance": 503}


def checks(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/checks`"""
    options = query_options(request, context.datacenter)
    args = (context.agent.node_name, filter_of(request))
    return Read(_checks, args, options, None, sends_index=False, by_hash=True, repeatable=True)


@query
def _checks(db: Db, node: str, expression: str) -> Content:
    objects = map(agent_check_object, local_checks(db, node))
    return Content(
        0, json_bytes({item["CheckID"]: item for item in filtered(expression, HEALTH_CHECK, objects)})
    )


def register_check(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/check/register`"""
    given = decoded_body(request, CheckRegistration)
    state, node = context.head, context.agent.node_name
    if not given.name:
        raise HttpError(400, "Missing check name")
    if not is_known_status(given.status):
        raise HttpError(400, "Bad check status")
    if fault := check_error(given):
        raise HttpError(400, f"Invalid check: {fault}")
    if (given.script_args or given.args) and not context.settings.enable_script_checks:
        raise HttpError(500, SCRIPTS_DISABLED)
    service = agent_service(state, node, given.service_id) if given.service_id else None
    if given.service_id and service is None:
        raise HttpError(500, f"ServiceID {quote(given.service_id)} does not exist")
    if service is not None:
        require_instance(state, request, service)
    definition = check_definition(
        given, node=node, check_id=given.name, name=given.name, service_id=given.service_id
    )
    return Commit(check_added(state, definition, service))


def deregister_check(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/check/deregister/:id`; an unknown id is fine."""
    check_id = request.below
    node = context.agent.node_name
    definition = context.head.get(CHECK_DEFINITIONS, (node, check_id))
    if definition is None:
        return Response()
    _require_owner(context, request, definition.value)
    return Commit(check_removed(node, check_id))


def pass_check(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/check/pass/:id?note=`"""
    return _noted(context, request, CheckStatus.PASSING)


def warn_check(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/check/warn/:id?note=`"""
    return _noted(context, request, CheckStatus.WARNING)


def fail_check(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/check/fail/:id?note=`"""
    return _noted(context, request, CheckStatus.CRITICAL)


class CheckUpdate(msgspec.Struct, frozen=True):
    """The body of `PUT /v1/agent/check/update/:id`."""

    status: str = ""
    output: str = ""


def update_check(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/agent/check/update/:id`"""
    update = decoded_body(request, CheckUpdate)
    if not update.status or not is_known_status(update.status):
        raise HttpError(400, f"Invalid check status: '{update.status}'")
    check_id = request.below
    return _reported(context, request, check_id, CheckStatus(update.status), update.output)


def _noted(context: ApiContext, request: Request, status: CheckStatus) -> Outcome:
    return _reported(context, request, request.below, status, request.parameters.get("note"))


def _reported(
    context: ApiContext, request: Request, check_id: str, status: CheckStatus, output: str
) -> Outcome:
    key = (context.agent.node_name, check_id)
    definition, check = context.head.get(CHECK_DEFINITIONS, key), context.head.get(CHECKS, key)
    if definition is None or check is None or not definition.value.ttl_ns:
        raise HttpError(500, f"CheckID {quote(check_id)} does not have associated TTL")
    _require_owner(context, request, definition.value)
    shown = _shortened(output, definition.value.output_max_size)
    after = msgspec.structs.replace(check.value, status=status, output=shown)
    return Commit(
        (Put(CHECKS, after),), committed=lambda: context.ttl_checks.reported(check_id, status, shown)
    )


def _shortened(output: str, limit: int) -> str:
    if len(output) <= limit:
        return output
    return f"{output[:limit]} ... (captured {limit} of {len(output)} bytes)"


def _require_owner(context: ApiContext, request: Request, definition: CheckDefinition) -> None:
    """Let pass what may change the checked service: a check can end it. Raises HttpError 403."""
    service = agent_service(context.head, definition.node, definition.service_id)
    if service is not None:
        require_instance(context.head, request, service)


# Health of services, for load balancers and scripts


def health_by_id(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/health/service/id/:id`"""
    service_id = request.below
    if not service_id:
        raise HttpError(500, "Bad request: Missing serviceID")
    instance = local_instance(context.engine.db, context.agent.node_name, service_id)
    if instance is None:
        reason = f"ServiceId {service_id} not found"
        unknown = {"AggregatedStatus": "critical", "Service": None, "Checks": None}
        return _health_answer(request, 404, reason, unknown)
    status = instance.status
    return _health_answer(request, _STATUS_CODES[status], status, _health_object(context, instance))


def health_by_name(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/health/service/name/:name`; the worst instance sets the status."""
    name = request.below
    if not name:
        raise HttpError(500, "Bad request: Missing service Name")
    instances = local_instances_named(context.engine.db, context.agent.node_name, name)
    if not instances:
        return _health_answer(request, 404, f"ServiceName {name} Not Found", [])
    status = worst_status(tuple(instance.status for instance in instances))
    objects = [_health_object(context, instance) for instance in instances]
    return _health_answer(request, _STATUS_CODES[status], status, objects)


def _health_answer(request: Request, code: int, reason: str, value: Any) -> Response:
    headers = (("X-Consul-Reason", reason),)
    if _wants_text(request):
        return text_response(reason, code, content_type="text/plain", headers=headers)
    response = json_response(value, code, headers=headers)
    return Response(code, response.body, JSON, headers)


def _wants_text(request: Request) -> bool:
    accepts = request.headers.get("accept", "")
    return request.parameters.get("format") == "text" or accepts.startswith("text/plain")


def _health_object(context: ApiContext, instance: LocalInstance) -> dict[str, Any]:
    shown = instance.shown
    return {
        "AggregatedStatus": instance.status,
        "Service": agent_service_object(shown.service.value, shown.proxy, context.datacenter),
        "Checks": [client_check_object(check) for check in instance.checks],
    }
