"""Custom objects in another version than the one they are stored in, by the definition's webhook.

Source: Kubernetes docs, "Versions in CustomResourceDefinitions - Webhook conversion".
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from pellucid.localkube.api.admission import Post
from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.status import ApiError, internal

SECONDS = 30.0
KNOWN_VERSIONS = ("v1",)
_MAY_CHANGE = ("labels", "annotations")
"""All of an object's metadata that a conversion may touch."""


class Conversion(Protocol):
    """Turns objects into another version of their kind."""

    async def convert(
        self, definition: Object, objects: Sequence[Object], api_version: str
    ) -> tuple[Object, ...]:
        """The objects, in order. Raises ApiError 500."""


class NoConversion:
    """Where no webhook can be called."""

    async def convert(
        self, definition: Object, objects: Sequence[Object], api_version: str
    ) -> tuple[Object, ...]:
        """Raises ApiError 500."""
        raise _failed(definition, api_version, "conversion webhooks cannot be called here")


class ConversionWebhooks:
    """Asks the webhook that each definition names."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def convert(
        self, definition: Object, objects: Sequence[Object], api_version: str
    ) -> tuple[Object, ...]:
        """The objects, in order. Raises ApiError 500."""
        webhook = definition["spec"]["conversion"]["webhook"]
        version = next((one for one in webhook["conversionReviewVersions"] if one in KNOWN_VERSIONS), None)
        if version is None:
            raise _failed(definition, api_version, "none of its conversionReviewVersions is known")
        uid = str(uuid.uuid4())
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"apiextensions.k8s.io/{version}",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": list(objects)},
        }
        try:
            body = await self._post(webhook["clientConfig"], msgspec.json.encode(review), SECONDS)
            converted = _converted(msgspec.json.decode(body), uid, len(objects))
            return tuple(
                _checked(one, other, api_version) for one, other in zip(objects, converted, strict=True)
            )
        except TimeoutError as error:
            raise _failed(definition, api_version, str(error) or "context deadline exceeded") from None
        except (OSError, ValueError) as error:
            raise _failed(definition, api_version, str(error)) from None


def _failed(definition: Object, api_version: str, why: str) -> ApiError:
    kind = definition["spec"]["names"]["kind"]
    return internal(f"conversion webhook for {api_version}, Kind={kind} failed: {why}")


def _converted(answer: Any, uid: str, count: int) -> list[Any]:
    """Raises ValueError for what is no answer to the question."""
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict):
        raise ValueError("invalid response: no response provided")
    if response.get("uid") != uid:
        raise ValueError(f'invalid response: expected response.uid="{uid}", got "{response.get("uid")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise ValueError(str(result.get("message") or "it gave no reason"))
    objects = response.get("convertedObjects")
    if not isinstance(objects, list) or len(objects) != count:
        got = len(objects) if isinstance(objects, list) else 0
        raise ValueError(f"invalid response: expected {count} converted objects, got {got}")
    return objects


def _checked(before: Object, after: Any, api_version: str) -> Object:
    """Raises ValueError for an object that is not the one given in the wanted version."""
    if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
        raise ValueError("invalid converted object: it has no metadata")
    if (after.get("apiVersion"), after.get("kind")) != (api_version, before["kind"]):
        raise ValueError(f"invalid converted object: it is of {after.get('apiVersion')}, {after.get('kind')}")
    meta = {key: value for key, value in before["metadata"].items() if key not in _MAY_CHANGE}
    kept = {key: after["metadata"][key] for key in _MAY_CHANGE if after["metadata"].get(key)}
    return {**after, "metadata": {**meta, **kept}}
