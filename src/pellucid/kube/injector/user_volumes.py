"""Volumes that a pod's author wants mounted into the sidecar.

Source: Consul on Kubernetes 1.0 docs, "Annotations and Labels" (consul-sidecar-user-volume).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.kube.annotations import USER_VOLUME_MOUNTS, USER_VOLUMES, InvalidAnnotationError


def user_volumes(annotations: Mapping[str, str]) -> list[dict[str, Any]]:
    """Volumes for the pod. Raises InvalidAnnotationError."""
    return _objects(annotations, USER_VOLUMES, '[{"name": "certs", "secret": {"secretName": "certs"}}]')


def user_mounts(annotations: Mapping[str, str]) -> list[dict[str, Any]]:
    """Where they are mounted in the sidecar. Raises InvalidAnnotationError."""
    return _objects(annotations, USER_VOLUME_MOUNTS, '[{"name": "certs", "mountPath": "/certs"}]')


def _objects(annotations: Mapping[str, str], name: str, example: str) -> list[dict[str, Any]]:
    text = annotations.get(name)
    if text is None:
        return []
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise InvalidAnnotationError(
            f"{name} annotation value is no JSON list such as {example}: {error}"
        ) from None
