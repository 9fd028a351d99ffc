"""Annotations of a pod as values. Errors name the annotation, what it holds and what it may hold.

Source: Consul on Kubernetes 0.26 docs, "Annotations and Labels"; 1.0 docs, "Upstream annotation".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pellucid.kube.controllers.endpoints.observed import PREFIX, Pod
from pellucid.model.services import Upstream

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_HIGHEST_PORT = 65_535
_LABELLED = re.compile(r"(?P<name>[^.]+)\.svc(\.[^.]+\.ns)?(\.(?P<datacenter>[^.]+)\.dc)?")
"""`name.svc`, `name.svc.<namespace>.ns`, `name.svc.<datacenter>.dc`."""
_PREPARED_QUERY = "prepared_query"


class InvalidAnnotationError(ValueError):
    """An annotation does not say what it should; `str()` names it, its value and what to write."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(f'annotation {PREFIX}{name}: "{value}" is invalid: {wanted}')


def boolean(pod: Pod, name: str, default: bool) -> bool:
    """A switch. Raises InvalidAnnotationError."""
    text = pod.annotations.get(name)
    if text is None:
        return default
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise InvalidAnnotationError(name, text, "write true or false")


def port(pod: Pod, name: str, default: int) -> int:
    """A port by number or by the name one of the containers gives it. Raises InvalidAnnotationError."""
    text = pod.annotations.get(name, "").strip()
    number = _port(pod, text) if text else default
    if number is None:
        raise InvalidAnnotationError(
            name, text, "no container has a port of this name or number from 1 to 65535"
        )
    return number


def _port(pod: Pod, text: str) -> int | None:
    named = pod.port_named(text)
    if named is not None:
        return named
    try:
        number = int(text, 0)
    except ValueError:
        return None
    return number if 0 < number <= _HIGHEST_PORT else None


def upstreams(pod: Pod) -> tuple[Upstream, ...]:
    """The destinations of `connect-service-upstreams`. Raises InvalidAnnotationError."""
    return tuple(_upstreams(pod))


def _upstreams(pod: Pod) -> Iterator[Upstream]:
    annotation = "connect-service-upstreams"
    for item in pod.annotations.get(annotation, "").split(","):
        if not item.strip():
            continue
        upstream = _upstream(pod, [part.strip() for part in item.split(":")])
        if upstream is None:
            raise InvalidAnnotationError(
                annotation,
                item.strip(),
                "write name:port, name:port:datacenter or prepared_query:name:port, "
                "with a port from 1 to 65535 or the name of one of the pod's",
            )
        yield upstream


def _upstream(pod: Pod, parts: list[str]) -> Upstream | None:
    match parts:
        case [kind, name, local_port] if kind == _PREPARED_QUERY:
            datacenter, destination_type = "", _PREPARED_QUERY
        case [name, local_port]:
            datacenter, destination_type = "", "service"
        case [name, local_port, datacenter]:
            destination_type = "service"
        case _:
            return None
    if labelled := _LABELLED.fullmatch(name):
        name, datacenter = labelled["name"], labelled["datacenter"] or datacenter
    number = _port(pod, local_port)
    if not name or number is None:
        return None
    return Upstream(
        destination_name=name,
        destination_type=destination_type,
        datacenter=datacenter,
        local_bind_port=number,
    )
