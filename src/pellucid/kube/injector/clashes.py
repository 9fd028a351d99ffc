"""What a pod already has that its sidecar needs for itself: names, and ports.

All containers of a pod share one network, so a port that the sidecar listens on is gone for the others; the
one that comes second fails to start and does not say why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pellucid.kube.annotations import InvalidAnnotationError
from pellucid.kube.injector.settings import DATA_VOLUME, TOKEN_VOLUME
from pellucid.kube.pods import INIT_CONTAINER, SIDECAR_CONTAINER, Object

OwnPort = tuple[int, str]
"""A port that the sidecar listens on, and what for."""


def refuse_clashes(spec: Object, own_ports: Sequence[OwnPort]) -> None:
    """Raises InvalidAnnotationError for the first thing that both want."""
    _refuse_names(spec.get("volumes") or (), (DATA_VOLUME, TOKEN_VOLUME), "volume")
    _refuse_names(_containers(spec), (SIDECAR_CONTAINER, INIT_CONTAINER), "container")
    taken: dict[int, str] = {}
    for port, purpose in own_ports:
        if port in taken:
            raise InvalidAnnotationError(
                f"port {port} is wanted both by {taken[port]} and by {purpose}: choose another for one"
            )
        taken[port] = purpose
    for container in _containers(spec):
        for declared in container.get("ports") or ():
            purpose = taken.get(declared.get("containerPort"), "")
            if purpose and declared.get("protocol", "TCP") == "TCP":
                raise InvalidAnnotationError(
                    f'container "{container["name"]}" has port {declared["containerPort"]}, which the '
                    f"sidecar needs for {purpose}"
                )


def _refuse_names(things: Iterable[Object], ours: Sequence[str], kind: str) -> None:
    for thing in things:
        if thing.get("name") in ours:
            raise InvalidAnnotationError(
                f'the pod already has a {kind} "{thing["name"]}", which is the name of one of the mesh\'s'
            )


def _containers(spec: Object) -> Iterator[Object]:
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()
