"""An object as it is kept, and the table it is kept in.

An object is the JSON the API shows, as a dict that nobody changes once it is stored. Its
resourceVersion is the log's revision at which it was last written.
"""

from __future__ import annotations

import datetime
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from pellucid.localkube.types.kinds import Resource
from pellucid.state.tables import Key, Table

Object = dict[str, Any]

SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
MAX_GENERATED_BASE = 58


class Row(msgspec.Struct, frozen=True):
    """One stored object with what it is found by."""

    group: str
    plural: str
    namespace: str
    name: str
    value: Object

    @property
    def stored(self) -> tuple[str, str]:
        """The group and plural it is kept under."""
        return (self.group, self.plural)


def _owners(row: Row) -> tuple[str, ...]:
    return tuple(owner.get("uid", "") for owner in row.value["metadata"].get("ownerReferences") or ())


OBJECTS: Table[Row] = Table.of(
    "objects",
    Row,
    lambda row: (row.group, row.plural, row.namespace, row.name),
    {
        "resource": lambda row: ((row.group, row.plural),),
        "namespace": lambda row: ((row.group, row.plural, row.namespace),),
        "owner": _owners,
        "uid": lambda row: (row.value["metadata"].get("uid", ""),),
    },
)
"""Every object of the cluster."""


def key_of(resource: Resource, namespace: str, name: str) -> Key:
    """The row of an object."""
    return (*resource.stored, namespace if resource.namespaced else "", name)


def row_of(resource: Resource, value: Object) -> Row:
    """The row an object is kept in."""
    meta = value["metadata"]
    return Row(*resource.stored, meta.get("namespace", ""), meta["name"], value)


def shown(resource: Resource, value: Object) -> Object:
    """A stored object as a version of its resource shows it, unless it takes a webhook to tell."""
    if resource.converted or value.get("apiVersion") == resource.api_version:
        return value
    return {**value, "apiVersion": resource.api_version}


class Source:
    """Where time and chance come from."""

    def __init__(self, now: Callable[[], datetime.datetime] | None = None) -> None:
        self._now = now or (lambda: datetime.datetime.now(datetime.UTC))

    def time(self) -> datetime.datetime:
        """Now, in UTC."""
        return self._now()

    def timestamp(self) -> str:
        """Now, as metadata has it: RFC 3339, whole seconds."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def uid(self) -> str:
        """A new object's uid."""
        return str(uuid.uuid4())

    def suffix(self) -> str:
        """Five letters for a generated name."""
        return "".join(secrets.choice(SUFFIX_LETTERS) for _ in range(5))
