"""Who hands a pod's traffic to its sidecar: nobody, its author's own init container, or ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import msgspec

from pellucid.dataplane.kuma_flags import parse_kuma_flags
from pellucid.dataplane.redirect_settings import InvalidSettingError, parse_cidr, parse_id
from pellucid.kube.annotations import (
    EXCLUDE_INBOUND_PORTS,
    EXCLUDE_OUTBOUND_CIDRS,
    EXCLUDE_OUTBOUND_PORTS,
    EXCLUDE_UIDS,
    TRANSPARENT_PROXY,
    InvalidAnnotationError,
    parse_boolean,
    parse_each,
    parse_port_number,
)
from pellucid.kube.injector.settings import PROXY_ID, InjectorSettings
from pellucid.kube.pods import Object, redirecting_init_container


class Redirector(Enum):
    """Whose rules they are."""

    NOBODY = "nobody"
    AUTHOR = "author"
    US = "us"


class Redirection(msgspec.Struct, frozen=True):
    """How a pod's traffic gets to its sidecar, and as whom the sidecar runs, whose own goes free."""

    by: Redirector
    user: int = PROXY_ID
    group: int = PROXY_ID


def redirection_of(
    pod: Object, namespace_labels: Mapping[str, str], settings: InjectorSettings
) -> Redirection:
    """The pod's word counts most, then its namespace's label, then the default.

    An init container of the author's that redirects is left to do it. Raises InvalidAnnotationError.
    """
    spec = pod["spec"]
    authors = redirecting_init_container(spec)
    if authors is not None:
        return _by_author(authors)
    annotations = pod["metadata"].get("annotations") or {}
    asked = annotations.get(TRANSPARENT_PROXY) or namespace_labels.get(TRANSPARENT_PROXY)
    wanted = settings.transparent_by_default if not asked else parse_boolean(TRANSPARENT_PROXY, asked)
    if not wanted:
        return Redirection(Redirector.NOBODY)
    if spec.get("hostNetwork"):
        raise InvalidAnnotationError(
            "hostNetwork pods cannot use transparent proxy: it would redirect the traffic of the whole node; "
            f'set {TRANSPARENT_PROXY} to "false"'
        )
    _refuse_the_proxys_user(spec)
    return Redirection(Redirector.US)


def exclusion_flags(annotations: Mapping[str, str], own_inbound_ports: Sequence[int]) -> list[str]:
    """What the annotations keep out of the sidecar, and our own inbound ports, as `connect-init` flags.

    Raises InvalidAnnotationError.
    """

    def ports(name: str) -> tuple[int, ...]:
        return parse_each(name, annotations.get(name, ""), parse_port_number)

    inbound = (*own_inbound_ports, *ports(EXCLUDE_INBOUND_PORTS))
    cidrs = parse_each(EXCLUDE_OUTBOUND_CIDRS, annotations.get(EXCLUDE_OUTBOUND_CIDRS, ""), _cidr)
    users = parse_each(EXCLUDE_UIDS, annotations.get(EXCLUDE_UIDS, ""), _user)
    return [
        *(f"-exclude-inbound-port={port}" for port in dict.fromkeys(inbound)),
        *(f"-exclude-outbound-port={port}" for port in ports(EXCLUDE_OUTBOUND_PORTS)),
        *(f"-exclude-outbound-cidr={cidr}" for cidr in cidrs),
        *(f"-exclude-uid={user}" for user in users),
    ]


def _by_author(container: Object) -> Redirection:
    """kuma-init lets one user and one group go free; the sidecar has to be these."""
    try:
        flags = parse_kuma_flags(list(container.get("args") or ()))
    except InvalidSettingError as error:
        raise InvalidAnnotationError(f'init container "{container.get("name")}": {error}') from None
    user = PROXY_ID if flags.proxy_uid is None else flags.proxy_uid
    group = flags.exclude_gids[0] if flags.exclude_gids else user
    return Redirection(Redirector.AUTHOR, user, group)


def _refuse_the_proxys_user(spec: Object) -> None:
    if (spec.get("securityContext") or {}).get("runAsUser") == PROXY_ID:
        raise InvalidAnnotationError(f"pod security context cannot have the same uid as envoy: {PROXY_ID}")
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if (container.get("securityContext") or {}).get("runAsUser") == PROXY_ID:
            raise InvalidAnnotationError(
                f'container "{container["name"]}" has runAsUser set to the same uid {PROXY_ID} as envoy '
                "which is not allowed"
            )


def _cidr(name: str, text: str) -> str:
    try:
        return str(parse_cidr(name, text))
    except InvalidSettingError:
        raise InvalidAnnotationError(
            f"{name} annotation value of {text} is not an address range such as 10.0.0.0/8"
        ) from None


def _user(name: str, text: str) -> int:
    try:
        return parse_id(name, text)
    except InvalidSettingError:
        raise InvalidAnnotationError(f"{name} annotation value of {text} is not a user id") from None
