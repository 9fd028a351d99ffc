"""Who may have a service's keys: programs on this machine, and workloads that prove who they are.

Without ACLs Consul hands any caller any service's key. Here a caller from elsewhere needs the
credential that a registration of that service was answered with, sent as its token.
"""

from __future__ import annotations

from pellucid.api.request import Request
from pellucid.api.response import HttpError
from pellucid.identity.credentials import is_secret_of
from pellucid.model.services import Service
from pellucid.state.mesh_tables import CREDENTIALS, SERVICES
from pellucid.state.snapshot import Snapshot

CREDENTIAL_PARAMETER = "pellucid-credential"
"""`?pellucid-credential=new` asks for a new secret when an existing service is registered again."""


def identity_of(service: Service) -> str:
    """The service whose key an instance uses: what a sidecar stands for, else its own name."""
    return service.connect_name or service.name


def speaks_for(state: Snapshot, request: Request, identity: str) -> bool:
    """True if the request carries the credential of some instance that uses this service's key."""
    return bool(request.token) and any(
        holds_credential(state, request, service.node, service.id)
        for service in instances_using(state, identity)
    )


def holds_credential(state: Snapshot, request: Request, node: str, service_id: str) -> bool:
    """True if the request carries the credential of this instance. Takes equal time for wrong secrets."""
    stored = state.get(CREDENTIALS, (node, service_id))
    return stored is not None and bool(request.token) and is_secret_of(stored.value, request.token)


def instances_using(state: Snapshot, identity: str) -> tuple[Service, ...]:
    """The instances, applications and sidecars, that use this service's key."""
    rows = (*state.rows(SERVICES, "name", identity), *state.rows(SERVICES, "connect", identity))
    return tuple(stored.value for stored in rows if identity_of(stored.value) == identity)


def require_workload(state: Snapshot, request: Request, identity: str) -> None:
    """Let pass what is local or speaks for the service. Raises HttpError 403."""
    if not request.peer.is_local and not speaks_for(state, request, identity):
        raise HttpError(
            403,
            f'Permission denied: from another machine, a key of "{identity}" needs the workload credential '
            "of one of its instances as token",
        )


def require_instance(state: Snapshot, request: Request, service: Service) -> None:
    """Let pass what is local or is this instance. Raises HttpError 403."""
    if not request.peer.is_local and not holds_credential(state, request, service.node, service.id):
        raise HttpError(
            403,
            f'Permission denied: service "{service.id}" exists; from another machine, changing it needs its '
            "workload credential as token",
        )
