"""What a caller wants otherwise of a discovery chain, and the hash by which such chains are told apart.

The hash is part of cluster names and of answers that clients compare, so it is the very one Consul
computes: FNV-1 over a structure, field by field.

Source: Consul 1.10 agent/consul/discoverychain/compile.go; github.com/mitchellh/hashstructure v1;
the FNV hash (draft-eastlake-fnv).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

_OFFSET_BASIS = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


class ChainOverrides(msgspec.Struct, frozen=True):
    """What the caller wants otherwise; empty values want nothing."""

    mesh_gateway: str = ""
    protocol: str = ""
    connect_timeout_ns: int = 0


NO_OVERRIDES = ChainOverrides()


def customization_hash(effective: ChainOverrides) -> str:
    """Eight hex digits for the overrides that made a difference, `""` if none did."""
    if effective == NO_OVERRIDES:
        return ""
    mesh_gateway = _structure("MeshGatewayConfig", {"Mode": _text(effective.mesh_gateway)})
    whole = _structure(
        "",
        {
            "OverrideMeshGateway": mesh_gateway,
            "OverrideProtocol": _text(effective.protocol),
            "OverrideConnectTimeout": _fnv1(struct.pack("<q", effective.connect_timeout_ns)),
        },
    )
    return f"{whole:x}"[:8]


def _structure(type_name: str, fields: Mapping[str, int]) -> int:
    """The hash of a struct: of its type's name and of each field's name and value, in no order."""
    total = _text(type_name)
    for name, value in fields.items():
        total ^= _fnv1(struct.pack("<QQ", _text(name), value))
    return total


def _text(text: str) -> int:
    return _fnv1(text.encode())


def _fnv1(data: bytes) -> int:
    digest = _OFFSET_BASIS
    for byte in data:
        digest = (digest * _PRIME & _MASK) ^ byte
    return digest
