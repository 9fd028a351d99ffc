"""Rules of services and ingresses.

Source: ValidateService in pkg/apis/core/validation, pkg/apis/networking/validation, Kubernetes 1.30.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from pellucid.localkube.api.rules import names
from pellucid.localkube.api.rules.causes import (
    Causes,
    Object,
    Shown,
    bad,
    duplicate,
    forbidden,
    one_of,
    required,
)
from pellucid.localkube.api.rules.containers import PROTOCOLS

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("SingleStack", "PreferDualStack", "RequireDualStack")
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_ADDRESS_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_BALANCED_ONLY = "may only be used when `type` is 'LoadBalancer'"
_LONGEST_AFFINITY = 86400


def service(value: Object) -> Causes:
    """A Service."""
    spec = value.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    yield from one_of("spec.type", kind, TYPES)
    yield from _ports(spec, kind)
    yield from names.labels("spec.selector", spec.get("selector") or {})
    yield from _name_outside(spec, kind)
    yield from _addresses(spec, kind)
    yield from _affinity(spec)
    yield from _traffic(spec, kind)
    yield from _balancer(spec, kind)


def _ports(spec: Object, kind: str) -> Causes:
    ports = spec.get("ports") or ()
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    seen: set[str] = set()
    numbers: set[tuple[Any, str]] = set()
    for place, port in enumerate(ports):
        field = f"spec.ports[{place}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            yield required(f"{field}.name")
        elif name:
            yield from names.label_name(f"{field}.name", name)
            if name in seen:
                yield duplicate(f"{field}.name", name)
        seen.add(name)
        yield from names.port_number(f"{field}.port", port.get("port", 0))
        yield from one_of(f"{field}.protocol", port.get("protocol"), PROTOCOLS)
        yield from names.port_number_or_name(f"{field}.targetPort", port.get("targetPort"))
        number = (port.get("port"), port.get("protocol", "TCP"))
        if number in numbers:
            yield duplicate(field, _shown_port(*number))
        numbers.add(number)
        if port.get("nodePort") and kind not in ("NodePort", "LoadBalancer"):
            yield forbidden(f"{field}.nodePort", f"may not be used when `type` is '{kind}'")


def _shown_port(port: Any, protocol: str) -> Shown:
    return Shown(
        f'core.ServicePort{{Name:"", Protocol:"{protocol}", AppProtocol:(*string)(nil), Port:{port}, '
        'TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}'
    )


def _name_outside(spec: Object, kind: str) -> Causes:
    name = spec.get("externalName", "").removesuffix(".")
    if kind == "ExternalName":
        if not name:
            yield required("spec.externalName")
        else:
            yield from names.subdomain_name("spec.externalName", name)
        if spec.get("clusterIP"):
            yield forbidden("spec.clusterIPs", "may not be set for ExternalName services")
        for field in ("ipFamilies", "ipFamilyPolicy"):
            if spec.get(field):
                yield forbidden(f"spec.{field}", "may not be set for ExternalName services")


def _addresses(spec: Object, kind: str) -> Causes:
    stated = spec.get("clusterIPs") or [one for one in (spec.get("clusterIP"),) if one]
    if "None" in stated and kind in ("LoadBalancer", "NodePort"):
        yield bad("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    for place, address in enumerate(stated):
        if address not in ("None", "") and not _is_address(address):
            yield bad(f"spec.clusterIPs[{place}]", address, _ADDRESS_TEXT)
    if spec.get("clusterIPs") and spec.get("clusterIP", stated[0]) != stated[0]:
        yield bad("spec.clusterIPs", list(stated), "first value must match `clusterIP`")
    if len(stated) > 2:
        yield bad("spec.clusterIPs", list(stated), "may only hold up to 2 values")
    elif len(stated) == 2 and ":" in stated[0] and ":" in stated[1]:
        why = "may specify no more than one IP for each IP family"
        yield bad("spec.clusterIPs", list(stated), why)
    families = spec.get("ipFamilies") or ()
    for place, family in enumerate(families):
        yield from one_of(f"spec.ipFamilies[{place}]", family, FAMILIES)
        if family in families[:place]:
            yield duplicate(f"spec.ipFamilies[{place}]", family)
    yield from one_of("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), FAMILY_POLICIES)
    for place, address in enumerate(spec.get("externalIPs") or ()):
        if not _is_address(address):
            yield bad(f"spec.externalIPs[{place}]", address, _ADDRESS_TEXT)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _affinity(spec: Object) -> Causes:
    affinity = spec.get("sessionAffinity")
    yield from one_of("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    config = spec.get("sessionAffinityConfig") or {}
    if affinity == "None" and config:
        why = "must not be set when session affinity is None"
        yield forbidden("spec.sessionAffinityConfig", why)
    seconds = (config.get("clientIP") or {}).get("timeoutSeconds")
    if seconds is not None and not 0 < seconds <= _LONGEST_AFFINITY:
        field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        yield bad(field, seconds, f"must be greater than 0 and less than {_LONGEST_AFFINITY}")


def _traffic(spec: Object, kind: str) -> Causes:
    policies = ("Cluster", "Local")
    outer = spec.get("externalTrafficPolicy")
    reachable = kind in ("NodePort", "LoadBalancer") or spec.get("externalIPs")
    if outer is not None and not reachable:
        why = "may only be set for externally-accessible services"
        yield bad("spec.externalTrafficPolicy", outer, why)
    else:
        yield from one_of("spec.externalTrafficPolicy", outer, policies)
    yield from one_of("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), policies)


def _balancer(spec: Object, kind: str) -> Causes:
    if kind != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(name) is not None:
                yield forbidden(f"spec.{name}", _BALANCED_ONLY)
        if spec.get("loadBalancerSourceRanges"):
            yield forbidden("spec.LoadBalancerSourceRanges", _BALANCED_ONLY)
        return
    if spec.get("loadBalancerClass"):
        yield from names.qualified_name("spec.loadBalancerClass", spec["loadBalancerClass"])
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if any(not _is_network(one) for one in ranges):
        why = "must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24 "
        yield bad("spec.LoadBalancerSourceRanges", f"[{' '.join(ranges)}]", why)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return False
    return "/" in text


def ingress(value: Object) -> Causes:
    """An Ingress."""
    spec = value.get("spec") or {}
    rules = spec.get("rules") or ()
    if not rules and spec.get("defaultBackend") is None:
        nothing = Shown("[]networking.IngressRule(nil)")
        yield bad("spec", nothing, "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for place, rule in enumerate(rules):
        field = f"spec.rules[{place}]"
        yield from _host(rule.get("host", ""), f"{field}.host")
        if rule.get("http") is not None:
            yield from _paths(rule["http"].get("paths") or (), f"{field}.http.paths")
    if spec.get("ingressClassName"):
        yield from names.subdomain_name("spec.ingressClassName", spec["ingressClassName"])


def _host(host: str, field: str) -> Causes:
    if not host:
        return
    if _is_address(host):
        yield bad(field, host, "must be a DNS name, not an IP address")
    elif host.startswith("*"):
        if list(names.subdomain_name(field, host.removeprefix("*."))):
            why = (
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
                "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "
                "alphanumeric character (e.g. '*.example.com', regex used for validation is "
                r"'\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            )
            yield bad(field, host, why)
    else:
        yield from names.subdomain_name(field, host)


def _paths(paths: Any, field: str) -> Causes:
    if not paths:
        yield required(field)
    for place, one in enumerate(paths):
        at, path, kind = f"{field}[{place}]", one.get("path", ""), one.get("pathType")
        if kind is None:
            yield required(f"{at}.pathType", "pathType must be specified")
        elif kind in ("Exact", "Prefix"):
            yield from _path(path, f"{at}.path")
        else:
            yield from one_of(f"{at}.pathType", kind, PATH_TYPES)
            if path and not path.startswith("/"):
                yield bad(f"{at}.path", path, "must be an absolute path")
        yield from _backend(one.get("backend") or {}, f"{at}.backend")


def _path(path: str, field: str) -> Causes:
    if not path.startswith("/"):
        yield bad(field, path, "must be an absolute path")
        return
    for piece in ("//", "/./", "/../", "%2f", "%2F"):
        if piece in path:
            yield bad(field, path, f"must not contain '{piece}'")
    for ending in ("/..", "/."):
        if path.endswith(ending):
            yield bad(field, path, f"cannot end with '{ending}'")


def _backend(stated: Object, field: str) -> Causes:
    resource, behind = stated.get("resource"), stated.get("service")
    if resource is not None and behind is not None:
        yield bad(field, "", "cannot set both resource and service backends")
    elif behind is not None:
        if not behind.get("name"):
            yield required(f"{field}.service.name")
        else:
            yield from names.service_name(f"{field}.service.name", behind["name"])
        port = behind.get("port") or {}
        if port.get("name") and port.get("number"):
            yield bad(field, "", "cannot set both port name & port number")
        elif port.get("name"):
            yield from names.port_name(f"{field}.service.port.name", port["name"])
        elif port.get("number"):
            yield from names.port_number(f"{field}.service.port.number", port["number"])
        else:
            yield required(field, "port name or number is required")
    elif resource is None:
        yield bad(field, "", "resource or service backend is required")
