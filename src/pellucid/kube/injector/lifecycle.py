"""How a pod's sidecar starts and ends, by the pod's annotations.

Source: Consul on Kubernetes 1.2 docs, "Annotations and Labels" (sidecar proxy lifecycle).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pellucid.kube.annotations import (
    PROXY_DRAIN_LISTENERS,
    PROXY_LIFECYCLE,
    PROXY_LIVENESS_FAILURE,
    PROXY_SHUTDOWN_GRACE,
    PROXY_STARTUP_FAILURE,
    InvalidAnnotationError,
    parse_boolean,
    parse_count,
)
from pellucid.kube.injector.settings import LifecycleDefaults


class Lifecycle(msgspec.Struct, frozen=True):
    """drain_s: how long open connections may last at the end; the others as in LifecycleDefaults."""

    drain_s: int
    startup_failure_s: int
    liveness_failure_s: int


def lifecycle_of(annotations: Mapping[str, str], defaults: LifecycleDefaults) -> Lifecycle:
    """A sidecar drains unless its pod says otherwise. Raises InvalidAnnotationError."""

    def count(name: str, default: int) -> int:
        text = annotations.get(name)
        return default if text is None else parse_count(name, text)

    drains = [parse_boolean(name, annotations.get(name, "true")) for name in _DRAIN_SWITCHES]
    grace = count(PROXY_SHUTDOWN_GRACE, defaults.drain_s)
    startup = count(PROXY_STARTUP_FAILURE, defaults.startup_failure_s)
    if startup == 0:
        raise InvalidAnnotationError(
            f"{PROXY_STARTUP_FAILURE} annotation value of 0 leaves a sidecar no time to start"
        )
    liveness = count(PROXY_LIVENESS_FAILURE, defaults.liveness_failure_s)
    return Lifecycle(grace if all(drains) else 0, startup, liveness)


_DRAIN_SWITCHES = (PROXY_LIFECYCLE, PROXY_DRAIN_LISTENERS)
