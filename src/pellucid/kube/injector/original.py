"""The pod as its author wrote it, as far as anyone needs it later: kept in an annotation.

Only what the injector may change, and what tells names from numbers: a whole pod would double the size of
the object. Source: consul-k8s 0.26, annotation `original-pod`, which holds the whole pod.
"""

from __future__ import annotations

from typing import Any

from pellucid.kube.injector.probes import FIRST_PORTS
from pellucid.kube.pods import Object

_METADATA = ("name", "generateName", "namespace", "labels", "annotations")
_CONTAINER = ("name", "ports", "restartPolicy", "lifecycle", *FIRST_PORTS)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def original_pod(pod: Object) -> dict[str, Any]:
    """Metadata, and of each container its name, ports, probes and hooks."""
    metadata = _some_of(pod["metadata"], _METADATA)
    if "annotations" in metadata:
        annotations = metadata["annotations"].items()
        metadata["annotations"] = {name: text for name, text in annotations if name != _LAST_APPLIED}
    spec = {
        field: [_some_of(container, _CONTAINER) for container in pod["spec"][field]]
        for field in ("initContainers", "containers")
        if pod["spec"].get(field)
    }
    return {"metadata": metadata, "spec": spec}


def _some_of(thing: Object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: thing[name] for name in names if thing.get(name)}
