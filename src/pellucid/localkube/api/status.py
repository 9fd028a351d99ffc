"""Status: how the API says that something went wrong.

Source: Kubernetes API conventions, "Response Status Kind"; texts as kube-apiserver 1.30 gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pellucid.localkube.types.kinds import Resource


class Cause(msgspec.Struct, frozen=True):
    """One thing wrong with one field."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """A refusal, as the Status object the client gets."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        self.code, self.reason, self.message = code, reason, message
        self.details = details or {}
        self.metadata: dict[str, Any] = {}
        super().__init__(message)

    @property
    def status(self) -> dict[str, Any]:
        """The Status object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> ApiError:
    """There is no such object."""
    return ApiError(404, "NotFound", f'{resource.name} "{name}" not found', _details(resource, name))


def no_such_path() -> ApiError:
    """There is no such path. Clients know it from a missing object by details that name nothing."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {"causes": []})


def already_exists(resource: Resource, name: str) -> ApiError:
    """The name is taken."""
    message = f'{resource.name} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    """The object is not the one the caller has in mind."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {resource.name} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(resource, name))


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> ApiError:
    """The object breaks the rules of its kind."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    told = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {
        **_details(resource, name),
        "kind": resource.kind,
        "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes],
    }
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {told}', details)


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    """The caller may not, or the cluster's state does not allow it."""
    subject = f'{resource.name} "{name}"' if name else resource.name
    details = _details(resource, name)
    if causes:
        details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", details)


def bad_request(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def method_not_allowed() -> ApiError:
    """The resource has no such verb."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message)


def unauthorized() -> ApiError:
    """Nobody, or nobody known, is calling."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def expired(since: int, oldest: int) -> ApiError:
    """The events after this version are no longer kept."""
    return ApiError(410, "Expired", f"too old resource version: {since} ({oldest})")


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """The body is in a format the resource does not take."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(
        accepted
    )
    return ApiError(415, "UnsupportedMediaType", message)


def not_stored(error: Exception, *, full: bool) -> ApiError:
    """The change could not be made durable, so it did not happen."""
    if full:
        return ApiError(507, "InsufficientStorage", f"the object was not stored: {error}")
    return internal(f"the object was not stored: {error}")


def unavailable(message: str) -> ApiError:
    """Not now."""
    return ApiError(503, "ServiceUnavailable", message)


def internal(message: str) -> ApiError:
    """Something behind the API failed."""
    details = {"causes": [{"message": message}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", details)
