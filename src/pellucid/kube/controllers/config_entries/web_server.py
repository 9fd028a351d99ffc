"""The webhook over HTTPS: a path for each kind, and `/health/ready` for the kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
from lightkube import ALL_NS, AsyncClient
from starlette.applications import Starlette
from starlette.routing import Route

from pellucid.kube.controllers.config_entries.admission import refusal_of
from pellucid.kube.controllers.config_entries.kinds import KINDS, VERSION, CustomKind
from pellucid.kube.pods import Object
from pellucid.kube.server_client import reason_of
from pellucid.kube.webhook.pages import readiness, reviews
from pellucid.kube.webhook.review import CREATE, NotAReview, Question, refusal

WITHIN_S = 5.0
"""The API server, which waits for our answer meanwhile, gives up after ten seconds."""

Existing = Callable[[CustomKind], Awaitable[list[Mapping[str, Any]]]]


def webhook_path(kind: CustomKind) -> str:
    """Where the API server asks about a kind."""
    return f"/mutate-{VERSION}-{kind.singular}"


class OthersUnknown(Exception):
    """The API server, which asks whether a resource may be, does not answer which others there are."""


def existing_resources(client: AsyncClient, within_s: float = WITHIN_S) -> Existing:
    """Asks the API server for all resources of a kind. What is returned raises OthersUnknown and ApiError."""

    async def existing(kind: CustomKind) -> list[Mapping[str, Any]]:
        try:
            async with asyncio.timeout(within_s):
                return [item async for item in client.list(kind.resource, namespace=ALL_NS)]
        except TimeoutError:
            reason = f"no answer within {within_s:g} s"
        except (httpx2.TransportError, OSError) as problem:
            reason = reason_of(problem)
        raise OthersUnknown(f"the API server cannot be asked for the others of kind {kind.name}: {reason}")

    return existing


def application(existing: Existing, not_ready: Callable[[], str]) -> Starlette:
    """not_ready: what is still missing, empty when nothing is."""
    return Starlette(routes=[*(_webhook(kind, existing) for kind in KINDS), readiness(not_ready)])


def _webhook(kind: CustomKind, existing: Existing) -> Route:
    async def respond(question: Question) -> Object:
        if "name" not in question.item["metadata"]:
            raise NotAReview("request.object.metadata.name is needed")
        others = await existing(kind) if question.operation == CREATE else []
        reason = refusal_of(kind, question, others)
        return {"allowed": True} if reason is None else refusal(reason)

    return reviews(webhook_path(kind), respond, "the controller")
