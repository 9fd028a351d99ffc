"""Volume claims: each gets a directory of the cluster, or a matching volume that is there already.

Source: Kubernetes docs, "Persistent Volumes"; behaviour as of the local-path provisioner that kind uses.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from pellucid.localkube.controllers.controller import Controller, all_of, itself
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan, Remove, Say
from pellucid.localkube.controllers.reading import (
    Object,
    annotations_of,
    is_deleting,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES

PROVISIONER = "rancher.io/local-path"
STANDARD_CLASS = "standard"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def standard_storage_class() -> Object:
    """The storage class every cluster starts with."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STANDARD_CLASS, "annotations": {DEFAULT_CLASS: "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


def claim_controller(directory: Path) -> Controller:
    """Binds claims, making volumes under `directory`."""

    def reconcile(view: View, key: Key, now: datetime) -> Plan:
        claim = view.get(PERSISTENT_VOLUME_CLAIMS, key.namespace, key.name)
        if claim is None or is_deleting(claim) or status_of(claim).get("phase") == "Bound":
            return NOTHING
        volume = _chosen(view, claim)
        if volume is not None:
            return Plan(_bound(claim, volume))
        storage_class = _class_of(view, claim)
        if storage_class is None or storage_class.get("provisioner") != PROVISIONER:
            text = "no persistent volumes available for this claim and no storage class is set"
            return Plan((Say(claim, "FailedBinding", text),)) if storage_class is None else NOTHING
        made = _volume(claim, storage_class, directory)
        text = f"Successfully provisioned volume {name_of(made)}"
        said = Say(claim, "ProvisioningSucceeded", text)
        return Plan((Create(PERSISTENT_VOLUMES, made, quietly=True, then=said),))

    triggers = {
        PERSISTENT_VOLUME_CLAIMS: itself,
        PERSISTENT_VOLUMES: all_of(PERSISTENT_VOLUME_CLAIMS),
        STORAGE_CLASSES: all_of(PERSISTENT_VOLUME_CLAIMS),
    }
    return Controller("persistentvolumeclaim", triggers, reconcile)


def _chosen(view: View, claim: Object) -> Object | None:
    """The volume that names the claim, or a free one that is as it asks."""
    volumes = [volume for volume in view.list(PERSISTENT_VOLUMES) if not is_deleting(volume)]
    for volume in volumes:
        reference = spec_of(volume).get("claimRef") or {}
        if (reference.get("namespace"), reference.get("name")) == (namespace_of(claim), name_of(claim)):
            return volume if reference.get("uid") in (None, uid_of(claim)) else None
    wanted = spec_of(claim)
    for volume in volumes:
        spec = spec_of(volume)
        if (
            not spec.get("claimRef")
            and wanted.get("volumeName", name_of(volume)) == name_of(volume)
            and spec.get("storageClassName", "") == wanted.get("storageClassName", "")
            and set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
        ):
            return volume
    return None


def _class_of(view: View, claim: Object) -> Object | None:
    name = spec_of(claim).get("storageClassName")
    if name is not None:
        return view.get(STORAGE_CLASSES, "", name) if name else None
    for storage_class in view.list(STORAGE_CLASSES):
        if annotations_of(storage_class).get(DEFAULT_CLASS) == "true":
            return storage_class
    return None


def _reference(claim: Object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
    }


def _volume(claim: Object, storage_class: Object, directory: Path) -> Object:
    name = f"pvc-{uid_of(claim)}"
    path = directory / f"{name}_{namespace_of(claim)}_{name_of(claim)}"
    spec = spec_of(claim)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {
                "storage": ((spec.get("resources") or {}).get("requests") or {}).get("storage", "1Gi")
            },
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "hostPath": {"path": str(path), "type": "DirectoryOrCreate"},
            "claimRef": _reference(claim),
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": name_of(storage_class),
        },
    }


def _bound(claim: Object, volume: Object) -> tuple[Change, ...]:
    spec = spec_of(volume)
    claimed: dict[str, Any] = {"spec": {"volumeName": name_of(volume)}}
    if spec_of(claim).get("storageClassName") is None and spec.get("storageClassName"):
        claimed["spec"]["storageClassName"] = spec["storageClassName"]
    status = {
        "phase": "Bound",
        "accessModes": spec.get("accessModes") or [],
        "capacity": spec.get("capacity") or {},
    }
    place, name = namespace_of(claim), name_of(claim)
    return (
        Patch(PERSISTENT_VOLUMES, "", name_of(volume), {"spec": {"claimRef": _reference(claim)}}),
        Patch(PERSISTENT_VOLUMES, "", name_of(volume), {"status": {"phase": "Bound"}}, "status"),
        Patch(PERSISTENT_VOLUME_CLAIMS, place, name, claimed),
        Patch(PERSISTENT_VOLUME_CLAIMS, place, name, {"status": status}, "status"),
    )


def _reconcile_volume(view: View, key: Key, now: datetime) -> Plan:
    """Release a volume whose claim is gone; one made for the claim goes with it."""
    volume = view.get(PERSISTENT_VOLUMES, "", key.name)
    if volume is None or is_deleting(volume):
        return NOTHING
    reference = spec_of(volume).get("claimRef")
    if not reference or not reference.get("uid"):
        return _with_phase(volume, "Available")
    claim = view.get(PERSISTENT_VOLUME_CLAIMS, reference["namespace"], reference["name"])
    if claim is not None and uid_of(claim) == reference["uid"]:
        return NOTHING
    if (
        spec_of(volume).get("persistentVolumeReclaimPolicy") == "Delete"
        and annotations_of(volume).get(PROVISIONED_BY) == PROVISIONER
    ):
        return Plan((Remove(PERSISTENT_VOLUMES, "", key.name, uid_of(volume)),))
    return _with_phase(volume, "Released")


def _with_phase(volume: Object, phase: str) -> Plan:
    if status_of(volume).get("phase") == phase:
        return NOTHING
    return Plan((Patch(PERSISTENT_VOLUMES, "", name_of(volume), {"status": {"phase": phase}}, "status"),))


VOLUME_CONTROLLER = Controller(
    "persistentvolume",
    {PERSISTENT_VOLUMES: itself, PERSISTENT_VOLUME_CLAIMS: all_of(PERSISTENT_VOLUMES)},
    _reconcile_volume,
)
