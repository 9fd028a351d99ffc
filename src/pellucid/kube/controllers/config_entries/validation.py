"""What is wrong with a custom resource, in the words people know from Consul on Kubernetes.

Each kind has a function over its decoded entry; a fault names the field by its path in the resource. Rules
that hold between entries, and those that the API server's schema knows, are not in here.

Source: Consul on Kubernetes 0.26, api/v1alpha1 (Validate); Kubernetes apimachinery, field errors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec

from pellucid.kube.controllers.config_entries.kinds import GROUP, CustomKind
from pellucid.kube.controllers.config_entries.spec_fields import spec_object
from pellucid.model.config_entries import (
    ConfigEntry,
    HashPolicy,
    HTTPHeaderMatch,
    IngressGateway,
    IngressListener,
    IntentionHTTPPermission,
    ProxyDefaults,
    RouteHTTPMatch,
    ServiceDefaults,
    ServiceIntentions,
    ServiceResolver,
    ServiceRouter,
    ServiceSplitter,
    SourceIntention,
    TerminatingGateway,
    UpstreamConfig,
)
from pellucid.model.go_text import quote
from pellucid.model.services import ExposeConfig, MeshGatewayConfig, TransparentProxyConfig

PROTOCOLS = ("tcp", "http", "http2", "grpc")
EXPOSED_PROTOCOLS = ("http", "http2")
GATEWAY_MODES = ("remote", "local", "none", "")
ACTIONS = ("allow", "deny")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE")
HASH_FIELDS = ("header", "cookie", "query_parameter")
WILDCARD = "*"

_LEAST_WEIGHT = 0.01
_OPAQUE = "config"
_BY_SUBSET = "failover"
"""A field whose keys are people's, not ours."""


class Fault(msgspec.Struct, frozen=True):
    """One field that is not as it should be; `str()` is Kubernetes' text for it."""

    path: str
    detail: str
    value: Any = None
    is_missing: bool = False

    def __str__(self) -> str:
        if self.is_missing:
            return f"{self.path}: Required value: {self.detail}"
        return f"{self.path}: Invalid value: {_value_text(self.value)}: {self.detail}"


def invalid(kind: CustomKind, name: str, faults: Collection[Fault | str]) -> str:
    """The whole message about a resource."""
    texts = ", ".join(map(str, faults))
    listed = texts if len(faults) == 1 else f"[{texts}]"
    return f"{kind.singular}.{GROUP} {quote(name)} is invalid: {listed}"


def faults_of(entry: ConfigEntry, spec: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Everything wrong with a resource: its entry, not in normal form, and the spec as it was written."""
    check = _CHECKS.get(type(entry))
    found = tuple(check(entry)) if check else ()
    return found + tuple(namespace_faults(spec))


def namespace_faults(spec: Any, path: str = "spec", inside: str = "") -> Iterator[Fault]:
    """Namespaces, which only Consul Enterprise has. inside: the field that has one, for the text."""
    if isinstance(spec, Mapping):
        for key, item in spec.items():
            if key == "namespace" and isinstance(item, str) and item:
                detail = f"Consul Enterprise namespaces must be enabled to set {inside}.namespace"
                yield Fault(f"{path}.namespace", detail, item)
            elif inside == _BY_SUBSET and isinstance(item, Mapping):
                yield from namespace_faults(item, f"{path}[{key}]", inside)
            elif key != _OPAQUE:
                yield from namespace_faults(item, f"{path}.{key}", key)
    elif isinstance(spec, list):
        for index, item in enumerate(spec):
            yield from namespace_faults(item, f"{path}[{index}]", inside.removesuffix("s"))


def _value_text(value: Any) -> str:
    """As Kubernetes shows a bad value: text in quotes, anything with parts as quoted JSON."""
    match value:
        case str():
            return quote(value)
        case bool() | int() | float():
            return json.dumps(value)
    return quote(json.dumps(spec_object(value), separators=(",", ":")))


def _one_of(path: str, value: str, choices: Collection[str]) -> Iterator[Fault]:
    if value not in choices:
        yield Fault(path, "must be one of " + ", ".join(f'"{choice}"' for choice in choices), value)


def _slash_first(path: str, value: str) -> Iterator[Fault]:
    if value and not value.startswith("/"):
        yield Fault(path, "must begin with a '/'", value)


def _proxy_defaults(entry: ProxyDefaults) -> Iterator[Fault]:
    yield from _gateway_mode("spec.meshGateway", entry.mesh_gateway)
    yield from _transparent_proxy(entry.transparent_proxy, entry.mode)
    yield from _expose(entry.expose)


def _service_defaults(entry: ServiceDefaults) -> Iterator[Fault]:
    if entry.protocol:
        yield from _one_of("spec.protocol", entry.protocol, PROTOCOLS)
    yield from _gateway_mode("spec.meshGateway", entry.mesh_gateway)
    yield from _transparent_proxy(entry.transparent_proxy, entry.mode)
    if entry.upstream_config:
        if entry.upstream_config.defaults:
            yield from _default_upstream(entry.upstream_config.defaults)
        for index, override in enumerate(entry.upstream_config.overrides):
            yield from _override(f"spec.upstreamConfig.overrides[{index}]", override)
    yield from _expose(entry.expose)


def _gateway_mode(path: str, gateway: MeshGatewayConfig) -> Iterator[Fault]:
    yield from _one_of(f"{path}.mode", gateway.mode, GATEWAY_MODES)


def _transparent_proxy(proxy: TransparentProxyConfig, mode: str) -> Iterator[Fault]:
    annotation = f"use the annotation `{GROUP}/transparent-proxy"
    if proxy.outbound_listener_port:
        detail = f"{annotation}-outbound-listener-port` to configure the Outbound Listener Port"
        yield Fault("spec.transparentProxy.outboundListenerPort", detail, proxy.outbound_listener_port)
    if mode:
        yield Fault("spec.mode", f"{annotation}` to configure the Transparent Proxy Mode", mode)


def _expose(expose: ExposeConfig) -> Iterator[Fault]:
    for index, exposed in enumerate(expose.paths):
        at = f"spec.expose.paths[{index}]"
        yield from _slash_first(f"{at}.path", exposed.path)
        if exposed.protocol:
            yield from _one_of(f"{at}.protocol", exposed.protocol, EXPOSED_PROTOCOLS)


def _default_upstream(defaults: UpstreamConfig) -> Iterator[Fault]:
    at = "spec.upstreamConfig.defaults"
    if defaults.name:
        yield Fault(f"{at}.name", 'upstream.name for a default upstream must be ""', defaults.name)
    yield from _gateway_mode(f"{at}.meshGateway", defaults.mesh_gateway)


def _override(at: str, override: UpstreamConfig) -> Iterator[Fault]:
    if not override.name:
        yield Fault(f"{at}.name", 'upstream.name for an override upstream cannot be ""', "")
    yield from _gateway_mode(f"{at}.meshGateway", override.mesh_gateway)


def _intentions(entry: ServiceIntentions) -> Iterator[Fault]:
    if not entry.sources:
        yield Fault("spec.sources", "at least one source must be specified", is_missing=True)
    for index, source in enumerate(entry.sources):
        yield from _source(f"spec.sources[{index}]", source)


def _source(at: str, source: SourceIntention) -> Iterator[Fault]:
    if source.permissions and source.action:
        both = "action and permissions are mutually exclusive and only one of them can be specified"
        yield Fault(at, both, source)
    elif not source.permissions:
        yield from _one_of(f"{at}.action", source.action, ACTIONS)
    else:
        for index, permission in enumerate(source.permissions):
            where = f"{at}.permissions[{index}]"
            yield from _one_of(f"{where}.action", permission.action, ACTIONS)
            if permission.http:
                yield from _permission(where, permission.http)


def _permission(at: str, http: IntentionHTTPPermission) -> Iterator[Fault]:
    yield from _slash_first(f"{at}.pathPrefix", http.path_prefix)
    yield from _slash_first(f"{at}.pathExact", http.path_exact)
    if _count(http.path_exact, http.path_prefix, http.path_regex) > 1:
        detail = "at most only one of pathExact, pathPrefix, or pathRegex may be configured."
        yield Fault(at, detail, http)
    for index, method in enumerate(http.methods):
        yield from _one_of(f"{at}.methods[{index}]", method, METHODS)
        if method in http.methods[:index]:
            yield Fault(f"{at}.methods[{index}]", "method listed more than once.", method)
    yield from _headers(at, http.header, ".")


def _headers(at: str, headers: tuple[HTTPHeaderMatch, ...], stop: str = "") -> Iterator[Fault]:
    for index, header in enumerate(headers):
        if _count(header.exact, header.prefix, header.suffix, header.regex, header.present) > 1:
            detail = f"at most only one of exact, prefix, suffix, regex, or present may be configured{stop}"
            yield Fault(f"{at}.header[{index}]", detail, header)


def _router(entry: ServiceRouter) -> Iterator[Fault]:
    for index, route in enumerate(entry.routes):
        at = f"spec.routes[{index}]"
        http = route.match.http if route.match and route.match.http else RouteHTTPMatch()
        rewrites = route.destination is not None and bool(route.destination.prefix_rewrite)
        if rewrites and not (http.path_prefix or http.path_exact):
            detail = (
                "destination.prefixRewrite requires that either match.http.pathPrefix or "
                "match.http.pathExact be configured on this route"
            )
            yield Fault(at, detail, route)
        yield from _route_match(f"{at}.match.http", http)


def _route_match(at: str, http: RouteHTTPMatch) -> Iterator[Fault]:
    if _count(http.path_exact, http.path_prefix, http.path_regex) > 1:
        detail = "at most only one of pathExact, pathPrefix, or pathRegex may be configured"
        yield Fault(at, detail, http)
    yield from _slash_first(f"{at}.pathExact", http.path_exact)
    yield from _slash_first(f"{at}.pathPrefix", http.path_prefix)
    yield from _headers(at, http.header)
    for index, parameter in enumerate(http.query_param):
        if _count(parameter.exact, parameter.regex, parameter.present) > 1:
            detail = "at most only one of exact, regex, or present may be configured"
            yield Fault(f"{at}.queryParam[{index}]", detail, parameter)


def _splitter(entry: ServiceSplitter) -> Iterator[Fault]:
    for index, split in enumerate(entry.splits):
        if split.weight and not _LEAST_WEIGHT <= split.weight <= 100:
            detail = "weight must be a percentage between 0.01 and 100"
            yield Fault(f"spec.splits[{index}].weight", detail, split.weight)
    total = sum(split.weight for split in entry.splits)
    if round(total, 2) != 100:
        detail = f"the sum of weights across all splits must add up to 100 percent, but adds up to {total:f}"
        yield Fault("spec.splits", detail, entry.splits)


def _resolver(entry: ServiceResolver) -> Iterator[Fault]:
    for subset, failover in sorted(entry.failover.items()):
        if not any((failover.service, failover.service_subset, failover.namespace, failover.datacenters)):
            detail = "service, serviceSubset, namespace and datacenters cannot all be empty at once"
            yield Fault(f"spec.failover[{subset}]", detail, "{}")
    policies = entry.load_balancer.hash_policies if entry.load_balancer else ()
    for index, policy in enumerate(policies):
        yield from _hash_policy(f"spec.loadBalancer.hashPolicies[{index}]", policy)


def _hash_policy(at: str, policy: HashPolicy) -> Iterator[Fault]:
    if policy.field:
        yield from _one_of(f"{at}.field", policy.field, HASH_FIELDS)
        if policy.source_ip:
            yield Fault(at, "cannot set both field and sourceIP", policy)
        if not policy.field_value:
            yield Fault(f"{at}.fieldValue", "fieldValue cannot be empty if field is set", "")
    cookie = policy.cookie_config
    if cookie and cookie.session and cookie.ttl:
        yield Fault(f"{at}.cookieConfig", "cannot set both session and ttl", cookie)


def _ingress(entry: IngressGateway) -> Iterator[Fault]:
    for index, listener in enumerate(entry.listeners):
        yield from _listener(f"spec.listeners[{index}]", listener)


def _listener(at: str, listener: IngressListener) -> Iterator[Fault]:
    protocol, services = listener.protocol, listener.services
    yield from _one_of(f"{at}.protocol", protocol, PROTOCOLS)
    if protocol == "tcp" and len(services) > 1:
        detail = f'if protocol is "tcp", only a single service is allowed, found {len(services)}'
        yield Fault(f"{at}.services", detail, services)
    for index, service in enumerate(services):
        where = f"{at}.services[{index}]"
        if service.name == WILDCARD and protocol != "http":
            detail = f'if name is "*", protocol must be "http" but was {quote(protocol)}'
            yield Fault(f"{where}.name", detail, service.name)
        if service.name == WILDCARD and service.hosts:
            yield Fault(f"{where}.hosts", 'hosts must be empty if name is "*"', service.hosts)
        if protocol == "tcp" and service.hosts:
            yield Fault(f"{where}.hosts", 'hosts must be empty if protocol is "tcp"', service.hosts)


def _terminating(entry: TerminatingGateway) -> Iterator[Fault]:
    for index, service in enumerate(entry.services):
        if bool(service.cert_file) != bool(service.key_file):
            detail = "if certFile or keyFile is set, the other must also be set"
            yield Fault(f"spec.services[{index}]", detail, service)


def _count(*values: object) -> int:
    return sum(map(bool, values))


_CHECKS: dict[type[ConfigEntry], Callable[[Any], Iterator[Fault]]] = {
    ProxyDefaults: _proxy_defaults,
    ServiceDefaults: _service_defaults,
    ServiceIntentions: _intentions,
    ServiceResolver: _resolver,
    ServiceRouter: _router,
    ServiceSplitter: _splitter,
    IngressGateway: _ingress,
    TerminatingGateway: _terminating,
}
