"""What the controller sees of a custom resource: an immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.kube.controllers.config_entries.decision import FINALIZER, MIGRATE_ANNOTATION
from pellucid.kube.controllers.config_entries.kinds import GROUP, VERSION, CustomKind
from pellucid.kube.controllers.object_events import Subject


class Resource(msgspec.Struct, frozen=True):
    """A custom resource; `version` changes with every write of it."""

    kind: CustomKind
    namespace: str
    name: str
    uid: str
    version: str
    created_at: str
    entry_name: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    finalizers: tuple[str, ...] = ()
    is_leaving: bool = False
    migrates: bool = False
    """It asks to take over an entry of another origin."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def has_finalizer(self) -> bool:
        """True if it may not go before we let it."""
        return FINALIZER in self.finalizers

    @property
    def age(self) -> tuple[str, str, str]:
        """Orders resources of one kind, the oldest first."""
        return self.created_at, self.namespace, self.name

    @property
    def subject(self) -> Subject:
        """The resource as events name it."""
        return Subject(f"{GROUP}/{VERSION}", self.kind.name, self.namespace, self.name, self.uid)


def resource_of(kind: CustomKind, item: Mapping[str, Any]) -> Resource:
    """What matters of a resource as the API server writes it."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    return Resource(
        kind=kind,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        version=metadata.get("resourceVersion", ""),
        created_at=metadata.get("creationTimestamp") or "",
        entry_name=kind.entry_name(metadata, spec),
        spec=spec,
        status=item.get("status") or {},
        finalizers=tuple(metadata.get("finalizers") or ()),
        is_leaving=bool(metadata.get("deletionTimestamp")),
        migrates=annotations.get(MIGRATE_ANNOTATION) == "true",
    )
