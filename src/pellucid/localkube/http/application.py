"""Every path of the API, and what answers it: identity first, then permission, then the resource."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from pellucid.localkube.api.access import Access, Attributes, refusal
from pellucid.localkube.api.admission import User
from pellucid.localkube.api.escalation import Escalation
from pellucid.localkube.api.eviction import evict
from pellucid.localkube.api.objects import Source
from pellucid.localkube.api.status import (
    ApiError,
    bad_request,
    forbidden,
    internal,
    method_not_allowed,
    no_such_path,
    not_found,
)
from pellucid.localkube.api.store import Resources
from pellucid.localkube.api.tokens import ServiceAccountTokens
from pellucid.localkube.http import bodies, discovery, openapi, requests
from pellucid.localkube.http.authentication import authenticated
from pellucid.localkube.http.connection import Request, Response
from pellucid.localkube.http.impersonation import impersonated
from pellucid.localkube.http.node_streams import NodeStreams
from pellucid.localkube.http.objects import ObjectVerbs, json_response
from pellucid.localkube.http.requests import Target, target_of
from pellucid.localkube.http.reviews import Reviews
from pellucid.localkube.http.scale import scale_table, scaled
from pellucid.localkube.http.streaming import Streaming
from pellucid.localkube.types.kinds import PODS, Resource
from pellucid.localkube.types.release import DEFAULT, Release

logger = logging.getLogger(__name__)

Object = dict[str, Any]

_DOCUMENTS = frozenset({"api", "apis", "healthz", "livez", "readyz", "version", "openapi", ""})
_OPEN_TO_ALL = frozenset({"/version", "/healthz", "/livez", "/readyz"})
_OPEN_TO_KNOWN = ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz")


class Application:
    """Answers requests. Raises nothing: what goes wrong is answered as a Status."""

    def __init__(
        self,
        resources: Resources,
        tokens: ServiceAccountTokens,
        *,
        streams: NodeStreams | None = None,
        source: Source | None = None,
        address: str = "",
        release: Release = DEFAULT,
    ) -> None:
        """address: host:port clients are told in `/api`. streams: None refuses logs, exec and the like."""
        source = source or Source()
        self._resources = resources
        self._source = source
        self._tokens = tokens
        self._access = Access(resources)
        resources.checks.append(Escalation(resources, self._access).check)
        self._verbs = ObjectVerbs(resources, source)
        self._reviews = Reviews(resources, self._access, tokens, source)
        self._streaming = Streaming(resources, streams)
        self._address = address
        self._release = release

    async def __call__(self, request: Request) -> Response:
        """The answer to a request."""
        try:
            return await self._answer(request)
        except ApiError as error:
            return json_response(error.status, error.code)
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return json_response(internal("the server failed; its log has the reason").status, 500)

    async def _answer(self, request: Request) -> Response:
        user = impersonated(request, authenticated(request, self._tokens), self._access)
        path = request.path.rstrip("/") or "/"
        document = self._document(request, path, user)
        if document is not None:
            return document
        target = target_of(self._resources, path)
        self._permit(request, target, user)
        return await self._resource(request, target, user)

    # Documents

    def _document(self, request: Request, path: str, user: User) -> Response | None:
        """The answer if the path is that of a document rather than of objects."""
        parts = path.strip("/").split("/")
        longest = {"api": 2, "apis": 3}.get(parts[0], len(parts))
        if parts[0] not in _DOCUMENTS or len(parts) > longest:
            return None
        self._permit_path(request, path, user)
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        match parts:
            case ["healthz" | "livez" | "readyz", *_]:
                return Response(body=b"ok", content_type="text/plain; charset=utf-8")
            case ["version"]:
                return json_response(_version(self._release))
            case ["openapi", "v2"]:
                return Response(body=openapi.V2, content_type=openapi.V2_TYPE)
            case ["openapi", "v3"]:
                return json_response(openapi.index(self._resources.kinds(), self._openapi_token))
            case ["openapi", "v3", *rest]:
                return self._openapi("/".join(rest))
            case [""]:
                places = dict.fromkeys(f"/{openapi.place(one)}" for one in self._resources.kinds())
                return json_response({"paths": sorted({*places, *_OPEN_TO_KNOWN})})
        return self._discovery(request, parts)

    def _discovery(self, request: Request, parts: list[str]) -> Response:
        kinds = self._resources.kinds()
        if len(parts) == 1:
            core = parts[0] == "api"
            version = discovery.aggregated_version(request.headers.get("accept", ""))
            if version:
                form = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
                body = msgspec.json.encode(discovery.aggregated(kinds, version, core=core))
                return Response(body=body, content_type=form)
            return json_response(discovery.versions(self._address) if core else discovery.group_list(kinds))
        group = "" if parts[0] == "api" else parts[1]
        served = discovery.by_group(kinds).get(group, {})
        version = parts[-1] if len(parts) == 3 or not group else ""
        if not served or (version and version not in served):
            raise no_such_path()
        if not version:
            return json_response({"kind": "APIGroup", "apiVersion": "v1", **discovery.group(group, served)})
        return json_response(discovery.resource_list(served[version][0].api_version, served[version]))

    def _at(self, place: str) -> list[Resource]:
        return [one for one in self._resources.kinds() if openapi.place(one) == place]

    def _openapi_token(self, place: str) -> str:
        """Custom kinds' documents move with their definitions."""
        versions = [
            definition["metadata"]["resourceVersion"]
            for one in self._at(place)
            if (definition := self._resources.definition(one)) is not None
        ]
        return openapi.token_of(",".join([place, *versions]))

    def _openapi(self, place: str) -> Response:
        served = self._at(place)
        if not served:
            raise no_such_path()
        document = openapi.document(served, lambda one: dict(self._resources.schema(one)))
        return Response(body=openapi.encoded(document))

    # Permission

    def _permit_path(self, request: Request, path: str, user: User) -> None:
        if path in _OPEN_TO_ALL:
            return
        open_to_known = "system:authenticated" in user.groups and path.startswith(_OPEN_TO_KNOWN)
        wanted = Attributes(request.method.lower(), path=path)
        if not open_to_known and not self._access.allowed(user, wanted):
            raise ApiError(403, "Forbidden", f"forbidden: {refusal(user, wanted)}")

    def _permit(self, request: Request, target: Target, user: User) -> None:
        own = requests.is_namespace_itself(target)
        wanted = Attributes(
            requests.verb_of(request, target),
            target.resource.group,
            target.resource.plural,
            target.subresource,
            target.name if own else target.namespace,
            target.name,
        )
        asks_about_itself = target.resource.kind.startswith("SelfSubject")
        if asks_about_itself and "system:authenticated" in user.groups:
            return
        if not self._access.allowed(user, wanted):
            raise forbidden(target.resource, target.name, refusal(user, wanted))

    # Resources

    async def _resource(self, request: Request, target: Target, user: User) -> Response:
        if target.resource.verbs == ("create",):
            return self._review(request, target, user)
        match target.subresource:
            case "scale":
                scale = await scaled(self._resources, request, target, user)
                if requests.accepts_table(request):
                    scale = scale_table(scale, self._source.time())
                return json_response(scale)
            case "log" | "exec" | "attach" | "portforward":
                return await self._streaming.answer(request, target)
            case "token":
                asked = bodies.body_object(request)
                made = self._reviews.token_request(target.namespace, target.name, asked)
                return json_response(made, 201)
            case "eviction":
                return await self._evict(request, target, user)
            case "binding":
                return await self._bind(request, target, user)
        if request.method == "POST" and target.name:
            raise method_not_allowed()
        if target.resource.namespaced and not target.namespace and request.method == "POST":
            raise no_such_path()
        return await self._verbs.answer(request, target, user)

    def _review(self, request: Request, target: Target, user: User) -> Response:
        if request.method != "POST" or target.name:
            raise method_not_allowed()
        asked = bodies.body_object(request)
        return json_response(self._reviews.answer(target.resource, asked, target.namespace, user), 201)

    async def _evict(self, request: Request, target: Target, user: User) -> Response:
        wish = bodies.body_object(request).get("deleteOptions") or {}
        options = requests.options_of(request, user, wish)
        now = self._source.timestamp()
        await evict(self._resources, target.namespace, target.name, wish, options, now)
        return json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)

    async def _bind(self, request: Request, target: Target, user: User) -> Response:
        pod = self._resources.peek(PODS, target.namespace, target.name)
        if pod is None:
            raise not_found(PODS, target.name)
        node = (bodies.body_object(request).get("target") or {}).get("name")
        if not node:
            raise bad_request("target.name: Required value")
        change = {"spec": {"nodeName": node}}
        options = requests.options_of(request, user)
        await self._resources.patch(PODS, target.namespace, target.name, change, options=options)
        return json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)


def _version(release: Release) -> Object:
    return {
        "major": "1",
        "minor": str(release.minor),
        "gitVersion": str(release),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2024-04-17T17:27:03Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }
