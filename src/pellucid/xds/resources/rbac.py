"""Who may send requests: the rules of intentions as Envoy's role-based access control.

Source: Consul 1.10 agent/xds/rbac.go for names and shapes. Two differences: what intentions come to is
settled before (`SourceRules`), so no rule needs to exclude another; and names are escaped, so that a
service called `a.b` is not also `aXb`.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from envoy.config.rbac.v3 import rbac_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2

from pellucid.xds.view import SourceRules

LAYER4_POLICY = "consul-intentions-layer4"
_NO_NAME = "[^/]+"


def rules(view: SourceRules) -> rbac_pb2.RBAC:
    """Allow the exceptions of a default deny, or deny the exceptions of a default allow."""
    action = rbac_pb2.RBAC.DENY if view.otherwise else rbac_pb2.RBAC.ALLOW
    if not view.exceptions:
        return rbac_pb2.RBAC(action=action)
    policy = rbac_pb2.Policy(
        permissions=[rbac_pb2.Permission(any=True)], principals=[_principal(name) for name in view.exceptions]
    )
    return rbac_pb2.RBAC(action=action, policies={LAYER4_POLICY: policy})


def _principal(service: str) -> rbac_pb2.Principal:
    name = re.escape(quote(service, safe=""))
    regex = f"^spiffe://{_NO_NAME}/ns/default/dc/{_NO_NAME}/svc/{name}$"
    matcher = string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=regex))
    return rbac_pb2.Principal(authenticated=rbac_pb2.Principal.Authenticated(principal_name=matcher))
