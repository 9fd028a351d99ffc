"""The rules a well-formed object must also keep, and what each breach is called.

Source: pkg/apis/core/validation, pkg/apis/apps/validation and others of Kubernetes 1.30.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pellucid.localkube.api.selectors import selector_test
from pellucid.localkube.api.status import Cause
from pellucid.localkube.types import schema as schemas
from pellucid.localkube.types.kinds import Resource
from pellucid.localkube.types.schema import Schema

Object = dict[str, Any]
Causes = Iterator[Cause]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS_LABEL = re.compile(_LABEL)
_DNS_SUBDOMAIN = re.compile(_SUBDOMAIN)
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LABEL_KEY = re.compile(rf"({_SUBDOMAIN}/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_RELAXED_NAMES = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})
_LABEL_NAMES = frozenset({"namespaces", "services"})
_ZERO_IS_FINE = frozenset({"endpoints"})
"""Required by the schema, but Go clients leave them out when they are empty."""

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    f"'{_LABEL}')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN}')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    f"for validation is '{_LABEL_VALUE.pattern}')"
)


def required(field: str, why: str = "") -> Cause:
    """The field has no value."""
    return Cause(field, f"Required value: {why}" if why else "Required value", "FieldValueRequired")


def bad(field: str, value: Any, why: str) -> Cause:
    """The field's value is not allowed."""
    shown = msgspec.json.encode(value).decode()
    return Cause(field, f"Invalid value: {shown}: {why}", "FieldValueInvalid")


def unsupported(field: str, value: Any, supported: Sequence[str]) -> Cause:
    """The field's value is none of the possible ones."""
    listed = ", ".join(f'"{one}"' for one in sorted(supported))
    shown = msgspec.json.encode(value).decode()
    return Cause(field, f"Unsupported value: {shown}: supported values: {listed}", "FieldValueNotSupported")


def duplicate(field: str, value: Any) -> Cause:
    """The value must occur once."""
    return Cause(field, f"Duplicate value: {msgspec.json.encode(value).decode()}", "FieldValueDuplicate")


def breaches(resource: Resource, value: Object, schema: Schema, old: Object | None = None) -> list[Cause]:
    """Everything wrong with an object about to be stored."""
    found = list(_metadata(resource, value))
    specific = _KINDS.get(resource.stored)
    own = list(specific(value)) if specific is not None else []
    stated = {cause.field for cause in own}
    if not resource.custom:
        found += [cause for cause in _missing(value, schema, "") if cause.field not in stated]
    found += own
    if old is not None:
        found += _immutable(resource, old, value)
    return found


def _metadata(resource: Resource, value: Object) -> Causes:
    meta = value["metadata"]
    name = meta.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif resource.plural in _RELAXED_NAMES:
        if "/" in name or "%" in name or name in (".", ".."):
            yield bad("metadata.name", name, "may not contain '/'")
    elif resource.plural in _LABEL_NAMES:
        if len(name) > 63 or not _DNS_LABEL.fullmatch(name):
            yield bad("metadata.name", name, _LABEL_TEXT)
    elif len(name) > 253 or not _DNS_SUBDOMAIN.fullmatch(name):
        yield bad("metadata.name", name, _SUBDOMAIN_TEXT)
    yield from _labels(meta.get("labels") or {}, "metadata.labels")


def _labels(labels: Mapping[str, Any], field: str) -> Causes:
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            yield bad(field, key, "name part must consist of alphanumeric characters, '-', '_' or '.'")
        if len(value) > 63:
            yield bad(field, value, "must be no more than 63 characters")
        elif not _LABEL_VALUE.fullmatch(value):
            yield bad(field, value, _LABEL_VALUE_TEXT)


def _missing(value: Any, schema: Schema, path: str) -> Causes:
    """Required fields, by the schema, that have no value."""
    node = schemas.resolved(schema)
    if isinstance(value, dict):
        for name in node.get("required", ()):
            if name not in _ZERO_IS_FINE and value.get(name) in (None, ""):
                yield required(f"{path}.{name}" if path else name)
        for name, inner in value.items():
            found = schemas.field(node, name)
            if found is not None and not (path == "" and name in ("status", "metadata")):
                yield from _missing(inner, found, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        element = schemas.items(node)
        for place, inner in enumerate(value):
            yield from _missing(inner, element, f"{path}[{place}]")


def _pod(value: Object) -> Causes:
    yield from _pod_spec(value.get("spec") or {}, "spec")


def _pod_spec(spec: Object, path: str, claimed: Iterable[str] = ()) -> Causes:
    """claimed: volumes that the pod will get besides its own, from claim templates."""
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    volumes: set[str] = set()
    for place, volume in enumerate(spec.get("volumes") or ()):
        name = volume.get("name", "")
        field = f"{path}.volumes[{place}].name"
        if name in volumes:
            yield duplicate(field, name)
        elif name and not _DNS_LABEL.fullmatch(name):
            yield bad(field, name, _LABEL_TEXT)
        volumes.add(name)
    volumes.update(claimed)
    names: set[str] = set()
    for group in ("initContainers", "containers"):
        for place, container in enumerate(spec.get(group) or ()):
            field = f"{path}.{group}[{place}]"
            yield from _container(container, field, volumes)
            name = container.get("name", "")
            if name in names:
                yield duplicate(f"{field}.name", name)
            names.add(name)
    policy = spec.get("restartPolicy", "Always")
    if policy not in ("Always", "OnFailure", "Never"):
        yield unsupported(f"{path}.restartPolicy", policy, ("Always", "OnFailure", "Never"))
    dns = spec.get("dnsPolicy", "ClusterFirst")
    if dns not in ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"):
        possible = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
        yield unsupported(f"{path}.dnsPolicy", dns, possible)


def _container(container: Object, path: str, volumes: set[str]) -> Causes:
    name = container.get("name", "")
    if name and (len(name) > 63 or not _DNS_LABEL.fullmatch(name)):
        yield bad(f"{path}.name", name, _LABEL_TEXT)
    image = container.get("image", "")
    if not image:
        yield required(f"{path}.image")
    elif image.strip() != image:
        yield bad(f"{path}.image", image, "must not have leading or trailing whitespace")
    policy = container.get("imagePullPolicy", "Always")
    if policy not in ("Always", "IfNotPresent", "Never"):
        yield unsupported(f"{path}.imagePullPolicy", policy, ("Always", "IfNotPresent", "Never"))
    for place, port in enumerate(container.get("ports") or ()):
        yield from _port(port.get("containerPort"), f"{path}.ports[{place}].containerPort")
        yield from _protocol(port.get("protocol", "TCP"), f"{path}.ports[{place}].protocol")
    mounted: set[str] = set()
    for place, mount in enumerate(container.get("volumeMounts") or ()):
        field = f"{path}.volumeMounts[{place}]"
        if mount.get("name") and mount["name"] not in volumes:
            yield Cause(f"{field}.name", f'Not found: "{mount["name"]}"', "FieldValueNotFound")
        if mount.get("mountPath") in mounted:
            yield bad(f"{field}.mountPath", mount["mountPath"], "must be unique")
        mounted.add(mount.get("mountPath", ""))
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is not None and not set(probe) & {"exec", "httpGet", "tcpSocket", "grpc"}:
            yield required(f"{path}.{kind}", "must specify a handler type")


def _port(port: Any, field: str) -> Causes:
    if isinstance(port, int) and not 0 < port < 65536:
        yield bad(field, port, "must be between 1 and 65535, inclusive")


def _protocol(protocol: str, field: str) -> Causes:
    if protocol not in ("TCP", "UDP", "SCTP"):
        yield unsupported(field, protocol, ("SCTP", "TCP", "UDP"))


def _workload(value: Object) -> Causes:
    spec = value.get("spec") or {}
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    replicas = spec.get("replicas", 0)
    if replicas < 0:
        yield bad("spec.replicas", replicas, "must be greater than or equal to 0")
    if selector is None:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield bad("spec.selector", selector, f"empty selector is invalid for {value['kind'].lower()}")
    elif not selector_test(selector)(labels):
        yield bad("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _labels(labels, "spec.template.metadata.labels")
    claims = (claim.get("metadata") or {} for claim in spec.get("volumeClaimTemplates") or ())
    claimed = [claim.get("name", "") for claim in claims]
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec", claimed)
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    if policy in ("OnFailure", "Never"):
        yield unsupported("spec.template.spec.restartPolicy", policy, ("Always",))


def _job(value: Object) -> Causes:
    yield from _job_spec(value.get("spec") or {}, "spec")


def _job_spec(spec: Object, path: str) -> Causes:
    pod = (spec.get("template") or {}).get("spec") or {}
    yield from _pod_spec(pod, f"{path}.template.spec")
    policy = pod.get("restartPolicy", "Always")
    if policy == "Always":
        message = 'Required value: valid values: "OnFailure", "Never"'
        yield Cause(f"{path}.template.spec.restartPolicy", message, "FieldValueRequired")
    for name in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"):
        number = spec.get(name, 0)
        if number < 0:
            yield bad(f"{path}.{name}", number, "must be greater than or equal to 0")


def _cron_job(value: Object) -> Causes:
    spec = value.get("spec") or {}
    schedule = spec.get("schedule", "")
    if not schedule:
        yield required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        found = len(schedule.split())
        why = f"expected exactly 5 fields, found {found}: [{schedule}]"
        yield bad("spec.schedule", schedule, why)
    policy = spec.get("concurrencyPolicy", "Allow")
    if policy not in ("Allow", "Forbid", "Replace"):
        yield unsupported("spec.concurrencyPolicy", policy, ("Allow", "Forbid", "Replace"))
    yield from _job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")


def _service(value: Object) -> Causes:
    spec = value.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    kinds = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if kind not in kinds:
        yield unsupported("spec.type", kind, kinds)
    ports = spec.get("ports") or ()
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    if kind == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")
    names: set[str] = set()
    numbers: set[tuple[Any, str]] = set()
    for place, port in enumerate(ports):
        field = f"spec.ports[{place}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            yield required(f"{field}.name")
        elif name and not _DNS_LABEL.fullmatch(name):
            yield bad(f"{field}.name", name, _LABEL_TEXT)
        elif name and name in names:
            yield duplicate(f"{field}.name", name)
        names.add(name)
        number = (port.get("port"), port.get("protocol", "TCP"))
        if number in numbers:
            yield duplicate(field, {"port": number[0], "protocol": number[1]})
        numbers.add(number)
        yield from _port(port.get("port"), f"{field}.port")
        yield from _port(port.get("targetPort"), f"{field}.targetPort")
        yield from _protocol(port.get("protocol", "TCP"), f"{field}.protocol")
    affinity = spec.get("sessionAffinity", "None")
    if affinity not in ("None", "ClientIP"):
        yield unsupported("spec.sessionAffinity", affinity, ("ClientIP", "None"))


def _data(value: Object) -> Causes:
    for field in ("data", "binaryData", "stringData"):
        for key in value.get(field) or {}:
            if not _DATA_KEY.fullmatch(key) or len(key) > 253:
                why = (
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
                    f"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
                    f"'{_DATA_KEY.pattern}')"
                )
                yield bad(f"{field}[{key}]", key, why)


def _binding(value: Object) -> Causes:
    role = value.get("roleRef") or {}
    if role.get("kind") not in ("Role", "ClusterRole"):
        yield unsupported("roleRef.kind", role.get("kind", ""), ("ClusterRole", "Role"))
    if not role.get("name"):
        yield required("roleRef.name")


def _custom_definition(value: Object) -> Causes:
    spec = value.get("spec") or {}
    names = spec.get("names") or {}
    expected = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if value["metadata"].get("name") != expected:
        yield bad(
            "metadata.name", value["metadata"].get("name", ""), 'must be spec.names.plural+"."+spec.group'
        )
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield unsupported("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
    versions = spec.get("versions") or ()
    if sum(1 for version in versions if version.get("storage")) != 1:
        shown = [{"name": version.get("name", "")} for version in versions]
        yield bad("spec.versions", shown, "must have exactly one version marked as storage version")
    for place, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(f"spec.versions[{place}].schema.openAPIV3Schema", "schemas are required")


def _immutable(resource: Resource, old: Object, new: Object) -> Causes:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    for path in _FIXED.get(resource.stored, ()):
        one, other = (old, new) if path == "roleRef" else (before, after)
        name = path.removeprefix("spec.")
        if one.get(name) != other.get(name):
            yield bad(
                path, other.get(name), "cannot change roleRef" if path == "roleRef" else "field is immutable"
            )
    if resource.stored == ("apps", "statefulsets"):
        movable = {
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        }
        if any(before.get(name) != after.get(name) for name in (set(before) | set(after)) - movable):
            listed = (
                "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
                "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'"
            )
            text = f"Forbidden: updates to statefulset spec for fields other than {listed} are forbidden"
            yield Cause("spec", text, "FieldValueForbidden")
    if resource.stored == ("", "pods"):
        yield from _pod_change(before, after)
    if old.get("immutable") and (old.get("data"), old.get("binaryData")) != (
        new.get("data"),
        new.get("binaryData"),
    ):
        text = "Forbidden: field is immutable when `immutable` is set"
        yield Cause("data", text, "FieldValueForbidden")


def _pod_change(before: Object, after: Object) -> Causes:
    movable = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"}
    if not before.get("nodeName"):
        movable |= {"nodeName"}

    def fixed(spec: Object) -> Object:
        kept = {key: value for key, value in spec.items() if key not in movable}
        for group in ("containers", "initContainers"):
            kept[group] = [
                {
                    key: value
                    for key, value in one.items()
                    if key not in ("image", "resources", "resizePolicy")
                }
                for one in spec.get(group) or ()
            ]
        return kept

    if fixed(before) != fixed(after):
        text = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
            "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
            "was previously negative)"
        )
        yield Cause("spec", text, "FieldValueForbidden")


_FIXED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "deployments"): ("spec.selector",),
    ("apps", "replicasets"): ("spec.selector",),
    ("apps", "daemonsets"): ("spec.selector",),
    ("batch", "jobs"): ("spec.selector", "spec.completionMode", "spec.template"),
    ("rbac.authorization.k8s.io", "rolebindings"): ("roleRef",),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): ("roleRef",),
}

_KINDS: Mapping[tuple[str, str], Callable[[Object], Causes]] = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "configmaps"): _data,
    ("", "secrets"): _data,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("apps", "daemonsets"): _workload,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cron_job,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _custom_definition,
}
