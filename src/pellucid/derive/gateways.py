"""Which services stand behind which gateways, by the gateways' config entries.

Source: Consul 1.10 docs, "Ingress Gateway", "Terminating Gateway";
agent/consul/state/catalog.go (GatewayServices).
"""

from __future__ import annotations

import msgspec

from pellucid.derive.engine import Db, query
from pellucid.derive.entries import config_entry
from pellucid.derive.instances import typical_services
from pellucid.model.config_entries import IngressGateway, TerminatingGateway
from pellucid.model.names import WILDCARD
from pellucid.state.mesh_tables import CONFIG_ENTRIES
from pellucid.state.tables import BucketSelector, RowSelector

INGRESS = "ingress-gateway"
TERMINATING = "terminating-gateway"


class GatewayService(msgspec.Struct, frozen=True):
    """One service behind one gateway (and port, for ingress)."""

    gateway: str
    service: str
    kind: str
    port: int = 0
    protocol: str = ""
    hosts: tuple[str, ...] = ()
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    sni: str = ""
    from_wildcard: bool = False
    create_index: int = 0
    modify_index: int = 0


@query
def gateway_services(db: Db, gateway: str) -> tuple[GatewayService, ...]:
    """The services behind a gateway, a `*` spelled out, in order of name and port."""
    found: dict[tuple[str, int], GatewayService] = {}
    for row in (*_ingress_rows(db, gateway), *_terminating_rows(db, gateway)):
        names = typical_services(db) if row.service == WILDCARD else (row.service,)
        for name in names:
            spelled = msgspec.structs.replace(row, service=name, from_wildcard=row.service == WILDCARD)
            known = found.get((name, row.port))
            if known is None or known.from_wildcard:
                found[name, row.port] = spelled
    return tuple(found[key] for key in sorted(found))


@query
def gateway_services_index(db: Db) -> int:
    """The revision that last changed any gateway's entry."""
    return max(db.stamp(BucketSelector(CONFIG_ENTRIES, "kind", kind)) for kind in (INGRESS, TERMINATING))


@query
def terminating_gateways_of(db: Db, service: str) -> tuple[str, ...]:
    """The names of the terminating gateways linked to a service, in order."""
    return _gateways_of(db, service, TERMINATING)


@query
def ingress_gateways_of(db: Db, service: str) -> tuple[str, ...]:
    """The names of the ingress gateways that offer a service, in order."""
    return _gateways_of(db, service, INGRESS)


def _gateways_of(db: Db, service: str, kind: str) -> tuple[str, ...]:
    names = (stored.value.name for stored in db.rows(CONFIG_ENTRIES, "kind", kind))
    return tuple(n for n in names if any(row.service == service for row in gateway_services(db, n)))


def _ingress_rows(db: Db, gateway: str) -> list[GatewayService]:
    entry = config_entry(db, INGRESS, gateway)
    if not isinstance(entry, IngressGateway):
        return []
    modified = db.stamp(RowSelector(CONFIG_ENTRIES, (INGRESS, gateway)))
    return [
        GatewayService(
            gateway=gateway,
            service=service.name,
            kind=INGRESS,
            port=listener.port,
            protocol=listener.protocol,
            hosts=service.hosts,
            create_index=modified,
            modify_index=modified,
        )
        for listener in entry.listeners
        for service in listener.services
    ]


def _terminating_rows(db: Db, gateway: str) -> list[GatewayService]:
    entry = config_entry(db, TERMINATING, gateway)
    if not isinstance(entry, TerminatingGateway):
        return []
    modified = db.stamp(RowSelector(CONFIG_ENTRIES, (TERMINATING, gateway)))
    return [
        GatewayService(
            gateway=gateway,
            service=service.name,
            kind=TERMINATING,
            ca_file=service.ca_file,
            cert_file=service.cert_file,
            key_file=service.key_file,
            sni=service.sni,
            create_index=modified,
            modify_index=modified,
        )
        for service in entry.services
    ]
