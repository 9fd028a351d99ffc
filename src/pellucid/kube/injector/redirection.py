"""Who hands a pod's traffic to its sidecar: nobody, its author's own init container, or ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import msgspec

from pellucid.dataplane.kuma_flags import parse_kuma_flags
from pellucid.dataplane.redirect_settings import InvalidSettingError, RedirectSettings, parse_cidr, parse_id
from pellucid.kube.annotations import (
    EXCLUDE_INBOUND_PORTS,
    EXCLUDE_OUTBOUND_CIDRS,
    EXCLUDE_OUTBOUND_PORTS,
    EXCLUDE_UIDS,
    TRANSPARENT_PROXY,
    InvalidAnnotationError,
    complaining,
    parse_boolean,
    parse_each,
    parse_port_number,
)
from pellucid.kube.injector.settings import PROXY_ID, InjectorSettings
from pellucid.kube.pods import Object, redirecting_init_container
from pellucid.kube.sidecar_ports import INBOUND_PORT

EXCLUSIONS = (EXCLUDE_INBOUND_PORTS, EXCLUDE_OUTBOUND_PORTS, EXCLUDE_OUTBOUND_CIDRS, EXCLUDE_UIDS)


class Redirector(Enum):
    """Whose rules they are."""

    NOBODY = "nobody"
    AUTHOR = "author"
    US = "us"


class Redirection(msgspec.Struct, frozen=True):
    """How a pod's traffic gets to its sidecar, and as whom the sidecar runs, whose own goes free.

    rules: those of the pod's author, if they are the author's.
    """

    by: Redirector
    user: int = PROXY_ID
    group: int = PROXY_ID
    rules: RedirectSettings | None = None

    def author_captures(self, port: int) -> bool:
        """True if rules that we can't change take what arrives at the port."""
        if self.rules is None or self.rules.inbound_port is None:
            return False
        included = self.rules.include_inbound_ports
        return port not in self.rules.exclude_inbound_ports if included is None else port in included


def redirection_of(
    pod: Object, namespace_labels: Mapping[str, str], settings: InjectorSettings
) -> Redirection:
    """The pod's word counts most, then its namespace's label, then the default.

    An init container of the author's that redirects is left to do it. Raises InvalidAnnotationError.
    """
    spec, annotations = pod["spec"], pod["metadata"].get("annotations") or {}
    authors = redirecting_init_container(spec)
    asked = annotations.get(TRANSPARENT_PROXY)
    if authors is not None:
        return _by_author(authors, spec, asked)
    if asked is None:
        asked = namespace_labels.get(TRANSPARENT_PROXY)
    if not (settings.transparent_by_default if asked is None else _switch(asked)):
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
        *(f"-exclude-outbound-port={port}" for port in dict.fromkeys(ports(EXCLUDE_OUTBOUND_PORTS))),
        *(f"-exclude-outbound-cidr={cidr}" for cidr in dict.fromkeys(cidrs)),
        *(f"-exclude-uid={user}" for user in dict.fromkeys(users)),
    ]


def _by_author(container: Object, spec: Object, asked: str | None) -> Redirection:
    """kuma-init lets one user and one group go free; the sidecar has to be these."""
    name = container.get("name")
    if asked is not None and not _switch(asked):
        raise InvalidAnnotationError(
            f'{TRANSPARENT_PROXY} is "{asked}", but init container "{name}" redirects the pod\'s traffic: '
            "remove one of the two"
        )
    if spec.get("hostNetwork"):
        raise InvalidAnnotationError(
            "hostNetwork pods cannot use transparent proxy: "
            f'init container "{name}" would redirect the traffic of the whole node; remove it'
        )
    try:
        rules = parse_kuma_flags(list(container.get("args") or ()))
    except InvalidSettingError as error:
        raise InvalidAnnotationError(f'init container "{name}": {error}') from None
    if rules.inbound_port not in (None, INBOUND_PORT):
        raise InvalidAnnotationError(
            f'init container "{name}" sends what arrives to port {rules.inbound_port}, where nobody listens: '
            f"give it -z {INBOUND_PORT}, the sidecar's"
        )
    user = PROXY_ID if rules.proxy_uid is None else rules.proxy_uid
    group = rules.exclude_gids[0] if rules.exclude_gids else user
    return Redirection(Redirector.AUTHOR, user, group, rules)


def _switch(text: str) -> bool:
    with complaining("error configuring injection init container"):
        return parse_boolean(TRANSPARENT_PROXY, text)


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
