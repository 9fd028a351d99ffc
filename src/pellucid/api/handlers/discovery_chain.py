"""`/v1/discovery-chain/:service`: how connections to a service find their instances.

Source: Consul 1.10 docs, "Discovery Chain HTTP API"; agent/discovery_chain_endpoint.go.
"""

from __future__ import annotations

import msgspec

from pellucid.api.context import ApiContext
from pellucid.api.outcome import Content, Outcome, Read
from pellucid.api.query_options import consistent, query_options
from pellucid.api.request import Request
from pellucid.api.response import HttpError, bad_request, json_bytes
from pellucid.derive.engine import Db, query
from pellucid.derive.entries import config_entry
from pellucid.derive.identity import trust_domain
from pellucid.model import go_json
from pellucid.model.durations import Duration
from pellucid.model.services import MeshGatewayConfig
from pellucid.rules.chain import compile_chain
from pellucid.rules.chain_nodes import ChainError
from pellucid.rules.compiled_chain import chain_json_object
from pellucid.rules.customization import NO_OVERRIDES, ChainOverrides
from pellucid.state.mesh_tables import CA_CONFIGURATION, CONFIG_ENTRIES
from pellucid.state.tables import TableSelector

_MESH_GATEWAY_MODES = frozenset(("", "none", "local", "remote"))


class OverridesBody(msgspec.Struct, frozen=True):
    """The body of `POST /v1/discovery-chain/:service`."""

    override_connect_timeout: Duration = 0
    override_protocol: str = ""
    override_mesh_gateway: MeshGatewayConfig = MeshGatewayConfig()


def chain(context: ApiContext, request: Request) -> Outcome:
    """`GET` or `POST /v1/discovery-chain/:service?compile-dc=`"""
    options = query_options(request, context.datacenter)
    service = request.below
    if not service:
        raise bad_request("Missing chain name")
    overrides = _overrides(request) if request.method == "POST" else NO_OVERRIDES
    datacenter = request.parameters.get("compile-dc") or context.datacenter
    args = (service, datacenter, context.datacenter, overrides)
    return Read(_chain, args, options, consistent(options), repeatable=True)


def _overrides(request: Request) -> ChainOverrides:
    try:
        given = go_json.decode(request.body, OverridesBody, unknown_fields=True)
    except go_json.GoJsonError as error:
        raise bad_request(f"Request decoding failed: {error}") from error
    mode = given.override_mesh_gateway.mode
    if mode not in _MESH_GATEWAY_MODES:
        raise bad_request("Invalid OverrideMeshGateway.Mode parameter")
    return ChainOverrides(mode, given.override_protocol, given.override_connect_timeout)


@query
def _chain(db: Db, service: str, datacenter: str, own_datacenter: str, overrides: ChainOverrides) -> Content:
    index = max(db.stamp(TableSelector(CONFIG_ENTRIES)), db.stamp(TableSelector(CA_CONFIGURATION)))
    try:
        compiled = compile_chain(
            service,
            lambda kind, name: config_entry(db, kind, name),
            datacenter=datacenter,
            trust_domain=trust_domain(db),
            use_in_datacenter=own_datacenter,
            overrides=overrides,
        )
    except ChainError as error:
        raise HttpError(500, str(error)) from error
    return Content(index, json_bytes({"Chain": chain_json_object(compiled)}))
