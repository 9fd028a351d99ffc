"""What is wrong with a custom resource, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.kube.controllers.config_entries.admission import refusal_of
from pellucid.kube.controllers.config_entries.kinds import BY_NAME, KINDS
from pellucid.kube.webhook.review import UPDATE, Question


def refusal(kind: str, spec: dict[str, Any], *, name: str = "web") -> str | None:
    """What the webhook says to an update of a resource with this spec."""
    name = BY_NAME[kind].only_name or name
    item = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    before = {**item, "spec": {**spec, "changed": True}}
    asked = Question("admission.k8s.io/v1", "u1", UPDATE, "default", item, before)
    return refusal_of(BY_NAME[kind], asked, [])


def faults(kind: str, spec: dict[str, Any]) -> str:
    """The same without its beginning."""
    text = refusal(kind, spec) or ""
    name = BY_NAME[kind].only_name or "web"
    beginning = f'{BY_NAME[kind].singular}.consul.hashicorp.com "{name}" is invalid: '
    assert text.startswith(beginning), text
    return text.removeprefix(beginning)


VALID: dict[str, dict[str, Any]] = {
    "ProxyDefaults": {
        "config": {"protocol": "http", "nested": {"namespace": "anything"}},
        "meshGateway": {"mode": "local"},
        "expose": {"checks": True, "paths": [{"path": "/health", "listenerPort": 1, "protocol": "http2"}]},
        "transparentProxy": {"dialedDirectly": True},
    },
    "ServiceDefaults": {
        "protocol": "grpc",
        "externalSNI": "sni",
        "upstreamConfig": {
            "defaults": {"connectTimeoutMs": 5, "passiveHealthCheck": {"interval": "2s", "maxFailures": 1}},
            "overrides": [{"name": "db", "limits": {"maxConnections": 3}, "envoyListenerJSON": "{}"}],
        },
    },
    "ServiceIntentions": {
        "destination": {"name": "web"},
        "sources": [
            {"name": "a", "action": "deny", "description": "no"},
            {
                "name": "b",
                "permissions": [{"action": "allow", "http": {"pathPrefix": "/", "methods": ["GET"]}}],
            },
        ],
    },
    "Mesh": {"transparentProxy": {"meshDestinationsOnly": True}},
    "ServiceResolver": {
        "connectTimeout": "5s",
        "subsets": {"v1": {"filter": "x", "onlyPassing": True}},
        "failover": {"*": {"datacenters": ["dc2"]}},
        "loadBalancer": {
            "policy": "ring_hash",
            "ringHashConfig": {"minimumRingSize": 1, "maximumRingSize": 2},
            "hashPolicies": [
                {"field": "cookie", "fieldValue": "c", "cookieConfig": {"ttl": "5s", "path": "/"}},
                {"sourceIP": True, "terminal": True},
            ],
        },
    },
    "ServiceRouter": {
        "routes": [
            {
                "match": {"http": {"pathPrefix": "/a", "queryParam": [{"name": "q", "present": True}]}},
                "destination": {"service": "a", "prefixRewrite": "/", "retryOnStatusCodes": [503]},
            }
        ]
    },
    "ServiceSplitter": {"splits": [{"weight": 99.5}, {"weight": 0.5, "serviceSubset": "v2"}]},
    "IngressGateway": {
        "tls": {"enabled": True},
        "listeners": [{"port": 1, "protocol": "http", "services": [{"name": "*"}]}],
    },
    "TerminatingGateway": {"services": [{"name": "a", "caFile": "x", "certFile": "y", "keyFile": "z"}]},
}


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_a_resource_of_every_kind_with_all_its_fields_is_valid(kind: str) -> None:
    assert refusal(kind, VALID[kind]) is None


INVALID = [
    (
        "ProxyDefaults",
        {"meshGateway": {"mode": "far"}},
        'spec.meshGateway.mode: Invalid value: "far": must be one of "remote", "local", "none", ""',
    ),
    (
        "ProxyDefaults",
        {"expose": {"paths": [{"path": "health", "protocol": "tcp"}]}},
        "[spec.expose.paths[0].path: Invalid value: \"health\": must begin with a '/', "
        'spec.expose.paths[0].protocol: Invalid value: "tcp": must be one of "http", "http2"]',
    ),
    (
        "ServiceDefaults",
        {"mode": "transparent"},
        'spec.mode: Invalid value: "transparent": use the annotation '
        "`consul.hashicorp.com/transparent-proxy` to configure the Transparent Proxy Mode",
    ),
    (
        "ServiceDefaults",
        {"transparentProxy": {"outboundListenerPort": 9}},
        "spec.transparentProxy.outboundListenerPort: Invalid value: 9: use the annotation "
        "`consul.hashicorp.com/transparent-proxy-outbound-listener-port` to configure the Outbound Listener "
        "Port",
    ),
    (
        "ServiceDefaults",
        {"protocol": "udp"},
        'spec.protocol: Invalid value: "udp": must be one of "tcp", "http", "http2", "grpc"',
    ),
    (
        "ServiceDefaults",
        {"upstreamConfig": {"defaults": {"name": "x"}, "overrides": [{}]}},
        '[spec.upstreamConfig.defaults.name: Invalid value: "x": upstream.name for a default upstream must '
        'be "", spec.upstreamConfig.overrides[0].name: Invalid value: "": upstream.name for an override '
        'upstream cannot be ""]',
    ),
    ("ServiceIntentions", {}, "spec.sources: Required value: at least one source must be specified"),
    (
        "ServiceIntentions",
        {"sources": [{"name": "a", "action": "maybe"}]},
        'spec.sources[0].action: Invalid value: "maybe": must be one of "allow", "deny"',
    ),
    (
        "ServiceIntentions",
        {"sources": [{"name": "a", "action": "deny", "permissions": [{"action": "allow"}]}]},
        'spec.sources[0]: Invalid value: "{\\"name\\":\\"a\\",\\"action\\":\\"deny\\",\\"permissions\\":'
        '[{\\"action\\":\\"allow\\"}]}": action and permissions are mutually exclusive and only one of them '
        "can be specified",
    ),
    (
        "ServiceIntentions",
        {
            "sources": [
                {
                    "name": "a",
                    "permissions": [
                        {
                            "action": "allow",
                            "http": {"pathExact": "/", "pathRegex": ".", "methods": ["GET"] * 2},
                        }
                    ],
                }
            ]
        },
        '[spec.sources[0].permissions[0]: Invalid value: "{\\"pathExact\\":\\"/\\",\\"pathRegex\\":\\".\\",'
        '\\"methods\\":[\\"GET\\",\\"GET\\"]}": at most only one of pathExact, pathPrefix, or pathRegex may '
        'be configured., spec.sources[0].permissions[0].methods[1]: Invalid value: "GET": method listed more '
        "than once.]",
    ),
    (
        "ServiceIntentions",
        {
            "destination": {"name": "web", "namespace": "n"},
            "sources": [{"name": "a", "namespace": "n", "action": "deny"}],
        },
        '[spec.destination.namespace: Invalid value: "n": Consul Enterprise namespaces must be enabled to '
        'set destination.namespace, spec.sources[0].namespace: Invalid value: "n": Consul Enterprise '
        "namespaces must be enabled to set source.namespace]",
    ),
    (
        "ServiceRouter",
        {"routes": [{"destination": {"prefixRewrite": "/"}}]},
        'spec.routes[0]: Invalid value: "{\\"destination\\":{\\"prefixRewrite\\":\\"/\\"}}": '
        "destination.prefixRewrite requires that either match.http.pathPrefix or match.http.pathExact be "
        "configured on this route",
    ),
    (
        "ServiceRouter",
        {"routes": [{"match": {"http": {"header": [{"name": "h", "exact": "a", "present": True}]}}}]},
        'spec.routes[0].match.http.header[0]: Invalid value: "{\\"name\\":\\"h\\",\\"present\\":true,'
        '\\"exact\\":\\"a\\"}": at most only one of exact, prefix, suffix, regex, or present may be '
        "configured",
    ),
    (
        "ServiceRouter",
        {"routes": [{"match": {"http": {"queryParam": [{"name": "q", "exact": "a", "regex": "b"}]}}}]},
        'spec.routes[0].match.http.queryParam[0]: Invalid value: "{\\"name\\":\\"q\\",\\"exact\\":\\"a\\",'
        '\\"regex\\":\\"b\\"}": at most only one of exact, regex, or present may be configured',
    ),
    (
        "ServiceSplitter",
        {"splits": [{"weight": 99}]},
        'spec.splits: Invalid value: "[{\\"weight\\":99}]": the sum of weights across all splits must add up '
        "to 100 percent, but adds up to 99.000000",
    ),
    (
        "ServiceSplitter",
        {"splits": [{"weight": 0.001}, {"weight": 99.999}]},
        "spec.splits[0].weight: Invalid value: 0.001: weight must be a percentage between 0.01 and 100",
    ),
    (
        "ServiceResolver",
        {"failover": {"v1": {}}},
        'spec.failover[v1]: Invalid value: "{}": service, serviceSubset, namespace and datacenters cannot '
        "all be empty at once",
    ),
    (
        "ServiceResolver",
        {"failover": {"v1": {"service": "a", "namespace": "n"}}},
        'spec.failover[v1].namespace: Invalid value: "n": Consul Enterprise namespaces must be enabled to '
        "set failover.namespace",
    ),
    (
        "ServiceResolver",
        {"loadBalancer": {"hashPolicies": [{"field": "body", "sourceIP": True}]}},
        '[spec.loadBalancer.hashPolicies[0].field: Invalid value: "body": must be one of "header", "cookie", '
        '"query_parameter", spec.loadBalancer.hashPolicies[0]: Invalid value: "{\\"field\\":\\"body\\",'
        '\\"sourceIP\\":true}": cannot set both field and sourceIP, '
        'spec.loadBalancer.hashPolicies[0].fieldValue: Invalid value: "": fieldValue cannot be empty if '
        "field is set]",
    ),
    (
        "IngressGateway",
        {"listeners": [{"port": 1, "protocol": "tcp", "services": [{"name": "*"}, {"name": "b"}]}]},
        '[spec.listeners[0].services: Invalid value: "[{\\"name\\":\\"*\\"},{\\"name\\":\\"b\\"}]": if '
        'protocol is "tcp", only a single service is allowed, found 2, '
        'spec.listeners[0].services[0].name: Invalid value: "*": if name is "*", protocol must be "http" but '
        'was "tcp"]',
    ),
    (
        "TerminatingGateway",
        {"services": [{"name": "a", "certFile": "x"}]},
        'spec.services[0]: Invalid value: "{\\"name\\":\\"a\\",\\"certFile\\":\\"x\\"}": if certFile or '
        "keyFile is set, the other must also be set",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "expected"), INVALID)
def test_each_rule_names_the_field_the_value_and_what_is_wrong(
    kind: str, spec: dict[str, Any], expected: str
) -> None:
    assert faults(kind, spec) == expected


def test_a_value_of_the_wrong_type_is_refused() -> None:
    assert "spec: 1 error(s) decoding" in faults("ServiceDefaults", {"upstreamConfig": "x"})
