"""From a request to its answer: find the endpoint, run its handler, carry out what it decided.

    request -> router -> handler -> Response | Read (engine) | Commit (log) -> headers, encoding -> answer

A `GET` whose answer depends on its target alone (`Read.repeatable`) is prepared once: afterwards it
costs a look-up and the engine's word that nothing changed.

Source: Consul 1.10 agent/http.go.
"""

from __future__ import annotations

import gzip
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random

from pellucid.api.blocking import BlockingQueries
from pellucid.api.connection import head_of
from pellucid.api.context import ApiContext
from pellucid.api.endpoints import ENDPOINTS
from pellucid.api.handlers import web_page
from pellucid.api.handlers.pellucid_login import known_caller
from pellucid.api.outcome import Commit, Content, Outcome, Read
from pellucid.api.request import Request, UnparsableQuery
from pellucid.api.response import JSON, Headers, HttpError, Response, indented, json_response, text_response
from pellucid.api.router import Endpoint, Redirect, Router, methods_allowed
from pellucid.model.go_json import GoJsonError
from pellucid.state.log import LogClosed, StorageError
from pellucid.state.snapshot import Conflict

logger = logging.getLogger(__name__)

Handler = Callable[[ApiContext, Request], Outcome]

GZIP_FROM_BYTES = 1_400
GZIP_LEVEL = 6
MAX_PREPARED = 1_024
MAX_COMMIT_TRIES = 16
_READ_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_PROVING = frozenset(("/v1/pellucid/login",))
"""Endpoints whose callers prove in the request itself who they are."""
_HOW_TO_WRITE = (
    "Writing from another machine needs the token of a registrar (pellucid.kubernetes.registrars); "
    "people write through `kubectl port-forward` to the server."
)
_HEADERS_WITHOUT_MEANING = frozenset(
    ("host", "user-agent", "accept", "accept-encoding", "accept-language", "connection", "content-length")
)


def _page(path: str) -> tuple[Endpoint[Handler], ...]:
    """The web page's endpoint; none without a path."""
    return (Endpoint(path, ("GET",), web_page.page),) if path else ()


@dataclass(slots=True)
class _Prepared:
    """A read and the last answer made for it."""

    read: Read
    content: Content | None = None
    message: bytes = b""


class App:
    """The HTTP API of one agent."""

    def __init__(self, context: ApiContext, random: Random) -> None:
        self._context = context
        self._router: Router[Handler] = Router((*ENDPOINTS, *_page(context.settings.ui_path)))
        self.blocking = BlockingQueries(
            context.engine,
            random,
            default_wait_s=context.settings.default_wait_s,
            max_wait_s=context.settings.max_wait_s,
        )
        self._prepared: dict[tuple[str, str, bool], _Prepared] = {}
        policy = context.settings.default_policy
        self._common: Headers = (
            *context.settings.response_headers.items(),
            ("X-Consul-Default-Acl-Policy", policy),
            ("Vary", "Accept-Encoding"),
        )

    def stop(self) -> None:
        """Release the blocked queries; new ones do not block any more."""
        self.blocking.stop()

    def answer(self, request: Request) -> Response | bytes | Awaitable[Response]:
        """The answer to a request, at once when nothing has to be waited for."""
        if request.method == "GET" and request.headers.keys() <= _HEADERS_WITHOUT_MEANING:
            key = (request.raw_path, request.raw_query, _accepts_gzip(request))
            prepared = self._prepared.get(key)
            if prepared is not None:
                try:
                    return self._message(prepared, request)
                except Exception:
                    # The long way round makes of it what it makes of every error.
                    del self._prepared[key]
        return self._routed(request)

    def _message(self, prepared: _Prepared, request: Request) -> Response | bytes:
        """The answer to a read seen before: ready bytes, which the connection sends as a 200."""
        read = prepared.read
        content: Content = self._context.engine.ask(read.query, read.args)
        if content is not prepared.content:
            response = self._finished(request, _response_of(read, content))
            if response.status != 200:
                return response
            prepared.content = content
            prepared.message = head_of(response, keep_alive=True) + response.body
        return prepared.message

    # Routing

    def _routed(self, request: Request) -> Response | Awaitable[Response]:
        if request.path == "/":
            return self._root()
        found = self._router.find(request.path)
        if found is None:
            return Response(404)
        if isinstance(found, Redirect):
            return _moved(found.path + (f"?{request.raw_query}" if request.raw_query else ""))
        request.below = request.path.removeprefix(found.pattern)
        try:
            refused = self._refused(request, found)
        except UnparsableQuery:
            refused = Response(500)
        if refused is not None:
            return self._finished(request, refused)
        if request.method in _READ_METHODS:
            return self._run(request, found)
        return self._run_later(request, found)

    def _refused(self, request: Request, endpoint: Endpoint[Handler]) -> Response | None:
        """What Consul answers before it asks the handler, if anything."""
        if not request.path.isprintable():
            return text_response("400 Bad Request", 400)
        _ = request.parameters
        if any(request.path.startswith(prefix) for prefix in self._context.settings.block_endpoints):
            return text_response("Endpoint is blocked by agent configuration", 403)
        methods = endpoint.methods
        if methods and request.method == "OPTIONS":
            allow = (("Allow", ",".join(("OPTIONS", *methods))),)
            return json_response({}, headers=allow) if endpoint.answers_options else Response(headers=allow)
        if methods and request.method not in methods:
            allow = (("Allow", methods_allowed(endpoint)),)
            return Response(405, f"method {request.method} not allowed".encode(), _TEXT, allow)
        return None

    async def _refuse_writing(self, request: Request, endpoint: Endpoint[Handler]) -> None:
        """Let pass who may write from where the request comes, or proves to. Raises HttpError 403, 503."""
        if self._may_write_from(request.peer.address) or endpoint.pattern in _PROVING:
            return
        if self._context.tokens is None:
            raise HttpError(403, "Access is restricted")
        if not request.token:
            raise HttpError(403, _HOW_TO_WRITE)
        caller = await known_caller(self._context, request.peer, request.token)
        if not caller.may_write:
            account = f"{caller.namespace}/{caller.service_account}"
            raise HttpError(
                403, f"Permission denied: service account {account} is no registrar. {_HOW_TO_WRITE}"
            )

    def _may_write_from(self, address: str | None) -> bool:
        networks = self._context.settings.allow_write_from
        if not networks or address is None:
            return True
        return any(ip_address(address) in network for network in networks)

    def _root(self) -> Response:
        ui_path = self._context.settings.ui_path
        return _moved(ui_path) if ui_path else text_response("Consul Agent")

    # Running handlers

    def _run(self, request: Request, endpoint: Endpoint[Handler]) -> Response | Awaitable[Response]:
        try:
            outcome = endpoint.handler(self._context, request)
            if isinstance(outcome, Read) and not self.blocking.blocks(outcome):
                self._prepare(request, outcome)
                return self._finished(request, self._read(outcome))
        except Exception as error:
            return self._finished(request, _error_response(error))
        if isinstance(outcome, Response):
            return self._finished(request, outcome)
        return self._carried_out(request, endpoint, outcome)

    async def _run_later(self, request: Request, endpoint: Endpoint[Handler]) -> Response:
        """For requests that may commit: deciding and committing happen in one turn of the loop."""
        try:
            await self._refuse_writing(request, endpoint)
            outcome = endpoint.handler(self._context, request)
        except Exception as error:
            return self._finished(request, _error_response(error))
        return await self._carried_out(request, endpoint, outcome)

    async def _carried_out(self, request: Request, endpoint: Endpoint[Handler], outcome: Outcome) -> Response:
        try:
            return self._finished(request, await self._awaited(request, endpoint, outcome))
        except Exception as error:
            return self._finished(request, _error_response(error))

    async def _awaited(self, request: Request, endpoint: Endpoint[Handler], outcome: Outcome) -> Response:
        if isinstance(outcome, Commit):
            return await self._committed(request, endpoint, outcome)
        if isinstance(outcome, Read):
            if not self.blocking.blocks(outcome):
                return self._read(outcome)
            try:
                return _response_of(outcome, await self.blocking.answer(outcome))
            except HttpError as error:
                return _failed_read(outcome, error)
        return await outcome if inspect.isawaitable(outcome) else outcome

    async def _committed(self, request: Request, endpoint: Endpoint[Handler], commit: Commit) -> Response:
        for _ in range(MAX_COMMIT_TRIES):
            try:
                await self._context.log.commit(commit.changes, expect=commit.expect)
            except Conflict as conflict:
                if commit.on_conflict is not None:
                    return commit.on_conflict(conflict)
                outcome = endpoint.handler(self._context, request)
                if not isinstance(outcome, Commit):
                    return await self._awaited(request, endpoint, outcome)
                commit = outcome
                continue
            if commit.committed is not None:
                commit.committed()
            return commit.response
        raise HttpError(500, "the state kept changing while this request was decided; try again")

    def _read(self, read: Read) -> Response:
        try:
            content: Content = self._context.engine.ask(read.query, read.args)
        except HttpError as error:
            return _failed_read(read, error)
        return _response_of(read, content)

    def _prepare(self, request: Request, read: Read) -> None:
        if not read.repeatable or request.method != "GET":
            return
        if not request.headers.keys() <= _HEADERS_WITHOUT_MEANING:
            return
        if len(self._prepared) >= MAX_PREPARED:
            self._prepared.clear()
        key = (request.raw_path, request.raw_query, _accepts_gzip(request))
        self._prepared[key] = _Prepared(read)

    # Finishing

    def _finished(self, request: Request, response: Response) -> Response:
        """With the headers every answer has, indented and compressed as the client wishes."""
        body, headers = response.body, (*self._common, *response.headers)
        if response.content_type == JSON and self._wants_indent(request):
            body = indented(body)
        if len(body) >= GZIP_FROM_BYTES and _accepts_gzip(request):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers = (*headers, ("Content-Encoding", "gzip"))
        return Response(
            response.status, body, response.content_type, headers, response.stream, response.close
        )

    def _wants_indent(self, request: Request) -> bool:
        if self._context.settings.pretty:
            return True
        try:
            return "pretty" in request.parameters
        except UnparsableQuery:
            return False


_TEXT = "text/plain; charset=utf-8"


def _response_of(read: Read, content: Content) -> Response:
    headers = content.headers
    if read.answered is not None:
        headers = (*read.answered.headers(content.index), *headers)
    elif read.sends_index:
        headers = (("X-Consul-Index", str(max(content.index, 1))), *headers)
    return Response(content.status, content.body, content.content_type, headers)


def _failed_read(read: Read, error: HttpError) -> Response:
    response = error.response()
    if error.headers or not read.on_error:
        return response
    return Response(response.status, response.body, response.content_type, read.on_error)


def _error_response(error: Exception) -> Response:
    match error:
        case HttpError():
            return error.response()
        case GoJsonError():
            return text_response(str(error), 400)
        case StorageError() | LogClosed():
            return text_response(str(error), 500)
    logger.error("a handler failed", exc_info=error)
    return text_response("Internal Server Error", 500)


def _moved(location: str) -> Response:
    body = f'<a href="{location}">Moved Permanently</a>.\n\n'.encode()
    return Response(301, body, "text/html; charset=utf-8", (("Location", location),))


def _accepts_gzip(request: Request) -> bool:
    accepted = request.headers.get("accept-encoding")
    if not accepted or "gzip" not in accepted:
        return False
    for coding in accepted.split(","):
        name, _, parameters = coding.partition(";")
        if name.strip().lower() == "gzip":
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
