"""Config entries: what operators write about services and the mesh, nine kinds of it.

Each kind is a module with one immutable value, its normal form and its rules. A write goes
`decode_config_entry` -> `normalize` -> `validate` -> store; a read ends in `to_json_object`.
What rules hold between entries (protocols that must agree, say) is for `rules` to judge.
Create and modify indexes are not part of an entry: the store keeps them beside it.

Source: Consul 1.10 docs, "Configuration Entries"; agent/structs/config_entry*.go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias, get_args

import msgspec

from pellucid.model.config_entries.ingress_gateway import (
    GatewayTLSConfig,
    IngressGateway,
    IngressListener,
    IngressService,
)
from pellucid.model.config_entries.mesh import Mesh, TransparentProxyMeshConfig
from pellucid.model.config_entries.proxy_defaults import GLOBAL_NAME, ProxyDefaults
from pellucid.model.config_entries.service_defaults import ServiceDefaults
from pellucid.model.config_entries.service_intentions import (
    ALLOW,
    DENY,
    IntentionHTTPPermission,
    IntentionPermission,
    ServiceIntentions,
    SourceIntention,
    precedence,
)
from pellucid.model.config_entries.service_resolver import (
    CookieConfig,
    HashPolicy,
    LeastRequestConfig,
    LoadBalancer,
    ResolverFailover,
    ResolverRedirect,
    ResolverSubset,
    RingHashConfig,
    ServiceResolver,
)
from pellucid.model.config_entries.service_router import (
    HTTPQueryMatch,
    RouteDestination,
    RouteHTTPMatch,
    RouteMatch,
    ServiceRoute,
    ServiceRouter,
)
from pellucid.model.config_entries.service_splitter import ServiceSplit, ServiceSplitter
from pellucid.model.config_entries.shared import (
    ConfigEntryError,
    HTTPHeaderMatch,
    PassiveHealthCheck,
    UpstreamConfig,
    UpstreamConfiguration,
    UpstreamLimits,
)
from pellucid.model.config_entries.terminating_gateway import LinkedService, TerminatingGateway
from pellucid.model.decoding import DecodeError, decode
from pellucid.model.encoding import json_object
from pellucid.model.go_text import kind_name

__all__ = [
    "ALLOW",
    "CONFIG_ENTRY_TYPES",
    "DENY",
    "GLOBAL_NAME",
    "ConfigEntry",
    "ConfigEntryError",
    "CookieConfig",
    "GatewayTLSConfig",
    "HTTPHeaderMatch",
    "HTTPQueryMatch",
    "HashPolicy",
    "IngressGateway",
    "IngressListener",
    "IngressService",
    "IntentionHTTPPermission",
    "IntentionPermission",
    "LeastRequestConfig",
    "LinkedService",
    "LoadBalancer",
    "Mesh",
    "PassiveHealthCheck",
    "ProxyDefaults",
    "ResolverFailover",
    "ResolverRedirect",
    "ResolverSubset",
    "RingHashConfig",
    "RouteDestination",
    "RouteHTTPMatch",
    "RouteMatch",
    "ServiceDefaults",
    "ServiceIntentions",
    "ServiceResolver",
    "ServiceRoute",
    "ServiceRouter",
    "ServiceSplit",
    "ServiceSplitter",
    "SourceIntention",
    "TerminatingGateway",
    "TransparentProxyMeshConfig",
    "UpstreamConfig",
    "UpstreamConfiguration",
    "UpstreamLimits",
    "decode_config_entry",
    "decode_stored",
    "encode_entry",
    "normalize",
    "precedence",
    "require_known_kind",
    "to_json_object",
    "validate",
]

ConfigEntry: TypeAlias = (
    ProxyDefaults
    | ServiceDefaults
    | ServiceRouter
    | ServiceSplitter
    | ServiceResolver
    | ServiceIntentions
    | IngressGateway
    | TerminatingGateway
    | Mesh
)

CONFIG_ENTRY_TYPES: dict[str, type[ConfigEntry]] = {entry.kind: entry for entry in get_args(ConfigEntry)}
"""The value type of each kind."""

_KEYS_OF_OUTPUT = frozenset(("CreateIndex", "ModifyIndex"))
"""Passed over in input, so that what was read can be written back."""

_encoder = msgspec.msgpack.Encoder()
_decoders = {kind: msgspec.msgpack.Decoder(entry) for kind, entry in CONFIG_ENTRY_TYPES.items()}


def require_known_kind(kind: str) -> None:
    """Raises ConfigEntryError unless there are entries of this kind."""
    if kind not in CONFIG_ENTRY_TYPES:
        raise ConfigEntryError(f"invalid config entry kind: {kind}")


def decode_config_entry(data: Mapping[str, Any], *, ignore: Collection[str] = ()) -> ConfigEntry:
    """Make an entry of decoded JSON or HCL; the top-level key `Kind` or `kind` says which.

    ignore: further top-level keys to pass over, as Consul's command line does with `Namespace`.
    Raises DecodeError.
    """
    if not isinstance(data, Mapping):
        raise DecodeError(f"expected a map with a kind/Kind key, got '{kind_name(data)}'")
    if "Kind" not in data and "kind" not in data:
        raise DecodeError("Payload does not contain a kind/Kind key at the top level")
    kind = data.get("Kind", data.get("kind"))
    if not isinstance(kind, str):
        raise DecodeError("Kind value in payload is not a string")
    if kind not in CONFIG_ENTRY_TYPES:
        raise DecodeError(f"invalid config entry kind: {kind}")
    fields = {key: value for key, value in data.items() if key not in ("Kind", "kind")}
    return decode(CONFIG_ENTRY_TYPES[kind], fields, ignore=_KEYS_OF_OUTPUT.union(ignore))


def normalize(entry: ConfigEntry) -> ConfigEntry:
    """The entry in the form that is validated and stored: defaults filled in, case and order settled."""
    return entry.normalized()


def validate(entry: ConfigEntry) -> None:
    """Check a normalized entry by the rules of its own kind. Raises ConfigEntryError."""
    entry.validate()


def to_json_object(
    entry: ConfigEntry, *, create_index: int | None = None, modify_index: int | None = None
) -> dict[str, Any]:
    """The entry as Consul's API shows it, keys in Consul's order; indexes at the end if given."""
    fields = json_object(entry)
    written = {"Kind": entry.kind, **fields}
    if "ConnectTimeout" in written:
        written = {"ConnectTimeout": written.pop("ConnectTimeout"), **written}
    if create_index is not None:
        written["CreateIndex"] = create_index
    if modify_index is not None:
        written["ModifyIndex"] = modify_index
    return written


def encode_entry(entry: ConfigEntry) -> bytes:
    """The entry as the store keeps it: MessagePack under our own field names."""
    return _encoder.encode(entry)


def decode_stored(kind: str, stored: bytes) -> ConfigEntry:
    """Read back what `encode_entry` wrote. Raises KeyError for an unknown kind."""
    return _decoders[kind].decode(stored)
