"""Connect: roots, leaves, the CA's configuration, and whether a connection is authorized.

Source: Consul 1.10 docs, "Connect CA HTTP API", "Connect - Agent HTTP API"; agent/connect_ca_endpoint.go,
agent/agent_endpoint.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.api.context import ApiContext
from pellucid.api.handlers.parameters import named
from pellucid.api.outcome import Commit, Content, Outcome, Read
from pellucid.api.query_options import (
    UNKNOWN_LEADER,
    check_datacenter,
    check_namespace,
    parse_bool,
    query_options,
)
from pellucid.api.request import Request
from pellucid.api.response import (
    EMPTY,
    HttpError,
    bad_request,
    json_bytes,
    json_response,
    sorted_map,
    text_response,
)
from pellucid.api.workload_access import require_workload
from pellucid.derive import identity
from pellucid.derive.engine import Db, query
from pellucid.derive.intentions import verdict
from pellucid.identity import rotation
from pellucid.identity.authority import random_serial_number
from pellucid.identity.documents import leaf_document, roots_document, roots_pem
from pellucid.identity.rotation import CaConfigurationError
from pellucid.model import go_json
from pellucid.model.identity import CaConfiguration
from pellucid.model.names import SpiffeError, SpiffeServiceId, parse_spiffe
from pellucid.state.mesh_tables import CA_CONFIGURATION, CA_ROOTS
from pellucid.state.tables import Put, TableSelector

PEM_CHAIN = "application/pem-certificate-chain"


def roots(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/connect/ca/roots?pem=`, `GET /v1/agent/connect/ca/roots`"""
    pem = request.parameters.get("pem")
    if pem and parse_bool(pem) is None:
        raise bad_request("The 'pem' query parameter must be a boolean value")
    options = query_options(request, context.datacenter)
    if pem and parse_bool(pem):
        return text_response(roots_pem(identity.roots(context.engine.db)), content_type=PEM_CHAIN)
    return Read(_roots, (), options, UNKNOWN_LEADER, repeatable=True)


@query
def _roots(db: Db) -> Content:
    configuration = identity.ca_configuration(db)
    rows = ((stored.value, stored.create_index, stored.modify_index) for stored in db.all(CA_ROOTS))
    document = roots_document(rows, configuration.cluster_id if configuration else "")
    return Content(db.stamp(TableSelector(CA_ROOTS)), json_bytes(document))


def leaf(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/agent/connect/ca/leaf/:service`: certificate and key, for those who may have them."""
    options = query_options(request, context.datacenter)
    service = named(request, "Missing service name")
    require_workload(context.engine.snapshot, request, service)
    try:
        context.leaf_of(service)
    except ValueError as error:
        raise HttpError(500, str(error)) from error
    return Read(_leaf, (service,), options, None)


@query
def _leaf(db: Db, service: str) -> Content:
    found = identity.leaf(db, service)
    if found is None:
        raise HttpError(500, f'no certificate could be issued for "{service}"')
    # A leaf is in no table; the beginning of its validity rises with every renewal.
    index = found.valid_after
    return Content(index, json_bytes(leaf_document(found, index, index)))


class AuthorizeBody(msgspec.Struct, frozen=True):
    """The body of `POST /v1/agent/connect/authorize`."""

    target: str = ""
    client_cert_uri: str = msgspec.field(default="", name="ClientCertURI")
    client_cert_serial: str = ""


def authorize(context: ApiContext, request: Request) -> Outcome:
    """`POST /v1/agent/connect/authorize`: would the intentions let this client in?

    Trust domain and serial number are the proxy's business, which verified the certificate.
    """
    try:
        given = go_json.decode(request.body, AuthorizeBody)
    except go_json.GoJsonError as error:
        raise bad_request(f"Request decode failed: {error}") from error
    if not given.target:
        raise bad_request("Target service must be specified")
    try:
        client = parse_spiffe(given.client_cert_uri)
    except (SpiffeError, ValueError):
        raise bad_request("ClientCertURI not a valid Connect identifier") from None
    if not isinstance(client, SpiffeServiceId):
        raise bad_request("ClientCertURI not a valid Service identifier")
    decision = verdict(context.engine.db, client.service, given.target)
    return json_response({"Authorized": decision.is_allowed, "Reason": decision.reason})


class ConfigurationBody(msgspec.Struct, frozen=True):
    """The body of `PUT /v1/connect/ca/configuration`."""

    provider: str = ""
    config: Mapping[str, Any] | None = None
    state: Mapping[str, str] | None = None
    force_without_cross_signing: bool = False
    create_index: int = 0
    modify_index: int = 0


def configuration(context: ApiContext, request: Request) -> Outcome:
    """`GET` and `PUT /v1/connect/ca/configuration`"""
    check_namespace(request)
    check_datacenter(request.parameters.get("dc"), context.datacenter)
    return _configure(context, request) if request.method == "PUT" else _show(context, request)


def _show(context: ApiContext, request: Request) -> Outcome:
    stored = context.engine.snapshot.get(CA_CONFIGURATION, ("ca",))
    if stored is None:
        raise HttpError(500, "the certificate authority is not set up yet")
    settings = dict(stored.value.config or {})
    if not request.peer.is_local:
        settings = {key: value for key, value in settings.items() if not rotation.is_secret(key)}
    return json_response(
        {
            "Provider": stored.value.provider,
            "Config": sorted_map(settings),
            "State": None,
            "ForceWithoutCrossSigning": stored.value.force_without_cross_signing,
            "CreateIndex": stored.create_index,
            "ModifyIndex": stored.modify_index,
        }
    )


def _configure(context: ApiContext, request: Request) -> Outcome:
    """Whoever replaces the authority may speak for every service, so only programs on this machine may."""
    if not request.peer.is_local:
        raise HttpError(403, "Permission denied: configure the certificate authority on the agent's machine")
    try:
        given = go_json.decode(request.body, ConfigurationBody)
    except go_json.GoJsonError as error:
        raise bad_request(f"Request decode failed: {error}") from error
    if given.state:
        raise bad_request("Provider State is read-only. It must be omitted or identical to the current value")
    state = context.head
    current = state.get(CA_CONFIGURATION, ("ca",))
    if current is None:
        raise HttpError(500, "the certificate authority is not set up yet")
    wanted = CaConfiguration(
        cluster_id=current.value.cluster_id,
        provider=given.provider,
        config=given.config,
        force_without_cross_signing=given.force_without_cross_signing,
    )
    try:
        succession = rotation.change(
            current.value,
            wanted,
            (stored.value for stored in state.all(CA_ROOTS)),
            next_serial_number=random_serial_number,
            now=context.now(),
        )
    except CaConfigurationError as error:
        raise HttpError(500, str(error)) from error
    changed_roots = (Put(CA_ROOTS, root) for root in succession.roots)
    return Commit((Put(CA_CONFIGURATION, succession.configuration, always=True), *changed_roots), EMPTY)
