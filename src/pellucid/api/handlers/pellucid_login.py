"""`/v1/pellucid/login`: a pod proves who it is, and gets what opens its own sidecar's configuration.

`/v1/pellucid/credential`: whether that still opens it.

Ours, not Consul's. The token is bound to a pod, so it speaks for the instances of that very pod and no other;
what it is answered with is their workload credential, which replaces an earlier one.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from pellucid.api.callers import Caller, TokenRefused, TokensUnavailable
from pellucid.api.context import ApiContext
from pellucid.api.handlers.parameters import decoded_body
from pellucid.api.outcome import Outcome
from pellucid.api.registrations import credentials
from pellucid.api.request import Peer, Request
from pellucid.api.response import HttpError, Response, json_response
from pellucid.api.workload_access import holds_credential
from pellucid.derive.engine import Db, query
from pellucid.identity.credentials import mint
from pellucid.model.durations import SECOND, DurationError, parse_duration
from pellucid.model.pods import POD_NAME, POD_NAMESPACE
from pellucid.model.services import Service
from pellucid.state.mesh_tables import SERVICES
from pellucid.state.snapshot import Snapshot

logger = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 300.0


class LoginBody(msgspec.Struct, frozen=True):
    """The body of `PUT /v1/pellucid/login`."""

    bearer_token: str = ""


def login(context: ApiContext, request: Request) -> Outcome:
    """`PUT /v1/pellucid/login?wait=`: waits so long for the pod's registration."""
    body = decoded_body(request, LoginBody)
    if context.tokens is None:
        raise HttpError(
            404, "there is no login here: the agent does not run with pellucid.kubernetes enabled"
        )
    return _answered(context, request.peer, body.bearer_token, _wait_seconds(request))


def credential(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/pellucid/credential/<service id>?node=`: whether the request's token is that of this instance.

    There is one answer for a wrong credential and for an instance that is not there.
    """
    service_id = request.below
    if not holds_credential(context.head, request, request.parameters.get("node"), service_id):
        raise HttpError(403, f'Permission denied: the token is not the workload credential of "{service_id}"')
    return json_response(True)


async def _answered(context: ApiContext, peer: Peer, token: str, wait_s: float) -> Response:
    try:
        return await _login(context, peer, token, wait_s)
    except HttpError as refused:
        logger.warning("no login for %s: %s", peer.address, refused.text)
        raise


async def _login(context: ApiContext, peer: Peer, token: str, wait_s: float) -> Response:
    caller = await known_caller(context, peer, token)
    if not caller.pod_uid:
        raise HttpError(403, "Permission denied: the token is not bound to a pod; mount a projected one")
    try:
        async with asyncio.timeout(wait_s):
            await _registered(context, caller.pod_uid)
    except TimeoutError:
        raise HttpError(404, _unregistered(caller)) from None
    services = _instances(context.head, caller)
    if not services:
        raise HttpError(404, _unregistered(caller))
    logger.info("pod %s/%s logged in as %s", caller.namespace, caller.pod_name, services[-1].id)
    secret, credential = mint(services[0].node, services[0].id)
    await context.log.commit(credentials(credential.secret_sha256, services, caller.pod_uid))
    return json_response(
        {
            "Node": services[0].node,
            "Services": [
                {"ID": service.id, "Name": service.name, "Kind": service.kind, "Credential": secret}
                for service in services
            ],
        }
    )


async def known_caller(context: ApiContext, peer: Peer, token: str) -> Caller:
    """Whose token it is. Raises HttpError: 403 with the reason, 503 when nobody can say."""
    assert context.tokens is not None
    if not peer.keeps_secrets:
        raise HttpError(403, "Permission denied: the token came in plain text; send it over HTTPS")
    try:
        return await context.tokens.caller(token)
    except TokenRefused as refused:
        raise HttpError(403, f"Permission denied: {refused}") from refused
    except TokensUnavailable as unavailable:
        raise HttpError(503, str(unavailable)) from unavailable


@query
def pod_has_sidecar(db: Db, pod_uid: str) -> bool:
    """True once a pod's sidecar is registered; its service is by then."""
    return any(not stored.value.is_typical for stored in db.rows(SERVICES, "pod", pod_uid))


async def _registered(context: ApiContext, pod_uid: str) -> None:
    changed = asyncio.Event()
    subscription = context.engine.subscribe(pod_has_sidecar, changed.set, pod_uid)
    try:
        while not subscription.value:
            await changed.wait()
            changed.clear()
    finally:
        subscription.close()


def _instances(state: Snapshot, caller: Caller) -> tuple[Service, ...]:
    """The pod's instances, by its uid, and by name and namespace, which a registration says besides."""
    services = (stored.value for stored in state.rows(SERVICES, "pod", caller.pod_uid))
    return tuple(
        service
        for service in services
        if service.meta
        and service.meta.get(POD_NAME) == caller.pod_name
        and service.meta.get(POD_NAMESPACE) == caller.namespace
    )


def _unregistered(caller: Caller) -> str:
    return (
        f"pod {caller.namespace}/{caller.pod_name} has no service registered yet: "
        "the endpoints controller registers it once it has an address"
    )


def _wait_seconds(request: Request) -> float:
    text = request.parameters.get("wait") or "0s"
    try:
        return min(parse_duration(text) / SECOND, MAX_WAIT_SECONDS)
    except DurationError as error:
        raise HttpError(400, f"Invalid wait time: {error}") from None
