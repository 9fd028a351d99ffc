"""A volume claim that a pod uses stays, Terminating, until the pod has ended.

Source: Kubernetes docs, "Persistent Volumes - Storage Object in Use Protection".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pellucid.localkube.controllers.controller import Controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Key, Patch, Plan
from pellucid.localkube.controllers.pods import has_ended
from pellucid.localkube.controllers.reading import Object, is_deleting, namespace_of, spec_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import PERSISTENT_VOLUME_CLAIMS, PODS

FINALIZER = "kubernetes.io/pvc-protection"


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Put the finalizer on a claim; take it off one that is being deleted once nobody uses it."""
    claim = view.get(PERSISTENT_VOLUME_CLAIMS, key.namespace, key.name)
    if claim is None:
        return NOTHING
    finalizers = list(claim["metadata"].get("finalizers") or ())
    if not is_deleting(claim):
        return NOTHING if FINALIZER in finalizers else _with_finalizers(key, [*finalizers, FINALIZER])
    pods = view.list(PODS, key.namespace)
    if FINALIZER not in finalizers or any(key in _claims_of(view, pod) for pod in pods if _has_it(pod)):
        return NOTHING
    return _with_finalizers(key, [each for each in finalizers if each != FINALIZER])


def _with_finalizers(key: Key, finalizers: list[str]) -> Plan:
    patch = {"metadata": {"finalizers": finalizers or None}}
    return Plan((Patch(PERSISTENT_VOLUME_CLAIMS, key.namespace, key.name, patch),))


def _has_it(pod: Object) -> bool:
    """Whether a node may have mounted what the pod claims."""
    return bool(spec_of(pod).get("nodeName")) and not has_ended(pod)


def _claims_of(_view: View, pod: Object) -> Iterable[Key]:
    volumes = spec_of(pod).get("volumes") or ()
    claims = (each["persistentVolumeClaim"] for each in volumes if "persistentVolumeClaim" in each)
    return tuple(Key(namespace_of(pod), claim["claimName"]) for claim in claims)


CLAIM_PROTECTION_CONTROLLER = Controller(
    "persistentvolumeclaim-protection", {PERSISTENT_VOLUME_CLAIMS: itself, PODS: _claims_of}, reconcile
)
