"""What to do about a custom resource: the controller's pure core.

An entry belongs to the cluster that wrote it: its metadata names that cluster's datacenter. Entries of
another origin are taken over only if the resource asks for it and says exactly what they say.

Source: Consul on Kubernetes 0.26, controller/configentry_controller.go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.kube.controllers.config_entries.conversion import is_same, owner
from pellucid.model.config_entries import ConfigEntry, to_json_object

FINALIZER = "finalizers.consul.hashicorp.com"
MIGRATE_ANNOTATION = "consul.hashicorp.com/migrate-entry"

EXTERNALLY_MANAGED = "ExternallyManagedConfigError"
MIGRATION_FAILED = "MigrationFailedError"
SERVER_ERROR = "ConsulAgentError"
INVALID = "InvalidResource"

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
SYNCED = "Synced"


class Condition(msgspec.Struct, frozen=True):
    """Whether the mesh has what the resource says. status: True, False or Unknown."""

    status: str
    reason: str = ""
    message: str = ""


IS_SYNCED = Condition(TRUE)


class Decision(msgspec.Struct, frozen=True):
    """write: give the server the entry; delete: remove it; condition: what then is so, if that succeeds."""

    write: bool = False
    delete: bool = False
    condition: Condition = IS_SYNCED
    is_update: bool = False


def decide(entry: ConfigEntry, found: ConfigEntry | None, *, migrates: bool) -> Decision:
    """What to do about a resource that is there. found: what the server has under that name."""
    if found is None:
        return Decision(write=True)
    if owner(found) == owner(entry):
        return Decision() if is_same(entry, found) else Decision(write=True, is_update=True)
    if not migrates:
        return Decision(condition=Condition(FALSE, EXTERNALLY_MANAGED, _managed_elsewhere(found)))
    if is_same(entry, found):
        return Decision(write=True, is_update=True)
    consul, kubernetes = (json.dumps(to_json_object(each)) for each in (found, entry))
    message = (
        "migration failed: Kubernetes resource does not match existing Consul config entry: "
        f"consul={consul}, kube={kubernetes}"
    )
    return Decision(condition=Condition(FALSE, MIGRATION_FAILED, message))


def decide_leaving(found: ConfigEntry | None, datacenter: str) -> Decision:
    """What to do about a resource that is being deleted."""
    return Decision(delete=found is not None and owner(found) == datacenter)


def _managed_elsewhere(found: ConfigEntry) -> str:
    if not owner(found):
        return "config entry already exists in Consul"
    return f'config entry managed in different datacenter: "{owner(found)}"'


def condition_of(status: Mapping[str, Any] | None) -> Condition | None:
    """The Synced condition that a resource has, None if it has none."""
    for condition in (status or {}).get("conditions") or ():
        if condition.get("type") == SYNCED:
            return Condition(
                condition.get("status", ""), condition.get("reason", ""), condition.get("message", "")
            )
    return None


def status_patch(
    before: Mapping[str, Any] | None, condition: Condition, now: str, *, synced_now: bool
) -> dict[str, Any]:
    """The new status. now: RFC 3339. The time of transition changes with the condition's status only."""
    earlier = condition_of(before)
    since = now
    if before and earlier is not None and earlier.status == condition.status:
        since = next(c for c in before["conditions"] if c["type"] == SYNCED).get("lastTransitionTime") or now
    written = {
        "type": SYNCED,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": since,
    }
    patch: dict[str, Any] = {"conditions": [written]}
    if synced_now:
        patch["lastSyncedTime"] = now
    return patch
