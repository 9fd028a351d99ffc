"""What may have a say before an object is stored, and what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from pellucid.localkube.api.objects import Object
from pellucid.localkube.types.kinds import Resource

Post = Callable[[Object, bytes, float], Awaitable[bytes]]
"""Send a body to a webhook's clientConfig, within seconds; answers the body. Raises OSError, TimeoutError."""


class User(msgspec.Struct, frozen=True):
    """Who is calling."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def shown(self) -> Object:
        """As a UserInfo object."""
        found: Object = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            found["uid"] = self.uid
        if self.extra:
            found["extra"] = {key: list(values) for key, values in self.extra}
        return found


CLUSTER = User("system:kube-controller-manager", ("system:masters", "system:authenticated"))
"""The cluster's own pieces, calling in process."""


class WriteOptions(msgspec.Struct, frozen=True):
    """How a write is to be done, and by whom."""

    user: User = CLUSTER
    manager: str = "kube-controller-manager"
    validation: str = "Ignore"
    """Unknown fields: Strict (refuse), Warn or Ignore."""
    dry_run: bool = False
    force: bool = False
    """Server-side apply takes over fields others own."""
    repeated: tuple[str, ...] = ()
    """Paths of fields that the body has twice."""
    warnings: list[str] = msgspec.field(default_factory=list)
    """Filled with what the caller is to be told besides the answer."""


class Review(msgspec.Struct, frozen=True):
    """One write, about to happen."""

    resource: Resource
    operation: str
    """CREATE, UPDATE or DELETE."""
    namespace: str
    name: str
    object: Object | None
    old: Object | None
    subresource: str
    options: WriteOptions


class Admission(Protocol):
    """Has a say in every write."""

    async def mutate(self, review: Review) -> Object | None:
        """The object to store instead. Raises ApiError to refuse."""

    async def validate(self, review: Review) -> None:
        """Raises ApiError to refuse."""


class EverythingAdmitted:
    """No say at all."""

    async def mutate(self, review: Review) -> Object | None:
        """The object as it is."""
        return review.object

    async def validate(self, review: Review) -> None:
        """Nothing is refused."""
