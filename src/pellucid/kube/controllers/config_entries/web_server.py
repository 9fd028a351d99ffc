"""The webhook over HTTPS: a path for each kind, and `/health/ready` for the kubelet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from lightkube import AsyncClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pellucid.kube.controllers.config_entries.admission import CREATE, answer, refusal_of
from pellucid.kube.controllers.config_entries.kinds import KINDS, VERSION, CustomKind
from pellucid.kube.webhook_server import TooLarge, body_of, readiness

ALL_NAMESPACES = "*"
REVIEW_VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")

Existing = Callable[[CustomKind], Awaitable[list[Mapping[str, Any]]]]

log = structlog.get_logger("pellucid.kube.config_entries")


def webhook_path(kind: CustomKind) -> str:
    """Where the API server asks about a kind."""
    return f"/mutate-{VERSION}-{kind.singular}"


def existing_resources(client: AsyncClient) -> Existing:
    """Asks the API server for all resources of a kind."""

    async def existing(kind: CustomKind) -> list[Mapping[str, Any]]:
        return [item async for item in client.list(kind.resource, namespace=ALL_NAMESPACES)]

    return existing


def application(existing: Existing, not_ready: Callable[[], str]) -> Starlette:
    """not_ready: what is still missing, empty when nothing is."""

    webhooks = [Route(webhook_path(kind), _webhook(kind, existing), methods=["POST"]) for kind in KINDS]
    return Starlette(routes=[*webhooks, readiness(not_ready)])


def _webhook(kind: CustomKind, existing: Existing) -> Callable[[Request], Awaitable[Response]]:
    async def review(request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await body_of(request), type=dict[str, Any])
            if problem := _not_a_review(asked):
                return PlainTextResponse(f"{problem}\n", 400)
            about = asked["request"]
            others = await existing(kind) if about.get("operation") == CREATE else []
            return JSONResponse(answer(asked, refusal_of(kind, about, others)))
        except msgspec.MsgspecError as error:
            return PlainTextResponse(f"{error}\n", 400)
        except TooLarge as error:
            return PlainTextResponse(f"{error}\n", 413)
        except Exception as error:
            # The reason reaches whoever writes the resource, through the API server.
            log.exception("a resource could not be looked at", kind=kind.name)
            return PlainTextResponse(f"the controller failed: {error}\n", 500)

    return review


def _not_a_review(asked: Mapping[str, Any]) -> str:
    """Why a request is no admission review of a resource; empty if it is one."""
    request = asked.get("request")
    if asked.get("apiVersion") not in REVIEW_VERSIONS or not isinstance(request, Mapping):
        return f"an AdmissionReview of {' or '.join(REVIEW_VERSIONS)} is needed"
    item = request.get("object")
    if not isinstance(item, Mapping) or not isinstance(item.get("metadata"), Mapping):
        return "request.object is no resource"
    return "" if "name" in item["metadata"] else "request.object.metadata.name is needed"
