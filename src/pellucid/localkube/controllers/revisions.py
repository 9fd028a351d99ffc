"""ControllerRevisions: the pod templates that a DaemonSet or StatefulSet has had.

Source: Kubernetes docs, "Perform a Rollback on a DaemonSet"; API reference, ControllerRevision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.localkube.controllers.plan import Change, Create, Patch, Remove
from pellucid.localkube.controllers.reading import (
    Object,
    annotations_of,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    uid_of,
)
from pellucid.localkube.controllers.template_hash import template_hash
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import CONTROLLER_REVISIONS

REVISION_LABEL = "controller-revision-hash"
_NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})


@dataclass(frozen=True)
class History:
    """The revision of the owner's present template, those before it (oldest first), and what to change."""

    digest: str
    revision_name: str
    earlier: tuple[Object, ...]
    changes: tuple[Change, ...]


def history(view: View, owner: Object, used: Sequence[str]) -> History:
    """Keep one revision per template: a new one numbered highest, unused ones beyond the limit removed.

    used: hashes that pods still have.
    """
    revisions = sorted(
        (item for item in view.controlled(CONTROLLER_REVISIONS, owner) if not is_deleting(item)),
        key=lambda item: int(item["revision"]),
    )
    template = spec_of(owner)["template"]
    digest = template_hash(template)
    name = f"{name_of(owner)}-{digest}"
    highest = int(revisions[-1]["revision"]) if revisions else 0
    present = next((item for item in revisions if name_of(item) == name), None)
    earlier = tuple(item for item in revisions if item is not present)
    changes: list[Change] = []
    if present is None:
        changes.append(
            Create(CONTROLLER_REVISIONS, _revision(owner, name, digest, highest + 1), quietly=True)
        )
    elif int(present["revision"]) != highest:
        renumbered = {"revision": highest + 1}
        changes.append(Patch(CONTROLLER_REVISIONS, namespace_of(owner), name, renumbered))
    limit = int(spec_of(owner).get("revisionHistoryLimit", 10))
    idle = [item for item in earlier if item["metadata"].get("labels", {}).get(REVISION_LABEL) not in used]
    for item in idle[: max(len(idle) - limit, 0)]:
        changes.append(Remove(CONTROLLER_REVISIONS, namespace_of(owner), name_of(item), uid_of(item)))
    return History(digest, name, earlier, tuple(changes))


def _revision(owner: Object, name: str, digest: str, number: int) -> Object:
    template: dict[str, Any] = spec_of(owner)["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    annotations = {key: text for key, text in annotations_of(owner).items() if key not in _NOT_COPIED}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": namespace_of(owner),
            "labels": labels | {REVISION_LABEL: digest},
            "annotations": annotations,
            "ownerReferences": [owner_reference(owner)],
        },
        "data": {"spec": {"template": template | {"$patch": "replace"}}},
        "revision": number,
    }
