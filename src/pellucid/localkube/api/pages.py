"""Long lists in pages, all of one moment: the snapshot a list began with is kept for its next pages.

Source: Kubernetes docs, "API Concepts - Retrieving large results sets in chunks".
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.status import ApiError, bad_request
from pellucid.state.snapshot import Snapshot

KEPT_SECONDS = 300.0
"""How long a list may go on, as with a real server's compaction."""
KEPT_SNAPSHOTS = 64
LATEST = -1
"""In a token: go on with what there is now, as the client was told it may."""

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter, or use the continue token in this response to retrieve the "
    "remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
    "that were created, modified, or deleted between the time the first chunk was returned and now may show "
    "up in the list."
)


class Token(msgspec.Struct, frozen=True):
    """Where a list goes on: at which version, after which object (namespace and name)."""

    rv: int
    start: tuple[str, str]

    @property
    def text(self) -> str:
        """As the client gets it."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


class Page(msgspec.Struct, frozen=True):
    """Part of a list: its version, its objects, the token of the next part, and how many are left."""

    revision: int
    objects: tuple[Object, ...]
    token: str = ""
    remaining: int = 0


def token_of(text: str) -> Token:
    """The token a client sent. Raises ApiError 400."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=Token)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"continue key is not valid: {error}") from None


def page_of(revision: int, found: tuple[Object, ...], limit: int, after: tuple[str, str] | None) -> Page:
    """The part of a list (in order) after an object; limit: 0 for all that is left."""
    if after is not None:
        found = tuple(one for one in found if _place(one) > after)
    if not limit or len(found) <= limit:
        return Page(revision, found)
    page = found[:limit]
    return Page(revision, page, Token(revision, _place(page[-1])).text, len(found) - limit)


def _place(value: Object) -> tuple[str, str]:
    return (value["metadata"].get("namespace", ""), value["metadata"]["name"])


class Snapshots:
    """The moments that lists under way are of."""

    def __init__(self, now: Callable[[], float]) -> None:
        """now: seconds of any clock that only goes forward."""
        self._now = now
        self._kept: OrderedDict[int, tuple[float, Snapshot]] = OrderedDict()

    def keep(self, snapshot: Snapshot) -> None:
        """Have it ready for a next page."""
        self._forget()
        self._kept[snapshot.revision] = (self._now() + KEPT_SECONDS, snapshot)
        self._kept.move_to_end(snapshot.revision)
        while len(self._kept) > KEPT_SNAPSHOTS:
            self._kept.popitem(last=False)

    def at(self, revision: int) -> Snapshot | None:
        """The moment, if it is still kept."""
        self._forget()
        found = self._kept.get(revision)
        return None if found is None else found[1]

    def _forget(self) -> None:
        now = self._now()
        while self._kept and next(iter(self._kept.values()))[0] < now:
            self._kept.popitem(last=False)


def list_expired(token: Token) -> ApiError:
    """The list can only be gone on with as of now; the answer has the token for that."""
    error = ApiError(410, "Expired", _TOO_OLD)
    error.metadata = {"continue": Token(LATEST, token.start).text}
    return error


def version_too_old() -> ApiError:
    """Nothing is kept of the version asked for."""
    return ApiError(410, "Expired", "The resourceVersion for the provided list is too old.")


def version_too_large(asked: int, current: int) -> ApiError:
    """The version asked for has not been yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return ApiError(504, "Timeout", f"Too large resource version: {asked}, current: {current}", details)
