"""Rules of config maps, secrets, claims and volumes.

Source: pkg/apis/core/validation, Kubernetes 1.30.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    Shown,
    bad,
    one_of,
    required,
    too_long,
    unsupported,
)
from pellucid.localkube.api.rules.containers import amount
from pellucid.localkube.types.quantities import QuantityError, quantity

LARGEST = 1024 * 1024
"""Bytes of values in one config map or secret."""
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_KEY = r"[-._a-zA-Z0-9]+"
_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    f"'KEY_NAME',  or 'key-name', regex used for validation is '{_KEY}')"
)
_VALUES_OF_TYPE = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_ACCOUNT = "kubernetes.io/service-account.name"


def config_map(value: Object) -> Causes:
    """A ConfigMap."""
    texts, bytes_ = value.get("data") or {}, value.get("binaryData") or {}
    yield from _keys("data", texts)
    yield from _keys("binaryData", bytes_)
    for key in sorted(set(texts) & set(bytes_)):
        yield bad(f"data[{key}]", key, "duplicate of key present in binaryData")
    size = sum(len(str(one).encode()) for one in texts.values()) + sum(map(_decoded_size, bytes_.values()))
    if size > LARGEST:
        yield too_long("[]", LARGEST)


def secret(value: Object) -> Causes:
    """A Secret."""
    data = value.get("data") or {}
    yield from _keys("data", data)
    if sum(map(_decoded_size, data.values())) > LARGEST:
        yield too_long("data", LARGEST)
    kind = value.get("type", "Opaque")
    for key in _VALUES_OF_TYPE.get(kind, ()):
        if key not in data:
            yield required(f"data[{key}]")
        elif key.startswith(".docker") and not _is_json(data[key]):
            why = "invalid character looking for beginning of value"
            yield bad(f"data[{key}]", "<secret contents redacted>", why)
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield required("data[username]")
        yield required("data[password]")
    if kind == "kubernetes.io/service-account-token":
        annotations = value["metadata"].get("annotations") or {}
        if not annotations.get(_ACCOUNT):
            yield required(f"metadata.annotations[{_ACCOUNT}]")


def _keys(field: str, stated: Object) -> Causes:
    for key in sorted(stated):
        if len(key) > 253:
            yield bad(f"{field}[{key}]", key, "must be no more than 253 characters")
        if not re.fullmatch(_KEY, key):
            yield bad(f"{field}[{key}]", key, _KEY_TEXT)
        elif key in (".", "..") or key.startswith(".."):
            said = f"must not be '{key}'" if key in (".", "..") else "must not start with '..'"
            yield bad(f"{field}[{key}]", key, said)


def _decoded_size(text: Any) -> int:
    return len(str(text)) * 3 // 4


def _is_json(encoded: Any) -> bool:
    try:
        return isinstance(msgspec.json.decode(base64.b64decode(str(encoded))), dict)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return False


def claim(value: Object) -> Causes:
    """A PersistentVolumeClaim."""
    spec = value.get("spec") or {}
    yield from _access_modes(spec, "at least 1 access mode is required")
    stated = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    field = "spec.resources[storage]"
    if stated is None:
        yield required(field)
    else:
        yield from amount(stated, field)
        if _is_zero(stated):
            yield bad(field, str(stated), "must be greater than zero")
    if spec.get("storageClassName"):
        yield from names.subdomain_name("spec.storageClassName", spec["storageClassName"])
    yield from one_of("spec.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))


def volume(value: Object) -> Causes:
    """A PersistentVolume."""
    spec = value.get("spec") or {}
    yield from _access_modes(spec, "")
    capacity = spec.get("capacity") or {}
    if not capacity:
        yield required("spec.capacity")
    elif "storage" not in capacity or len(capacity) > 1:
        yield unsupported("spec.capacity", Shown(str(sorted(capacity))), ("storage",))
    else:
        yield from amount(capacity["storage"], "spec.capacity[storage]")
    policies = ("Delete", "Recycle", "Retain")
    policy = spec.get("persistentVolumeReclaimPolicy")
    yield from one_of("spec.persistentVolumeReclaimPolicy", policy, policies)
    others = {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeMode",
        "volumeAttributesClassName",
    }
    if not set(spec) - others:
        yield required("spec", "must specify a volume type")


def _access_modes(spec: Object, why: str) -> Causes:
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required("spec.accessModes", why)
    for mode in modes:
        yield from one_of("spec.accessModes", mode, ACCESS_MODES)


def _is_zero(stated: Any) -> bool:
    try:
        return quantity(str(stated)) == 0
    except QuantityError:
        return False
