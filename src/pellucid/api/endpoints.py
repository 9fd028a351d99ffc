"""The endpoint table: every path this server answers, with its methods and its handler.

Paths of Consul that are missing here (session, txn, event, coordinate, query, operator, snapshot,
federation states) are answered as any unknown path is: 404 with an empty body.

Source: Consul 1.10 agent/http_register.go.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.api.context import ApiContext
from pellucid.api.handlers import (
    acl,
    agent_checks,
    agent_node,
    agent_services,
    catalog_reads,
    catalog_writes,
    config,
    connect,
    discovery_chain,
    health,
    intention_reads,
    intention_writes,
    internal_ui,
    kv,
    pellucid_login,
    status,
)
from pellucid.api.outcome import Outcome
from pellucid.api.request import Request
from pellucid.api.router import Endpoint

Handler = Callable[[ApiContext, Request], Outcome]


def _rows(handlers: dict[str, tuple[str, Handler]]) -> tuple[Endpoint[Handler], ...]:
    return tuple(
        Endpoint(pattern, tuple(methods.split()), handler) for pattern, (methods, handler) in handlers.items()
    )


ENDPOINTS: tuple[Endpoint[Handler], ...] = _rows(
    {
        "/v1/agent/self": ("GET", agent_node.self_description),
        "/v1/agent/host": ("GET", agent_node.host),
        "/v1/agent/metrics": ("GET", agent_node.metrics),
        "/v1/agent/members": ("GET", agent_node.members),
        "/v1/agent/maintenance": ("PUT", agent_node.maintenance),
        "/v1/agent/reload": ("PUT", agent_node.reload),
        "/v1/agent/leave": ("PUT", agent_node.leave),
        "/v1/agent/join/": ("PUT", agent_node.join),
        "/v1/agent/force-leave/": ("PUT", agent_node.force_leave),
        "/v1/agent/monitor": ("GET", agent_node.monitor),
        "/v1/agent/services": ("GET", agent_services.services),
        "/v1/agent/service/": ("GET", agent_services.service),
        "/v1/agent/service/register": ("PUT", agent_services.register_service),
        "/v1/agent/service/deregister/": ("PUT", agent_services.deregister_service),
        "/v1/agent/service/maintenance/": ("PUT", agent_services.service_maintenance),
        "/v1/agent/checks": ("GET", agent_checks.checks),
        "/v1/agent/check/register": ("PUT", agent_checks.register_check),
        "/v1/agent/check/deregister/": ("PUT", agent_checks.deregister_check),
        "/v1/agent/check/pass/": ("PUT", agent_checks.pass_check),
        "/v1/agent/check/warn/": ("PUT", agent_checks.warn_check),
        "/v1/agent/check/fail/": ("PUT", agent_checks.fail_check),
        "/v1/agent/check/update/": ("PUT", agent_checks.update_check),
        "/v1/agent/health/service/id/": ("GET", agent_checks.health_by_id),
        "/v1/agent/health/service/name/": ("GET", agent_checks.health_by_name),
        "/v1/agent/connect/credential/": ("PUT", agent_services.issue_credential),
        "/v1/catalog/register": ("PUT", catalog_writes.register),
        "/v1/catalog/deregister": ("PUT", catalog_writes.deregister),
        "/v1/catalog/datacenters": ("GET", catalog_reads.datacenters),
        "/v1/catalog/nodes": ("GET", catalog_reads.nodes),
        "/v1/catalog/services": ("GET", catalog_reads.services),
        "/v1/catalog/service/": ("GET", catalog_reads.service),
        "/v1/catalog/connect/": ("GET", catalog_reads.connect),
        "/v1/catalog/node/": ("GET", catalog_reads.node),
        "/v1/catalog/node-services/": ("GET", catalog_reads.node_services),
        "/v1/catalog/gateway-services/": ("GET", catalog_reads.gateway),
        "/v1/health/node/": ("GET", health.node),
        "/v1/health/checks/": ("GET", health.checks),
        "/v1/health/state/": ("GET", health.state),
        "/v1/health/service/": ("GET", health.service),
        "/v1/health/connect/": ("GET", health.connect),
        "/v1/health/ingress/": ("GET", health.ingress),
        "/v1/config": ("PUT", config.write),
        "/v1/config/": ("GET DELETE", config.read_or_remove),
        "/v1/discovery-chain/": ("GET POST", discovery_chain.chain),
        "/v1/connect/intentions": ("GET POST", intention_writes.listing_or_create),
        "/v1/connect/intentions/match": ("GET", intention_reads.match),
        "/v1/connect/intentions/check": ("GET", intention_reads.check),
        "/v1/connect/intentions/exact": ("GET PUT DELETE", intention_writes.one_by_names),
        "/v1/connect/intentions/": ("GET PUT DELETE", intention_writes.one_by_id),
        "/v1/connect/ca/configuration": ("GET PUT", connect.configuration),
        "/v1/connect/ca/roots": ("GET", connect.roots),
        "/v1/agent/connect/authorize": ("POST", connect.authorize),
        "/v1/agent/connect/ca/roots": ("GET", connect.roots),
        "/v1/agent/connect/ca/leaf/": ("GET", connect.leaf),
        "/v1/internal/ui/nodes": ("GET", internal_ui.nodes),
        "/v1/internal/ui/node/": ("GET", internal_ui.node),
        "/v1/internal/ui/services": ("GET", internal_ui.services),
        "/v1/internal/ui/gateway-services-nodes/": ("GET", internal_ui.gateway_services_nodes),
        "/v1/internal/ui/gateway-intentions/": ("GET", internal_ui.gateway_intentions),
        "/v1/internal/ui/service-topology/": ("GET", internal_ui.service_topology),
        "/v1/internal/ui/metrics-proxy/": ("GET", internal_ui.metrics_proxy),
        "/v1/kv/": ("GET PUT DELETE", kv.key),
        "/v1/pellucid/login": ("PUT", pellucid_login.login),
        "/v1/pellucid/credential/": ("GET", pellucid_login.credential),
        "/v1/status/leader": ("GET", status.leader),
        "/v1/status/peers": ("GET", status.peers),
        # Access control, which is off.
        "/v1/agent/token/": ("PUT", acl.disabled),
        "/v1/internal/acl/authorize": ("POST", acl.disabled),
        "/v1/acl/bootstrap": ("PUT", acl.disabled),
        "/v1/acl/create": ("PUT", acl.disabled),
        "/v1/acl/update": ("PUT", acl.disabled),
        "/v1/acl/destroy/": ("PUT", acl.disabled),
        "/v1/acl/info/": ("GET", acl.disabled),
        "/v1/acl/clone/": ("PUT", acl.disabled),
        "/v1/acl/list": ("GET", acl.disabled),
        "/v1/acl/login": ("POST", acl.disabled),
        "/v1/acl/logout": ("POST", acl.disabled),
        "/v1/acl/replication": ("GET", acl.disabled),
        "/v1/acl/policies": ("GET", acl.disabled),
        "/v1/acl/policy": ("PUT", acl.disabled),
        "/v1/acl/policy/": ("GET PUT DELETE", acl.disabled),
        "/v1/acl/policy/name/": ("GET", acl.disabled),
        "/v1/acl/roles": ("GET", acl.disabled),
        "/v1/acl/role": ("PUT", acl.disabled),
        "/v1/acl/role/": ("GET PUT DELETE", acl.disabled),
        "/v1/acl/role/name/": ("GET", acl.disabled),
        "/v1/acl/binding-rules": ("GET", acl.disabled),
        "/v1/acl/binding-rule": ("PUT", acl.disabled),
        "/v1/acl/binding-rule/": ("GET PUT DELETE", acl.disabled),
        "/v1/acl/auth-methods": ("GET", acl.disabled),
        "/v1/acl/auth-method": ("PUT", acl.disabled),
        "/v1/acl/auth-method/": ("GET PUT DELETE", acl.disabled),
        "/v1/acl/tokens": ("GET", acl.disabled),
        "/v1/acl/token": ("PUT", acl.disabled),
        "/v1/acl/token/": ("GET PUT DELETE", acl.disabled),
        "/v1/acl/token/self": ("GET", acl.disabled),
        "/v1/acl/rules/translate": ("POST", acl.disabled),
        "/v1/acl/rules/translate/": ("GET", acl.disabled),
    }
)
