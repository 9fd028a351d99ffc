"""How roots succeed each other, and which CA settings are valid.

    (none) --start--> active --rotate--> rotated --prune, after 2 x LeafCertTTL--> (gone)

One root is active and signs. When a change of settings needs another key or certificate, the new
root becomes active, carrying itself signed by the old one, and the old one stays trusted until the
last leaf it signed has expired twice over. Other settings change without touching a root.
Everything here returns new values; the caller commits them.

Source: Consul 1.10 docs, "Certificate Management - Root Certificate Rotation", "CA HTTP API";
agent/structs/connect_ca.go and agent/connect/ca for the error texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from pellucid.identity.authority import (
    MOST_CROSS_SIGNED,
    Authority,
    import_root,
    lasts,
    new_root,
    new_root_from_key,
)
from pellucid.identity.keys import KeySource, generate_private_key
from pellucid.model.durations import SECOND, DurationError, format_duration, parse_duration
from pellucid.model.identity import CaConfiguration, CaRoot

PROVIDER = "consul"
DEFAULT_CONFIG: Mapping[str, Any] = {"IntermediateCertTTL": "8760h", "LeafCertTTL": "72h"}
"""What a new mesh answers as its CA configuration."""

_HOUR_S = 3600.0
_MIN_LEAF_TTL_S = _HOUR_S
_MAX_LEAF_TTL_S = 8760 * _HOUR_S
_INTERMEDIATE_PER_LEAF = 3
_PRUNE_AFTER_LEAF_TTLS = 2
_EC_BITS = (224, 256, 384, 521)
_RSA_BITS = (2048, 4096)
_WITHOUT_EFFECT = frozenset({"rotationperiod", "csrmaxpersecond", "csrmaxconcurrent"})
"""Keys that are passed over: the first since Consul 1.2; and leaves, one for each service, are made by the
mesh itself, so there are no requests whose rate could be limited."""


class CaConfigurationError(ValueError):
    """The CA configuration cannot be used; the text is the one the API answers with."""


class CaSettings(msgspec.Struct, frozen=True):
    """A checked CA configuration with every default filled in. Times are seconds."""

    leaf_cert_ttl_s: float = 72 * _HOUR_S
    intermediate_cert_ttl_s: float = 8760 * _HOUR_S
    private_key: str = ""
    root_cert: str = ""
    private_key_type: str = "ec"
    private_key_bits: int = 256
    disable_cross_signing: bool = False


class Succession(msgspec.Struct, frozen=True):
    """What a change of the CA comes to: the configuration to store and every root as it is to be."""

    configuration: CaConfiguration
    roots: tuple[CaRoot, ...]
    rotated: bool
    """True when another root became active, so that every leaf is to be renewed."""


def read_settings(configuration: CaConfiguration) -> CaSettings:
    """Check a CA configuration. Raises CaConfigurationError with Consul's texts."""
    if configuration.provider != PROVIDER:
        raise CaConfigurationError(
            f'could not initialize provider: unknown CA provider "{configuration.provider}"'
        )
    try:
        settings = _decode(configuration.config or {})
        _validate(settings)
    except ValueError as error:
        raise CaConfigurationError(f"error configuring provider: {error}") from error
    return settings


def is_secret(key: str) -> bool:
    """True for a key of a CA configuration, however spelt, whose value nobody else may see."""
    return _folded(key) == _folded("PrivateKey")


def active_root(roots: Iterable[CaRoot]) -> CaRoot | None:
    """The root that signs, if there is one yet."""
    return next((root for root in roots if root.active), None)


def start(
    configuration: CaConfiguration,
    *,
    next_serial_number: Callable[[], int],
    now: float,
    key_source: KeySource = generate_private_key,
) -> Succession:
    """Make the first root of a mesh. Raises CaConfigurationError."""
    settings = read_settings(configuration)
    root = _root_for(settings, configuration.cluster_id, next_serial_number(), now, key_source)
    return Succession(configuration, (msgspec.structs.replace(root, active=True),), rotated=True)


def change(
    current: CaConfiguration,
    wanted: CaConfiguration,
    roots: Iterable[CaRoot],
    *,
    next_serial_number: Callable[[], int],
    now: float,
    key_source: KeySource = generate_private_key,
) -> Succession:
    """Apply a new CA configuration to the mesh.

    A change of key, root, key type or key size rotates the root; anything else only changes settings.
    Raises CaConfigurationError, and then nothing has changed.
    """
    settings = read_settings(wanted)
    wanted = msgspec.structs.replace(wanted, cluster_id=current.cluster_id)
    roots = tuple(roots)
    active = active_root(roots)
    if active is None:
        return start(wanted, next_serial_number=next_serial_number, now=now, key_source=key_source)
    if not _needs_another_root(settings, active):
        return Succession(wanted, roots, rotated=False)
    if settings.disable_cross_signing and not wanted.force_without_cross_signing:
        raise CaConfigurationError(
            "The current CA Provider does not support cross-signing. "
            "You can try again with ForceWithoutCrossSigningSet but this may cause disruption"
            " - see documentation for more."
        )
    successor = _root_for(settings, wanted.cluster_id, next_serial_number(), now, key_source)
    cross_signed: tuple[str, ...] = ()
    if not settings.disable_cross_signing:
        cross = Authority(active).cross_sign(successor, serial_number=next_serial_number(), now=now)
        # Of two rotations in a row, whoever was cut off meanwhile has seen neither.
        earlier = tuple(pem for pem in active.intermediate_certs if lasts(pem, now))
        cross_signed = (cross, *earlier)[:MOST_CROSS_SIGNED]
    return Succession(wanted, _succeed(roots, successor, cross_signed, now), rotated=True)


def prunable(roots: Iterable[CaRoot], now: float, leaf_cert_ttl_s: float) -> tuple[str, ...]:
    """The ids of roots rotated out for longer than twice the leaf lifetime: nothing alive needs them."""
    keep_s = _PRUNE_AFTER_LEAF_TTLS * leaf_cert_ttl_s
    return tuple(
        root.id
        for root in roots
        if not root.active and root.rotated_out_at and now - root.rotated_out_at > keep_s
    )


def _succeed(
    roots: tuple[CaRoot, ...], successor: CaRoot, cross_signed: tuple[str, ...], now: float
) -> tuple[CaRoot, ...]:
    replace = msgspec.structs.replace
    retired = tuple(
        replace(root, active=False, rotated_out_at=int(now)) if root.active else root
        for root in roots
        if root.id != successor.id
    )
    return (
        *retired,
        replace(successor, active=True, intermediate_certs=cross_signed, rotated_out_at=0),
    )


def _needs_another_root(settings: CaSettings, active: CaRoot) -> bool:
    if settings.root_cert:
        return settings.root_cert.strip() != active.root_cert.strip()
    if settings.private_key:
        return settings.private_key.strip() != active.signing_key.strip()
    return (settings.private_key_type, settings.private_key_bits) != (
        active.private_key_type,
        active.private_key_bits,
    )


def _root_for(
    settings: CaSettings, cluster_id: str, serial_number: int, now: float, key_source: KeySource
) -> CaRoot:
    try:
        if settings.root_cert:
            return import_root(settings.root_cert, settings.private_key, cluster_id)
        if settings.private_key:
            return new_root_from_key(settings.private_key, cluster_id, serial_number=serial_number, now=now)
    except ValueError as error:
        raise CaConfigurationError(f"error configuring provider: {error}") from error
    return new_root(
        cluster_id,
        serial_number=serial_number,
        now=now,
        key_type=settings.private_key_type,
        key_bits=settings.private_key_bits,
        key_source=key_source,
    )


def _validate(settings: CaSettings) -> None:
    if settings.root_cert and not settings.private_key:
        raise ValueError("must provide a private key when providing a root cert")
    if settings.leaf_cert_ttl_s < _MIN_LEAF_TTL_S:
        raise ValueError(f"leaf cert TTL must be greater or equal than {_go_duration(_MIN_LEAF_TTL_S)}")
    if settings.leaf_cert_ttl_s > _MAX_LEAF_TTL_S:
        raise ValueError(f"leaf cert TTL must be less than {_go_duration(_MAX_LEAF_TTL_S)}")
    shortest = _INTERMEDIATE_PER_LEAF * settings.leaf_cert_ttl_s
    if settings.intermediate_cert_ttl_s < shortest:
        raise ValueError(
            "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL "
            f"(>={_go_duration(shortest)})."
        )
    match settings.private_key_type:
        case "ec" if settings.private_key_bits not in _EC_BITS:
            raise ValueError("EC key length must be one of (224, 256, 384, 521) bits")
        case "rsa" if settings.private_key_bits not in _RSA_BITS:
            raise ValueError("RSA key length must be 2048 or 4096 bits")
        case "ec" | "rsa":
            pass
        case _:
            raise ValueError("private key type must be either 'ec' or 'rsa'")


def _decode(config: Mapping[str, Any]) -> CaSettings:
    given = {_folded(key): value for key, value in config.items()}
    fields: dict[str, Any] = {}
    for field, key, read in _FIELDS:
        value = given.pop(_folded(key), None)
        if value is not None and value != "":
            fields[field] = read(key, value)
    if given.keys() - _WITHOUT_EFFECT:
        known = ", ".join(key for _, key, _ in _FIELDS)
        names = {_folded(key): key for key in config}
        unknown = ", ".join(f'"{names[key]}"' for key in sorted(given.keys() - _WITHOUT_EFFECT))
        raise ValueError(f"error decoding config: unknown key {unknown}; the keys are {known}")
    return CaSettings(**fields)


def _folded(key: str) -> str:
    """`LeafCertTTL` and `leaf_cert_ttl` are one key."""
    return key.replace("_", "").lower()


def _duration_s(key: str, value: object) -> float:
    """A Go duration string in seconds; a bare number is nanoseconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / SECOND
    try:
        return parse_duration(str(value)) / SECOND
    except DurationError as error:
        raise ValueError(f"error decoding config: '{key}': {error}") from error


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"error decoding config: '{key}' must be a string, not {value!r}")
    return value


def _number(key: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"error decoding config: '{key}' must be a number, not {value!r}") from None


def _whole_number(key: str, value: object) -> int:
    return int(_number(key, value))


def _boolean(key: str, value: object) -> bool:
    match value:
        case bool() | int():
            return bool(value)
        case "true" | "True" | "1":
            return True
        case "false" | "False" | "0":
            return False
    raise ValueError(f"error decoding config: '{key}' must be true or false, not {value!r}")


_FIELDS: tuple[tuple[str, str, Callable[[str, object], Any]], ...] = (
    ("leaf_cert_ttl_s", "LeafCertTTL", _duration_s),
    ("intermediate_cert_ttl_s", "IntermediateCertTTL", _duration_s),
    ("private_key", "PrivateKey", _text),
    ("root_cert", "RootCert", _text),
    ("private_key_type", "PrivateKeyType", _text),
    ("private_key_bits", "PrivateKeyBits", _whole_number),
    ("disable_cross_signing", "DisableCrossSigning", _boolean),
)


def _go_duration(seconds: float) -> str:
    return format_duration(int(seconds * SECOND))
