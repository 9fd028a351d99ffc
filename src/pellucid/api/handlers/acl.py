"""`/v1/acl`: access control is off, and everything about it says so.

Source: Consul 1.10 agent/acl_endpoint.go (checkACLDisabled).
"""

from __future__ import annotations

from pellucid.api.context import ApiContext
from pellucid.api.outcome import Outcome
from pellucid.api.request import Request
from pellucid.api.response import HttpError


def disabled(context: ApiContext, request: Request) -> Outcome:
    """Any ACL endpoint."""
    raise HttpError(401, "ACL support disabled")
