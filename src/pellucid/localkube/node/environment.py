"""A container's environment and command line, from the pod's specification. Pure.

Source: Kubernetes API reference, EnvVar, EnvFromSource; "Define Dependent Environment Variables".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pellucid.localkube.node.quantities import quantity_in

Object = dict[str, Any]
_REFERENCE = re.compile(r"\$\$|\$\(([^()]+)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigurationError(Exception):
    """A container cannot be made from what its specification refers to (`CreateContainerConfigError`)."""


class PodFacts(msgspec.Struct, frozen=True):
    """What a pod's fields refer to beyond its specification. `node_*` are the node's allocatable."""

    pod_ips: tuple[str, ...]
    host_ips: tuple[str, ...]
    node_cpu: str = "0"
    node_memory: str = "0"


class Sources(msgspec.Struct, frozen=True):
    """Reads a ConfigMap or Secret by name; None if there is none."""

    config_map: Callable[[str], Object | None]
    secret: Callable[[str], Object | None]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` of known names; `$$` stands for `$`; unknown references stay as they are."""

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        return variables.get(name, match.group(0))

    return _REFERENCE.sub(replacement, text)


def field_value(path: str, pod: Object, facts: PodFacts) -> str:
    """The text of a `fieldRef`. Raises ConfigurationError on a path that cannot be referred to."""
    metadata, spec = pod["metadata"], pod["spec"]
    if subscript := _SUBSCRIPT.fullmatch(path):
        return str(metadata.get(subscript.group(1), {}).get(subscript.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        values = metadata.get(path.rpartition(".")[2], {})
        return "\n".join(f'{key}="{_escaped(values[key])}"' for key in sorted(values))
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": facts.host_ips[0] if facts.host_ips else "",
        "status.hostIPs": ",".join(facts.host_ips),
        "status.podIP": facts.pod_ips[0] if facts.pod_ips else "",
        "status.podIPs": ",".join(facts.pod_ips),
    }
    if path not in simple:
        raise ConfigurationError(f"unsupported fieldPath: {path}")
    return str(simple[path])


def resource_value(reference: Object, pod: Object, container: Object, facts: PodFacts) -> str:
    """The number of a `resourceFieldRef`, rounded up to its divisor."""
    if name := reference.get("containerName"):
        every = (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
        container = next((other for other in every if other["name"] == name), container)
    kind, _, resource = reference["resource"].partition(".")
    unset = {"cpu": facts.node_cpu, "memory": facts.node_memory}.get(resource, "0")
    amounts = container.get("resources", {}).get(kind, {})
    divisor = str(reference.get("divisor") or "1")
    return str(quantity_in(str(amounts.get(resource, unset)), "1" if divisor == "0" else divisor))


def container_environment(
    pod: Object,
    container: Object,
    facts: PodFacts,
    sources: Sources,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """`inherited` (image and service links), then `envFrom`, then `env`. Raises ConfigurationError."""
    variables = dict(inherited)
    for source in container.get("envFrom", ()):
        variables |= _all_keys(source, pod, sources)
    for entry in container.get("env", ()):
        value = entry.get("value")
        if (origin := entry.get("valueFrom")) is not None:
            value = _referred(origin, pod, container, facts, sources)
            if value is not None:
                variables[entry["name"]] = value
            continue
        variables[entry["name"]] = expand(value or "", variables)
    return variables


def command_line(
    container: Object, entrypoint: Sequence[str], command: Sequence[str], variables: Mapping[str, str]
) -> tuple[str, ...]:
    """`command` replaces the image's entrypoint and command, `args` its command only."""
    own, arguments = container.get("command"), container.get("args")
    chosen = [*own, *(arguments or ())] if own else [*entrypoint, *(arguments or command)]
    return tuple(expand(word, variables) for word in chosen)


def service_environment(services: Sequence[Object]) -> dict[str, str]:
    """The variables that tell a container of services: `<NAME>_SERVICE_HOST` and its kin."""
    variables: dict[str, str] = {}
    for service in services:
        address = service["spec"].get("clusterIP", "")
        ports = service["spec"].get("ports", ())
        if not address or address == "None" or not ports:
            continue
        name = service["metadata"]["name"].upper().replace("-", "_")
        variables[f"{name}_SERVICE_HOST"] = address
        variables[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
        first = ports[0]
        variables[f"{name}_PORT"] = f"{first.get('protocol', 'TCP').lower()}://{address}:{first['port']}"
        for port in ports:
            variables |= _port_variables(name, address, port)
    return variables


def _port_variables(name: str, address: str, port: Object) -> dict[str, str]:
    protocol, number = port.get("protocol", "TCP"), port["port"]
    prefix = f"{name}_PORT_{number}_{protocol}"
    variables = {
        prefix: f"{protocol.lower()}://{address}:{number}",
        f"{prefix}_PROTO": protocol.lower(),
        f"{prefix}_PORT": str(number),
        f"{prefix}_ADDR": address,
    }
    if port.get("name"):
        variables[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(number)
    return variables


def config_map_data(config_map: Object) -> dict[str, bytes]:
    """Every key's content."""
    text = {key: value.encode() for key, value in (config_map.get("data") or {}).items()}
    return text | {
        key: base64.b64decode(value) for key, value in (config_map.get("binaryData") or {}).items()
    }


def secret_data(secret: Object) -> dict[str, bytes]:
    """Every key's content."""
    return {key: base64.b64decode(value or "") for key, value in (secret.get("data") or {}).items()}


def _all_keys(source: Object, pod: Object, sources: Sources) -> dict[str, str]:
    kind, reference, found = _look_up(source, sources, "configMapRef", "secretRef")
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigurationError(f'{kind.lower()} "{reference["name"]}" not found')
    prefix = source.get("prefix", "")
    return {prefix + key: value.decode(errors="replace") for key, value in _data(kind, found).items()}


def _referred(
    origin: Object, pod: Object, container: Object, facts: PodFacts, sources: Sources
) -> str | None:
    if "fieldRef" in origin:
        return field_value(origin["fieldRef"]["fieldPath"], pod, facts)
    if "resourceFieldRef" in origin:
        return resource_value(origin["resourceFieldRef"], pod, container, facts)
    kind, reference, found = _look_up(origin, sources, "configMapKeyRef", "secretKeyRef")
    content = _data(kind, found).get(reference["key"]) if found is not None else None
    if content is not None:
        return content.decode(errors="replace")
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigurationError(f'{kind.lower()} "{reference["name"]}" not found')
    place = f"{pod['metadata']['namespace']}/{reference['name']}"
    raise ConfigurationError(f"couldn't find key {reference['key']} in {kind} {place}")


def _look_up(
    origin: Object, sources: Sources, config_map_field: str, secret_field: str
) -> tuple[str, Object, Object | None]:
    if config_map_field in origin:
        reference = origin[config_map_field]
        return "ConfigMap", reference, sources.config_map(reference["name"])
    reference = origin[secret_field]
    return "Secret", reference, sources.secret(reference["name"])


def _data(kind: str, found: Object) -> dict[str, bytes]:
    return config_map_data(found) if kind == "ConfigMap" else secret_data(found)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
