"""What a request to the API means: which resource, which verb, which options, which body."""

from __future__ import annotations

from typing import Any

import msgspec

from pellucid.localkube.api.admission import User, WriteOptions
from pellucid.localkube.api.status import bad_request, no_such_path
from pellucid.localkube.api.store import Resources
from pellucid.localkube.http.bodies import media_type, repeated_fields
from pellucid.localkube.http.connection import Request
from pellucid.localkube.types.kinds import NAMESPACES, Resource

Object = dict[str, Any]

PATCH_KINDS = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}


class Target(msgspec.Struct, frozen=True):
    """What a path names."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target_of(resources: Resources, path: str) -> Target:
    """The object or collection a path names. Raises ApiError 404."""
    parts = path.strip("/").split("/")
    match parts:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise no_such_path()
    namespace = ""
    own = {"status", "finalize"} if group == "" else set()
    if rest[:1] == ["namespaces"] and len(rest) >= 3 and rest[2] not in own:
        namespace, rest = rest[1], rest[2:]
    if not 1 <= len(rest) <= 3:
        raise no_such_path()
    plural, name, subresource = (*rest, "", "")[:3]
    resource = resources.kind(group, plural, version)
    if resource is None or bool(namespace) > resource.namespaced:
        raise no_such_path()
    if subresource and subresource not in {one.name for one in resource.all_subresources()}:
        raise no_such_path()
    if name and resource.namespaced and not namespace:
        raise no_such_path()
    return Target(resource, namespace, name, subresource)


def verb_of(request: Request, target: Target) -> str:
    """The verb access is decided by."""
    collection = not target.name
    match request.method:
        case "GET" | "HEAD":
            if request.flag("watch"):
                return "watch"
            if target.subresource in ("exec", "attach", "portforward"):
                return "create"
            return "list" if collection else "get"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case "DELETE":
            return "deletecollection" if collection else "delete"
    return request.method.lower()


def options_of(request: Request, user: User, body: Object | None = None) -> WriteOptions:
    """How the write is to be done. Raises ApiError 400 for a dryRun or fieldValidation unheard of."""
    dry_run = request.query.get("dryRun") or (body or {}).get("dryRun") or []
    if any(one != "All" for one in dry_run):
        raise bad_request(f'dryRun: Unsupported value: {dry_run[0]!r}: supported values: "All"')
    validation = request.parameter("fieldValidation", "Warn")
    if validation not in ("Strict", "Warn", "Ignore"):
        raise bad_request(
            f'fieldValidation: Unsupported value: "{validation}": supported values: "", "Ignore", "Strict", '
            '"Warn"'
        )
    agent = request.headers.get("user-agent", "unknown").split("/")[0]
    checked = validation != "Ignore" and request.method in ("POST", "PUT")
    return WriteOptions(
        user,
        request.parameter("fieldManager") or agent[:128],
        validation,
        bool(dry_run),
        request.flag("force"),
        repeated_fields(request.body) if checked and media_type(request) == "application/json" else (),
    )


def accepts_table(request: Request) -> bool:
    """Whether the client wants rows and columns."""
    return "as=Table" in request.headers.get("accept", "")


def accepts_metadata(request: Request) -> bool:
    """Whether the client wants nothing of objects but their metadata."""
    return "as=PartialObjectMetadata" in request.headers.get("accept", "")


def is_namespace_itself(target: Target) -> bool:
    """Access to a namespace object is decided in that namespace too."""
    return target.resource.stored == NAMESPACES.stored and bool(target.name)
