"""What each proxy's settings come to, and what each service is spoken to in."""

from __future__ import annotations

from pellucid.derive.engine import Db, query
from pellucid.derive.entries import proxy_defaults, service_defaults
from pellucid.rules import effective, protocol
from pellucid.rules.effective import EffectiveProxy
from pellucid.state.mesh_tables import SERVICES


@query
def effective_proxy(db: Db, node: str, service_id: str) -> EffectiveProxy | None:
    """The settled settings of a registered proxy or gateway; None if it is not registered."""
    stored = db.get(SERVICES, (node, service_id))
    if stored is None:
        return None
    instance = stored.value
    return effective.effective_proxy(
        instance.proxy,
        proxy_defaults=proxy_defaults(db),
        service_defaults=service_defaults(db, instance.proxy.destination_service_name or instance.name),
        defaults_of=lambda name: service_defaults(db, name),
    )


@query
def service_protocol(db: Db, service: str) -> str:
    """What a service speaks: tcp, http, http2, grpc or any other word, which counts as tcp."""
    return protocol.service_protocol(service_defaults(db, service), proxy_defaults(db))
