"""What to do next for a pod. Pure: specification, observations and time in, names of containers out.

Source: Kubernetes documentation, "Pod Lifecycle", "Init Containers", "Sidecar Containers".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from pellucid.localkube.node.observations import ContainerObservation, Terminated

Object = dict[str, Any]
Observations = Mapping[str, ContainerObservation]


class Decision(msgspec.Struct, frozen=True):
    """Containers to start now, in order; those that wait for a later start; whether the pod is over."""

    start: tuple[str, ...] = ()
    backing_off: tuple[str, ...] = ()
    finished: bool = False
    look_again_at: datetime | None = None


def is_sidecar(container: Object) -> bool:
    """A native sidecar: an init container that is kept running."""
    return container.get("restartPolicy") == "Always"


def decide(spec: Object, observed: Observations, now: datetime) -> Decision:
    """The next step for a pod that is not being deleted."""
    wanted: list[str] = []
    for container in spec.get("initContainers", ()):
        one = observed[container["name"]]
        if is_sidecar(container):
            if not one.running:
                wanted.append(container["name"])
            if not one.started:
                return _decision(wanted, observed, now)
        elif not _succeeded(one):
            if one.running:
                return _decision(wanted, observed, now)
            if one.ended is not None and spec.get("restartPolicy") == "Never":
                return Decision(finished=True)
            return _decision([*wanted, container["name"]], observed, now)
    mains = [container["name"] for container in spec["containers"]]
    restarted = [name for name in mains if _wants_start(observed[name], spec.get("restartPolicy", "Always"))]
    if not restarted and not any(observed[name].running for name in mains):
        return Decision(finished=True)
    return _decision([*wanted, *restarted], observed, now)


def is_initialized(spec: Object, observed: Observations) -> bool:
    """Whether every init container succeeded, and every sidecar started."""
    return all(
        observed[container["name"]].started
        if is_sidecar(container)
        else _succeeded(observed[container["name"]])
        for container in spec.get("initContainers", ())
    )


def incomplete_init_containers(spec: Object, observed: Observations) -> list[str]:
    """Their names, in order."""
    return [
        container["name"]
        for container in spec.get("initContainers", ())
        if not is_initialized({"initContainers": [container]}, observed)
    ]


def stop_order(spec: Object, observed: Observations) -> tuple[tuple[str, ...], ...]:
    """Groups of running containers, to be ended one group after another: sidecars last, in reverse."""
    inits = spec.get("initContainers", ())
    together = [*spec["containers"], *(container for container in inits if not is_sidecar(container))]
    groups = [tuple(container["name"] for container in together if observed[container["name"]].running)]
    groups += [
        (container["name"],)
        for container in reversed(inits)
        if is_sidecar(container) and observed[container["name"]].running
    ]
    return tuple(group for group in groups if group)


def _wants_start(one: ContainerObservation, policy: str) -> bool:
    if one.running:
        return False
    if one.ended is None or policy == "Always":
        return True
    return policy == "OnFailure" and one.ended.exit_code != 0


def _succeeded(one: ContainerObservation) -> bool:
    return isinstance(one.state, Terminated) and one.state.exit_code == 0


def _decision(wanted: list[str], observed: Observations, now: datetime) -> Decision:
    def waits(name: str) -> bool:
        at = observed[name].retry_at
        return at is not None and at > now

    later = tuple(name for name in wanted if waits(name))
    moments = [at for name in later if (at := observed[name].retry_at) is not None]
    return Decision(
        start=tuple(name for name in wanted if not waits(name)),
        backing_off=later,
        look_again_at=min(moments, default=None),
    )
