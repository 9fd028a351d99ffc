"""Rules of a pod's containers. Source: pkg/apis/core/validation, Kubernetes 1.30."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    bad,
    duplicate,
    forbidden,
    missing,
    not_negative,
    one_of,
    required,
    unsupported,
)
from pellucid.localkube.types.quantities import QuantityError, quantity

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_STANDARD_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_VALUE_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_POD_FIELDS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
_POD_FIELD_OF_MAP = re.compile(r"metadata\.(labels|annotations)\['.+'\]")


def container(one: Object, path: str, volumes: Set[str], *, init: bool) -> Causes:
    """One container. volumes: the names of the volumes of its pod."""
    name = one.get("name", "")
    if name:
        yield from names.label_name(f"{path}.name", name)
    else:
        yield required(f"{path}.name")
    image = one.get("image", "")
    if not image:
        yield required(f"{path}.image")
    elif image.strip() != image:
        yield bad(f"{path}.image", image, "must not have leading or trailing whitespace")
    yield from one_of(f"{path}.imagePullPolicy", one.get("imagePullPolicy"), PULL_POLICIES)
    policy = one.get("terminationMessagePolicy")
    yield from one_of(f"{path}.terminationMessagePolicy", policy, ("File", "FallbackToLogsOnError"))
    yield from _ports(one, f"{path}.ports")
    yield from _environment(one, path)
    yield from _mounts(one, f"{path}.volumeMounts", volumes)
    yield from _resources(one.get("resources") or {}, f"{path}.resources")
    yield from _security(one.get("securityContext") or {}, f"{path}.securityContext")
    if init and one.get("restartPolicy") not in (None, "Always"):
        yield unsupported(f"{path}.restartPolicy", one["restartPolicy"], ("Always",))
    if not init and one.get("restartPolicy") is not None:
        yield forbidden(f"{path}.restartPolicy", "may not be set for non-init containers")
    yield from _probes_and_hooks(one, path, allowed=not init or one.get("restartPolicy") == "Always")


def _ports(one: Object, path: str) -> Causes:
    seen: set[str] = set()
    for place, port in enumerate(one.get("ports") or ()):
        field = f"{path}[{place}]"
        if name := port.get("name"):
            yield from names.port_name(f"{field}.name", name)
            if name in seen:
                yield duplicate(f"{field}.name", name)
            seen.add(name)
        if not port.get("containerPort"):
            yield required(f"{field}.containerPort")
        else:
            yield from names.port_number(f"{field}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            yield from names.port_number(f"{field}.hostPort", port["hostPort"])
        yield from one_of(f"{field}.protocol", port.get("protocol"), PROTOCOLS)


def _environment(one: Object, path: str) -> Causes:
    for place, variable in enumerate(one.get("env") or ()):
        field = f"{path}.env[{place}]"
        if not variable.get("name"):
            yield required(f"{field}.name")
        else:
            yield from names.environment_name(f"{field}.name", variable["name"])
        if variable.get("valueFrom") is not None:
            yield from _value_source(variable, f"{field}.valueFrom")
    for place, source in enumerate(one.get("envFrom") or ()):
        field = f"{path}.envFrom[{place}]"
        stated = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        if not stated:
            yield bad(field, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(stated) > 1:
            yield bad(field, "", "may not have more than one field specified at a time")
        for name in stated:
            if not source[name].get("name"):
                yield required(f"{field}.{name}.name")


def _value_source(variable: Object, field: str) -> Causes:
    source = variable["valueFrom"]
    stated = [name for name in _VALUE_SOURCES if source.get(name) is not None]
    if not stated:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield bad(field, "", f"must specify one of: {listed}")
    elif variable.get("value"):
        yield bad(field, "", "may not be specified when `value` is not empty")
    elif len(stated) > 1:
        yield bad(field, "", "may not have more than one field specified at a time")
    for name in stated:
        yield from _VALUE_CHECKS[name](source[name], f"{field}.{name}")


def field_reference(reference: Object, field: str) -> Causes:
    """A field of the pod itself."""
    path = reference.get("fieldPath", "")
    if not path:
        yield required(f"{field}.fieldPath")
    elif path not in _POD_FIELDS and not _POD_FIELD_OF_MAP.fullmatch(path):
        why = f"error converting fieldPath: field label not supported: {path}"
        yield bad(f"{field}.fieldPath", path, why)


def _resource_reference(reference: Object, field: str) -> Causes:
    if not reference.get("resource"):
        yield required(f"{field}.resource")


def _key_reference(reference: Object, field: str) -> Causes:
    for name in ("name", "key"):
        if not reference.get(name):
            yield required(f"{field}.{name}")


_VALUE_CHECKS = {
    "fieldRef": field_reference,
    "resourceFieldRef": _resource_reference,
    "configMapKeyRef": _key_reference,
    "secretKeyRef": _key_reference,
}


def _mounts(one: Object, path: str, volumes: Set[str]) -> Causes:
    mounted: set[str] = set()
    for place, mount in enumerate(one.get("volumeMounts") or ()):
        field = f"{path}[{place}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield required(f"{field}.name")
        elif name not in volumes:
            yield missing(f"{field}.name", name)
        if not target:
            yield required(f"{field}.mountPath")
        elif target in mounted:
            yield bad(f"{field}.mountPath", target, "must be unique")
        mounted.add(target)
        for part in ("subPath", "subPathExpr"):
            yield from _inside(mount.get(part) or "", f"{field}.{part}")


def _inside(path: str, field: str) -> Causes:
    if path.startswith("/"):
        yield bad(field, path, "must be a relative path")
    elif ".." in path.split("/"):
        yield bad(field, path, "must not contain '..'")


def _resources(stated: Mapping[str, Any], path: str) -> Causes:
    limits, requests = stated.get("limits") or {}, stated.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name in sorted(amounts):
            yield from amount(amounts[name], f"{path}.{kind}[{name}]")
            if "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith("hugepages-"):
                yield bad(f"{path}.{kind}[{name}]", name, "must be a standard resource for containers")
    for name in sorted(set(limits) & set(requests)):
        if _value(requests[name]) > _value(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            yield bad(f"{path}.requests", str(requests[name]), why)


def amount(stated: Any, field: str) -> Causes:
    """A quantity, which must not be negative."""
    if _value(stated) < 0:
        yield bad(field, str(stated), "must be greater than or equal to 0")


def _value(stated: Any) -> float:
    try:
        return float(quantity(str(stated)))
    except QuantityError:
        return 0.0


def _security(stated: Mapping[str, Any], path: str) -> Causes:
    for name in ("runAsUser", "runAsGroup"):
        yield from identity(f"{path}.{name}", stated.get(name))
    if stated.get("privileged") and stated.get("allowPrivilegeEscalation") is False:
        why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield bad(path, dict(stated), why)


def identity(field: str, number: Any) -> Causes:
    """A user's or a group's number."""
    if isinstance(number, int) and not 0 <= number <= 2**31 - 1:
        yield bad(field, number, "must be between 0 and 2147483647, inclusive")


def _probes_and_hooks(one: Object, path: str, *, allowed: bool) -> Causes:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = one.get(name)
        if probe is None:
            continue
        if not allowed:
            yield forbidden(
                f"{path}.{name}", "may not be set for init containers without restartPolicy=Always"
            )
            continue
        yield from _handler(probe, f"{path}.{name}", _HANDLERS)
        for number in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold"):
            yield from not_negative(f"{path}.{name}.{number}", probe.get(number))
        if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            yield bad(f"{path}.{name}.successThreshold", probe["successThreshold"], "must be 1")
    hooks = one.get("lifecycle") or {}
    if hooks and not allowed:
        why = "may not be set for init containers without restartPolicy=Always"
        yield forbidden(f"{path}.lifecycle", why)
        return
    for name in ("postStart", "preStop"):
        if hooks.get(name) is not None:
            yield from _handler(hooks[name], f"{path}.lifecycle.{name}", _HOOK_HANDLERS)


def _handler(stated: Mapping[str, Any], field: str, kinds: tuple[str, ...]) -> Causes:
    chosen = [kind for kind in kinds if stated.get(kind) is not None]
    if not chosen:
        yield required(field, "must specify a handler type")
    for kind in chosen[1:]:
        yield forbidden(f"{field}.{kind}", "may not specify more than 1 handler type")
    for kind in chosen[:1]:
        handler = stated[kind]
        if kind == "exec":
            if not handler.get("command"):
                yield required(f"{field}.exec.command")
        elif kind in ("httpGet", "tcpSocket", "grpc"):
            yield from names.port_number_or_name(f"{field}.{kind}.port", handler.get("port", 0))
        if kind == "httpGet":
            yield from one_of(f"{field}.httpGet.scheme", handler.get("scheme"), ("HTTP", "HTTPS"))
