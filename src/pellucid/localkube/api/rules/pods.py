"""Rules of pods and of the templates they are made from.

Source: pkg/apis/core/validation, Kubernetes 1.30.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    bad,
    duplicate,
    forbidden,
    one_of,
    required,
    unsupported,
)
from pellucid.localkube.api.rules.containers import container, field_reference, identity

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_NAMED_SOURCES = {
    "configMap": "name",
    "secret": "secretName",
    "persistentVolumeClaim": "claimName",
    "hostPath": "path",
}
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def pod(value: Object) -> Causes:
    """A Pod."""
    yield from pod_spec(value.get("spec") or {}, "spec")


def template(stated: Object, path: str, claimed: Iterable[str] = ()) -> Causes:
    """The template of a workload's pods."""
    meta = stated.get("metadata") or {}
    yield from names.labels(f"{path}.metadata.labels", meta.get("labels") or {})
    yield from names.annotation_keys(f"{path}.metadata.annotations", meta.get("annotations") or {})
    yield from pod_spec(stated.get("spec") or {}, f"{path}.spec", claimed)


def pod_spec(spec: Object, path: str, claimed: Iterable[str] = ()) -> Causes:
    """A pod's spec. claimed: volumes it will get besides its own, from claim templates."""
    volumes: set[str] = set()
    yield from _volumes(spec.get("volumes") or (), f"{path}.volumes", volumes)
    volumes.update(claimed)
    yield from _containers(spec, path, volumes)
    if "restartPolicy" not in spec:
        yield required(f"{path}.restartPolicy")
    yield from one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    yield from _dns(spec, path)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        yield bad(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    yield from names.labels(f"{path}.nodeSelector", spec.get("nodeSelector") or {})
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            yield from names.label_name(f"{path}.{name}", spec[name])
    for name in ("nodeName", "serviceAccountName", "priorityClassName", "runtimeClassName"):
        if spec.get(name):
            yield from names.subdomain_name(f"{path}.{name}", spec[name])
    yield from _security(spec, path)
    for place, toleration in enumerate(spec.get("tolerations") or ()):
        yield from _toleration(toleration, f"{path}.tolerations[{place}]")


def _containers(spec: Object, path: str, volumes: set[str]) -> Causes:
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for group in ("containers", "initContainers"):
        for place, one in enumerate(spec.get(group) or ()):
            field = f"{path}.{group}[{place}]"
            yield from container(one, field, volumes, init=group == "initContainers")
            if one.get("name") in seen:
                yield duplicate(f"{field}.name", one["name"])
            seen.add(one.get("name", ""))
            if spec.get("hostNetwork"):
                yield from _host_ports(one, f"{field}.ports")


def _host_ports(one: Object, path: str) -> Causes:
    for place, port in enumerate(one.get("ports") or ()):
        if port.get("hostPort") != port.get("containerPort"):
            why = "must match `hostPort` when `hostNetwork` is true"
            yield bad(f"{path}[{place}].containerPort", port.get("containerPort"), why)


def _volumes(stated: Iterable[Object], path: str, seen: set[str]) -> Causes:
    for place, volume in enumerate(stated):
        field, name = f"{path}[{place}]", volume.get("name", "")
        if not name:
            yield required(f"{field}.name")
        else:
            yield from names.label_name(f"{field}.name", name)
            if name in seen:
                yield duplicate(f"{field}.name", name)
        seen.add(name)
        yield from _volume_source(volume, field)


def _volume_source(volume: Object, field: str) -> Causes:
    stated = [kind for kind in volume if kind != "name" and volume[kind] is not None]
    if not stated:
        yield required(field, "must specify a volume type")
    for kind in stated[1:]:
        yield forbidden(f"{field}.{kind}", "may not specify more than 1 volume type")
    for kind in stated[:1]:
        source = volume[kind]
        wanted = _NAMED_SOURCES.get(kind)
        if wanted and not source.get(wanted):
            yield required(f"{field}.{kind}.{wanted}")
        if kind == "hostPath":
            if ".." in str(source.get("path", "")).split("/"):
                yield bad(f"{field}.hostPath.path", source["path"], "must not contain '..'")
            yield from one_of(f"{field}.hostPath.type", source.get("type"), _HOST_PATH_TYPES)
        if kind in ("configMap", "secret", "downwardAPI", "projected"):
            yield from _mode(source.get("defaultMode"), f"{field}.{kind}.defaultMode")
        if kind in ("configMap", "secret"):
            yield from _items(source, f"{field}.{kind}.items")
        if kind == "downwardAPI":
            for place, item in enumerate(source.get("items") or ()):
                if item.get("fieldRef") is not None:
                    yield from field_reference(
                        item["fieldRef"], f"{field}.downwardAPI.items[{place}].fieldRef"
                    )


def _items(source: Object, path: str) -> Causes:
    for place, item in enumerate(source.get("items") or ()):
        for name in ("key", "path"):
            if not item.get(name):
                yield required(f"{path}[{place}].{name}")
        if str(item.get("path", "")).startswith("/"):
            yield bad(f"{path}[{place}].path", item["path"], "must be a relative path")
        elif ".." in str(item.get("path", "")).split("/"):
            yield bad(f"{path}[{place}].path", item["path"], "must not contain '..'")


def _mode(mode: Any, field: str) -> Causes:
    if isinstance(mode, int) and not 0 <= mode <= 0o777:
        yield bad(field, mode, "must be a number between 0 and 0777 (octal), both inclusive")


def _dns(spec: Object, path: str) -> Causes:
    policy = spec.get("dnsPolicy")
    yield from one_of(f"{path}.dnsPolicy", policy, DNS_POLICIES)
    if policy == "None":
        config = spec.get("dnsConfig")
        if config is None:
            why = "must provide `dnsConfig` when `dnsPolicy` is None"
            yield required(f"{path}.dnsConfig", why)
        elif not config.get("nameservers"):
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{path}.dnsConfig.nameservers", why)


def _security(spec: Object, path: str) -> Causes:
    context = spec.get("securityContext") or {}
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        yield from identity(f"{path}.securityContext.{name}", context.get(name))


def _toleration(stated: Object, field: str) -> Causes:
    operator, effect = stated.get("operator", "Equal"), stated.get("effect")
    if stated.get("key"):
        yield from names.qualified_name(f"{field}.key", stated["key"])
    elif operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield bad(f"{field}.operator", operator, why)
    if operator not in ("Equal", "Exists"):
        yield unsupported(f"{field}.operator", operator, ("Equal", "Exists"))
    elif operator == "Exists" and stated.get("value"):
        yield bad(f"{field}.operator", stated["value"], "value must be empty when `operator` is 'Exists'")
    if effect:
        yield from one_of(f"{field}.effect", effect, _EFFECTS)
    if stated.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield bad(
            f"{field}.effect", effect or "", "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )
