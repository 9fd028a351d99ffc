"""`/v1/status`: who leads and who follows. There is one server, and it leads.

Source: Consul 1.10 docs, "Status HTTP API".
"""

from __future__ import annotations

from pellucid.api.context import ApiContext
from pellucid.api.outcome import Outcome
from pellucid.api.query_options import check_datacenter
from pellucid.api.request import Request
from pellucid.api.response import json_response
from pellucid.model.addresses import host_and_port


def leader(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/status/leader`"""
    check_datacenter(request.parameters.get("dc"), context.datacenter)
    return json_response(_address(context))


def peers(context: ApiContext, request: Request) -> Outcome:
    """`GET /v1/status/peers`"""
    check_datacenter(request.parameters.get("dc"), context.datacenter)
    return json_response([_address(context)])


def _address(context: ApiContext) -> str:
    return host_and_port(context.agent.address, context.agent.server_port)
