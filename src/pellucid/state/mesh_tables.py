"""The mesh's tables: which facts there are, by what they are found.

Index names say what they find rows by. Everything else the program knows is derived from these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pellucid.model.checks import CheckDefinition, HealthCheck
from pellucid.model.config_entries import ConfigEntry, ServiceIntentions, decode_stored, encode_entry
from pellucid.model.identity import CaConfiguration, CaRoot, VirtualAddress, WorkloadCredential
from pellucid.model.kv import KvEntry
from pellucid.model.pods import POD_UID
from pellucid.model.services import Node, Service
from pellucid.state.tables import Table


def _connect_name(service: Service) -> Iterable[str]:
    return () if service.connect_name is None else (service.connect_name,)


def _pod_uid(service: Service) -> Iterable[str]:
    uid = (service.meta or {}).get(POD_UID)
    return (uid,) if uid else ()


def _intention_sources(entry: ConfigEntry) -> Iterable[str]:
    return {source.name for source in entry.sources} if isinstance(entry, ServiceIntentions) else ()


NODES = Table.of(
    "nodes",
    Node,
    lambda node: (node.name,),
    {"folded-name": lambda node: (node.name.lower(),), "address": lambda node: (node.address,)},
)

SERVICES = Table.of(
    "services",
    Service,
    lambda service: (service.node, service.id),
    {
        "node": lambda service: (service.node,),
        "name": lambda service: (service.name,),
        "kind": lambda service: (service.kind,),
        "id": lambda service: (service.id,),
        "connect": _connect_name,
        "typical": lambda service: (service.name,) if service.is_typical else (),
        "folded-name": lambda service: (service.name.lower(),),
        "folded-connect": lambda service: (name.lower() for name in _connect_name(service)),
        "address": lambda service: (service.address,) if service.address else (),
        "pod": _pod_uid,
    },
)

CHECKS = Table.of(
    "checks",
    HealthCheck,
    lambda check: (check.node, check.check_id),
    {
        "node": lambda check: (check.node,),
        "node-level": lambda check: () if check.service_id else (check.node,),
        "instance": lambda check: ((check.node, check.service_id),) if check.service_id else (),
        "service": lambda check: (check.service_name,) if check.service_name else (),
        "status": lambda check: (check.status,),
    },
)

CHECK_DEFINITIONS = Table.of(
    "check-definitions",
    CheckDefinition,
    lambda definition: (definition.node, definition.check_id),
    {
        "node": lambda definition: (definition.node,),
        "instance": lambda d: ((d.node, d.service_id),) if d.service_id else (),
    },
)

CONFIG_ENTRIES: Table[ConfigEntry] = Table(
    "config-entries",
    key=lambda entry: (entry.kind, entry.name),
    encode=encode_entry,
    decode=lambda key, data: decode_stored(key[0], data),
    indexes={"kind": lambda entry: (entry.kind,), "intention-source": _intention_sources},
)

CA_ROOTS = Table.of("ca-roots", CaRoot, lambda root: (root.id,))

CA_CONFIGURATION = Table.of("ca-configuration", CaConfiguration, lambda _configuration: ("ca",))

SERVER_AUTHORITY = Table.of("server-authority", CaRoot, lambda _root: ("server",))
"""What signs the certificate of the server's own listeners, where it is not the mesh's authority: one row."""

CREDENTIALS = Table.of(
    "credentials", WorkloadCredential, lambda credential: (credential.node, credential.service_id)
)

VIRTUAL_ADDRESSES = Table.of(
    "virtual-addresses",
    VirtualAddress,
    lambda address: (address.service,),
    {
        "folded-service": lambda address: (address.service.lower(),),
        "number": lambda address: (address.number,),
    },
)

MAX_DIRECTORIES = 32
"""A key is found by so many of its directories; below that, by the last of them."""


def directory_of(key_or_prefix: str) -> str:
    """The directory in which keys with this prefix are found: up to its last slash, such as `a/b/`."""
    return _directories(key_or_prefix)[-1]


def _directories(key: str) -> tuple[str, ...]:
    found, end = [""], key.find("/")
    while end >= 0 and len(found) < MAX_DIRECTORIES:
        found.append(key[: end + 1])
        end = key.find("/", end + 1)
    return tuple(found)


KV = Table.of("kv", KvEntry, lambda entry: (entry.key,), {"directory": lambda entry: _directories(entry.key)})

MESH_TABLES: tuple[Table[Any], ...] = (
    NODES,
    SERVICES,
    CHECKS,
    CHECK_DEFINITIONS,
    CONFIG_ENTRIES,
    CA_ROOTS,
    CA_CONFIGURATION,
    SERVER_AUTHORITY,
    CREDENTIALS,
    VIRTUAL_ADDRESSES,
    KV,
)
