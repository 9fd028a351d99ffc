"""The verbs on objects and collections, as HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from pellucid.localkube.api.admission import User, WriteOptions
from pellucid.localkube.api.objects import Source
from pellucid.localkube.api.pages import version_too_large
from pellucid.localkube.api.status import (
    ApiError,
    bad_request,
    method_not_allowed,
    not_found,
    unsupported_media_type,
)
from pellucid.localkube.api.store import Resources
from pellucid.localkube.api.watches import Event
from pellucid.localkube.http import bodies, requests
from pellucid.localkube.http.connection import Request, Response
from pellucid.localkube.http.requests import PATCH_KINDS, Target
from pellucid.localkube.http.tables import metadata_only, table
from pellucid.localkube.http.watching import check_watch, watch_lines

Object = dict[str, Any]


def json_response(value: Any, code: int = 200, warnings: tuple[str, ...] = ()) -> Response:
    """A value as JSON, with what the client is to be warned of."""
    headers = tuple(("Warning", f'299 - "{_quoted(text)}"') for text in warnings)
    return Response(code, msgspec.json.encode(value), headers=headers)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")


class ObjectVerbs:
    """get, list, watch, create, update, patch, delete and deletecollection."""

    def __init__(self, resources: Resources, source: Source) -> None:
        self._resources = resources
        self._source = source

    async def answer(self, request: Request, target: Target, user: User) -> Response:
        """Do what the request asks. Raises ApiError."""
        verb = requests.verb_of(request, target)
        if target.subresource == "":
            allowed = target.resource.verbs
        else:
            allowed = next(
                one.verbs for one in target.resource.all_subresources() if one.name == target.subresource
            )
        if verb not in allowed and not (verb == "watch" and "watch" in target.resource.verbs):
            raise method_not_allowed()
        match verb:
            case "get":
                return await self._get(request, target)
            case "list":
                return await self._list(request, target)
            case "watch":
                return self._watch(request, target)
            case "create":
                return await self._create(request, target, user)
            case "update":
                return await self._update(request, target, user)
            case "patch":
                return await self._patch(request, target, user)
            case "delete":
                return await self._delete(request, target, user)
            case "deletecollection":
                return await self._delete_all(request, target, user)
        raise method_not_allowed()

    # Reading

    async def _get(self, request: Request, target: Target) -> Response:
        found = self._resources.peek(target.resource, target.namespace, target.name)
        if found is None:
            raise not_found(target.resource, target.name)
        [value] = await self._resources.seen(target.resource, [found])
        return json_response(self._shown(request, target, value))

    def _shown(self, request: Request, target: Target, value: Object) -> Object:
        if requests.accepts_metadata(request):
            return metadata_only(value)
        if not requests.accepts_table(request):
            return value
        return self._table(request, target, [value], value["metadata"].get("resourceVersion", ""))

    def _table(self, request: Request, target: Target, objects: list[Object], version: str) -> Object:
        return table(
            target.resource,
            self._resources.definition(target.resource),
            objects,
            self._source.time(),
            {"resourceVersion": version},
            include=request.parameter("includeObject", "Metadata"),
        )

    async def _list(self, request: Request, target: Target) -> Response:
        limit = request.parameter("limit")
        page = self._resources.page(
            target.resource,
            target.namespace,
            request.parameter("labelSelector"),
            request.parameter("fieldSelector"),
            limit=int(limit) if limit.isdigit() else 0,
            token=request.parameter("continue"),
            exactly=self._exactly(request),
        )
        objects = await self._resources.seen(target.resource, page.objects)
        metadata: Object = {"resourceVersion": str(page.revision)}
        if page.token:
            metadata["continue"] = page.token
            if not request.parameter("labelSelector") and not request.parameter("fieldSelector"):
                metadata["remainingItemCount"] = page.remaining
        if requests.accepts_table(request):
            shown = self._table(request, target, list(objects), str(page.revision))
            return json_response({**shown, "metadata": metadata})
        if requests.accepts_metadata(request):
            return json_response(
                {
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata,
                    "items": [metadata_only(one) for one in objects],
                }
            )
        return json_response(
            {
                "kind": target.resource.list_kind,
                "apiVersion": target.resource.api_version,
                "metadata": metadata,
                "items": objects,
            }
        )

    def _exactly(self, request: Request) -> int:
        """The version a list must be of; 0 if any that is not too old will do. Raises ApiError 400, 504."""
        stated, match = request.parameter("resourceVersion"), request.parameter("resourceVersionMatch")
        if request.parameter("continue"):
            if stated not in ("", "0"):
                raise bad_request("specifying resource version is not allowed when using continue")
            return 0
        if stated and not stated.isdigit():
            raise bad_request(
                f'resourceVersion: Invalid value: "{stated}": strconv.ParseUint: invalid syntax'
            )
        if match not in ("", "Exact", "NotOlderThan"):
            supported = 'supported values: "Exact", "NotOlderThan"'
            raise bad_request(f'resourceVersionMatch: Unsupported value: "{match}": {supported}')
        version = int(stated or 0)
        if version > self._resources.revision:
            raise version_too_large(version, self._resources.revision)
        return version if match == "Exact" else 0

    def _watch(self, request: Request, target: Target) -> Response:
        check_watch(target, request)
        plain = not requests.accepts_table(request) and not requests.accepts_metadata(request)

        async def line(event: Event) -> bytes:
            if event.type in ("BOOKMARK", "ERROR") or (plain and not target.resource.converted):
                return event.line
            [value] = await self._resources.seen(target.resource, [event.object])
            return Event(event.type, value if plain else self._shown(request, target, value)).line

        return Response(stream=watch_lines(self._resources, target, request, line))

    # Writing

    async def _create(self, request: Request, target: Target, user: User) -> Response:
        given = bodies.body_object(request)
        options = requests.options_of(request, user)
        made = await self._resources.create(target.resource, target.namespace, given, options=options)
        return self._written(request, target, made, 201, options)

    async def _update(self, request: Request, target: Target, user: User) -> Response:
        given = bodies.body_object(request)
        meta = given.setdefault("metadata", {})
        if not isinstance(meta, dict) or meta.setdefault("name", target.name) != target.name:
            raise bad_request(
                f"the name of the object ({(meta or {}).get('name')}) does not match the name on the URL "
                f"({target.name})"
            )
        options = requests.options_of(request, user)
        made = await self._resources.update(
            target.resource, target.namespace, given, subresource=target.subresource, options=options
        )
        return self._written(request, target, made, 200, options)

    async def _patch(self, request: Request, target: Target, user: User) -> Response:
        kind = PATCH_KINDS.get(bodies.media_type(request))
        if kind is None:
            raise unsupported_media_type(tuple(PATCH_KINDS))
        if kind == "apply" and not request.parameter("fieldManager"):
            missing = "fieldManager: Required value: is required for apply patch"
            raise ApiError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {missing}')
        options = requests.options_of(request, user)
        existed = self._resources.peek(target.resource, target.namespace, target.name) is not None
        made = await self._resources.patch(
            target.resource,
            target.namespace,
            target.name,
            bodies.yaml_of(request.body) if kind == "apply" else bodies.json_of(request.body),
            kind=kind,
            subresource=target.subresource,
            options=options,
        )
        return self._written(request, target, made, 200 if existed else 201, options)

    def _written(
        self, request: Request, target: Target, value: Object, code: int, options: WriteOptions
    ) -> Response:
        return json_response(self._shown(request, target, value), code, tuple(options.warnings))

    async def _delete(self, request: Request, target: Target, user: User) -> Response:
        asked = _deletion(request)
        options = requests.options_of(request, user, asked)
        preconditions = asked.get("preconditions") or {}
        removal = await self._resources.remove(
            target.resource,
            target.namespace,
            target.name,
            propagation=_propagation(asked, request),
            grace_seconds=_grace(asked, request),
            uid=preconditions.get("uid") or "",
            resource_version=preconditions.get("resourceVersion") or "",
            options=options,
        )
        if not removal.gone:
            return json_response(removal.object)
        details: Object = {
            "name": target.name,
            "kind": target.resource.plural,
            "uid": removal.object["metadata"]["uid"],
        }
        if target.resource.group:
            details["group"] = target.resource.group
        return json_response(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    async def _delete_all(self, request: Request, target: Target, user: User) -> Response:
        asked = _deletion(request)
        options = requests.options_of(request, user, asked)
        revision, found = self._resources.select(
            target.resource,
            target.namespace,
            request.parameter("labelSelector"),
            request.parameter("fieldSelector"),
        )
        for one in found:
            meta = one["metadata"]
            try:
                await self._resources.remove(
                    target.resource,
                    meta.get("namespace", ""),
                    meta["name"],
                    propagation=_propagation(asked, request),
                    grace_seconds=_grace(asked, request),
                    options=options,
                )
            except ApiError as error:
                if error.code != 404:
                    raise
        return json_response(
            {
                "kind": target.resource.list_kind,
                "apiVersion": target.resource.api_version,
                "metadata": {"resourceVersion": str(revision)},
                "items": list(found),
            }
        )


def _deletion(request: Request) -> Object:
    return bodies.body_object(request) if request.body.strip() else {}


def _propagation(asked: Object, request: Request) -> str:
    stated = asked.get("propagationPolicy") or request.parameter("propagationPolicy") or "Background"
    if asked.get("orphanDependents"):
        stated = "Orphan"
    if stated not in ("Background", "Foreground", "Orphan"):
        raise bad_request(
            f'invalid DeleteOptions: propagationPolicy: Unsupported value: "{stated}": supported values: '
            '"Background", "Foreground", "Orphan"'
        )
    return str(stated)


def _grace(asked: Object, request: Request) -> int | None:
    stated = asked.get("gracePeriodSeconds", request.parameter("gracePeriodSeconds") or None)
    if stated is None:
        return None
    try:
        seconds = int(stated)
    except (TypeError, ValueError):
        raise bad_request(f"gracePeriodSeconds must be a number of seconds, not {stated!r}") from None
    return max(0, seconds)
