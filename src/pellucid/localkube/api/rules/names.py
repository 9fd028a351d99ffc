"""Names, labels and annotations: what they may be, and the rest of an object's metadata.

Source: apimachinery's pkg/util/validation and pkg/api/validation, Kubernetes 1.30.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pellucid.localkube.api.rules.causes import Causes, Object, bad, required, too_long
from pellucid.localkube.types.kinds import Resource

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = rf"({_QUALIFIED_NAME})?"
_ENVIRONMENT_NAME = r"[-._a-zA-Z][-._a-zA-Z0-9]*"
_ANNOTATIONS_LIMIT = 256 * 1024
_PATH_NAMES = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})
_STANDARD_FINALIZERS = frozenset(
    {"kubernetes", "orphan", "foregroundDeletion", "customresourcecleanup.apiextensions.k8s.io"}
)

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
_DNS_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    f"validation is '{_DNS_1035}')"
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{_QUALIFIED_NAME}')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    f"for validation is '{_LABEL_VALUE}')"
)
_ENVIRONMENT_TEXT = (
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and "
    "must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for "
    f"validation is '{_ENVIRONMENT_NAME}')"
)


def label_name(field: str, name: str) -> Causes:
    """A DNS label (RFC 1123): a container, a volume, a namespace."""
    yield from _limited(field, name, 63)
    if not re.fullmatch(_LABEL, name):
        yield bad(field, name, _LABEL_TEXT)


def subdomain_name(field: str, name: str) -> Causes:
    """A DNS name (RFC 1123): most objects."""
    yield from _limited(field, name, 253)
    if not re.fullmatch(_SUBDOMAIN, name):
        yield bad(field, name, _SUBDOMAIN_TEXT)


def service_name(field: str, name: str) -> Causes:
    """A DNS label that starts with a letter (RFC 1035)."""
    yield from _limited(field, name, 63)
    if not re.fullmatch(_DNS_1035, name):
        yield bad(field, name, _DNS_1035_TEXT)


def environment_name(field: str, name: str) -> Causes:
    """The name of an environment variable."""
    if not re.fullmatch(_ENVIRONMENT_NAME, name):
        yield bad(field, name, _ENVIRONMENT_TEXT)


def port_name(field: str, name: str) -> Causes:
    """The name of a port (RFC 6335)."""
    yield from _limited(field, name, 15)
    if not re.fullmatch(r"[-a-z0-9]*", name):
        yield bad(field, name, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        yield bad(field, name, "must contain at least one letter (a-z)")
    if "--" in name:
        yield bad(field, name, "must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        yield bad(field, name, "must not begin or end with a hyphen")


def port_number(field: str, port: Any) -> Causes:
    """A TCP or UDP port."""
    if isinstance(port, int) and not 0 < port < 65536:
        yield bad(field, port, "must be between 1 and 65535, inclusive")


def port_number_or_name(field: str, port: Any) -> Causes:
    """A port by its number, or by the name a container gives it."""
    if isinstance(port, str):
        yield from port_name(field, port)
    else:
        yield from port_number(field, port)


def _limited(field: str, name: str, limit: int) -> Causes:
    if len(name) > limit:
        yield bad(field, name, f"must be no more than {limit} characters")


def qualified_name(field: str, name: str) -> Causes:
    """A name with an optional DNS name and slash before it: keys of labels, resources, finalizers."""
    parts = name.split("/")
    if len(parts) > 2:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        yield bad(field, name, f"a qualified name {_QUALIFIED_TEXT} {optional}")
        return
    if len(parts) == 2 and not parts[0]:
        yield bad(field, name, "prefix part must be non-empty")
    elif len(parts) == 2 and not re.fullmatch(_SUBDOMAIN, parts[0]):
        yield bad(field, name, f"prefix part {_SUBDOMAIN_TEXT}")
    if not parts[-1]:
        yield bad(field, name, "name part must be non-empty")
    elif len(parts[-1]) > 63:
        yield bad(field, name, "name part must be no more than 63 characters")
    if not re.fullmatch(_QUALIFIED_NAME, parts[-1]):
        yield bad(field, name, f"name part {_QUALIFIED_TEXT}")


def labels(field: str, stated: Mapping[str, Any]) -> Causes:
    """Labels, or a selector that is a map."""
    for key in sorted(stated):
        value = str(stated[key])
        yield from qualified_name(field, key)
        yield from _limited(field, value, 63)
        if not re.fullmatch(_LABEL_VALUE, value):
            yield bad(field, value, _LABEL_VALUE_TEXT)


def annotation_keys(field: str, stated: Mapping[str, Any]) -> Causes:
    """Keys as those of labels, in either case; values of any text, up to a size in all."""
    for key in sorted(stated):
        yield from qualified_name(field, key.lower())
    if sum(len(key) + len(str(value)) for key, value in stated.items()) > _ANNOTATIONS_LIMIT:
        yield too_long(field, _ANNOTATIONS_LIMIT)


def metadata(resource: Resource, meta: Object) -> Causes:
    """The metadata of a whole object."""
    name = meta.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif resource.plural in _PATH_NAMES and not resource.custom:
        yield from _path_name(name)
    elif resource.stored == ("", "namespaces"):
        yield from label_name("metadata.name", name)
    elif resource.stored == ("", "services"):
        yield from service_name("metadata.name", name)
    else:
        yield from subdomain_name("metadata.name", name)
    yield from labels("metadata.labels", meta.get("labels") or {})
    yield from annotation_keys("metadata.annotations", meta.get("annotations") or {})
    yield from _finalizers(resource, meta.get("finalizers") or [])
    yield from _owners(meta.get("ownerReferences") or [])


def _path_name(name: str) -> Causes:
    if name in (".", ".."):
        yield bad("metadata.name", name, f"may not be '{name}'")
    for piece in ("/", "%"):
        if piece in name:
            yield bad("metadata.name", name, f"may not contain '{piece}'")


def _finalizers(resource: Resource, stated: list[Any]) -> Causes:
    for place, name in enumerate(stated):
        yield from qualified_name("metadata.finalizers", str(name))
        if not resource.custom and "/" not in str(name) and name not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield bad(f"metadata.finalizers[{place}]", name, why)


def _owners(stated: list[Any]) -> Causes:
    controlling: list[str] = []
    for owner in stated:
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                said = "version" if name == "apiVersion" else name
                yield bad(f"metadata.ownerReferences.{name}", "", f"{said} must not be empty")
        if owner.get("controller"):
            controlling.append(owner.get("name", ""))
    if len(controlling) > 1:
        why = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controlling[0]} and {controlling[1]}"
        )
        yield bad("metadata.ownerReferences", stated, why)
