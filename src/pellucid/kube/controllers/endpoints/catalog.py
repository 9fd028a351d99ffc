"""What the endpoints controller keeps in the catalog, as values: to write, to read back, to compare.

Instances are registered on a stand-in for each Kubernetes node, `<node>-virtual`, which no agent runs. A pod
has two: its service and its sidecar. Readiness is a check in the same registration, so an instance is never
in the catalog without it.

Reading gives more than was written: the server shows a proxy's settings completed from configuration
entries. `is_shown_as` says whether what is shown can come of what was written.

Source: Consul 1.10 docs, "Catalog HTTP API"; Consul on Kubernetes 1.0, endpoints controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from pellucid.kube.annotations import ENDPOINTS_CONTROLLER
from pellucid.model.checks import CheckStatus
from pellucid.model.decoding import DecodeError, decode
from pellucid.model.encoding import json_object
from pellucid.model.pods import POD_NAME, POD_NAMESPACE, POD_UID
from pellucid.model.services import Proxy, Service, ServiceAddress, ServiceKind, Upstream

NODE_SUFFIX = "-virtual"
NODE_META = {"synthetic-node": "true"}
CHECK_NAME = "Kubernetes Readiness Check"
CHECK_TYPE = "kubernetes-readiness"

META_SERVICE = "k8s-service-name"
META_MANAGED_BY = "managed-by"
RESERVED_META = frozenset((POD_NAME, POD_UID, POD_NAMESPACE, META_SERVICE, META_MANAGED_BY))
"""What `service-meta-*` annotations cannot set: others go by it."""

InstanceKey = tuple[str, str]
"""Node and service id."""
PodKey = tuple[str, str]
"""Namespace and name."""


class Registration(msgspec.Struct, frozen=True):
    """One instance with its readiness. `service.node` is the stand-in node, at `node_address`."""

    service: Service
    node_address: str
    status: CheckStatus
    output: str

    @property
    def key(self) -> InstanceKey:
        """What the catalog knows the instance by."""
        return self.service.node, self.service.id

    @property
    def pod(self) -> PodKey:
        """The pod it stands for."""
        meta = self.service.meta or {}
        return meta.get(POD_NAMESPACE, ""), meta.get(POD_NAME, "")

    @property
    def namespace(self) -> str:
        """The Kubernetes namespace of its pod."""
        return self.pod[0]

    @property
    def check_id(self) -> str:
        """The id of its readiness check."""
        return f"{self.namespace}/{self.service.id}/kubernetes-readiness"


class Difference(msgspec.Struct, frozen=True):
    """What to write so that the catalog is as desired; what goes is written after what comes."""

    registers: tuple[Registration, ...] = ()
    deregisters: tuple[InstanceKey, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.registers or self.deregisters)


def difference(desired: Iterable[Registration], found: Iterable[Registration]) -> Difference:
    """What separates the catalog from what is desired."""
    wanted = {registration.key: registration for registration in desired}
    there = {registration.key: registration for registration in found}
    return Difference(
        registers=tuple(
            registration
            for key, registration in wanted.items()
            if key not in there or not is_shown_as(registration, there[key])
        ),
        deregisters=tuple(key for key in there if key not in wanted),
    )


def is_shown_as(written: Registration, shown: Registration) -> bool:
    """True if the catalog shows `shown` for what was written as `written`."""
    proxy = _without_completions(written.service.proxy, shown.service.proxy)
    return written == replace(shown, service=replace(shown.service, proxy=proxy))


def _without_completions(written: Proxy, shown: Proxy) -> Proxy:
    """`shown` without what configuration entries add to fields that `written` leaves open."""
    config = {key: value for key, value in (shown.config or {}).items() if key in (written.config or {})}
    upstreams = tuple(_as_written(upstream) for upstream in shown.upstreams)
    return replace(
        written,
        destination_service_name=shown.destination_service_name,
        destination_service_id=shown.destination_service_id,
        local_service_address=shown.local_service_address,
        local_service_port=shown.local_service_port,
        mode=shown.mode if written.mode else "",
        config=config or None,
        upstreams=upstreams,
        expose=shown.expose if written.expose.paths else written.expose,
    )


def _as_written(upstream: Upstream) -> Upstream:
    return Upstream(
        destination_name=upstream.destination_name,
        destination_type=upstream.destination_type,
        datacenter=upstream.datacenter,
        local_bind_port=upstream.local_bind_port,
    )


def registration_body(registration: Registration) -> dict[str, object]:
    """The body of `PUT /v1/catalog/register`."""
    service = registration.service
    return {
        "Node": service.node,
        "Address": registration.node_address,
        "NodeMeta": NODE_META,
        "Service": {
            "Kind": service.kind.value,
            "ID": service.id,
            "Service": service.name,
            "Tags": list(service.tags),
            "Address": service.address,
            "TaggedAddresses": {
                tag: json_object(address) for tag, address in (service.tagged_addresses or {}).items()
            },
            "Meta": service.meta,
            "Port": service.port,
            **({"Proxy": json_object(service.proxy)} if service.kind else {}),
        },
        "Checks": [
            {
                "CheckID": registration.check_id,
                "Name": CHECK_NAME,
                "Type": CHECK_TYPE,
                "Status": registration.status.value,
                "Output": registration.output,
                "ServiceID": service.id,
            }
        ],
    }


def deregistration_body(key: InstanceKey) -> dict[str, object]:
    """The body of `PUT /v1/catalog/deregister` for one instance."""
    node, service_id = key
    return {"Node": node, "ServiceID": service_id}


def registrations_of_node(
    node: Mapping[str, Any], services: Iterable[Mapping[str, Any]], checks: Iterable[Mapping[str, Any]]
) -> Iterator[Registration]:
    """What this controller registered on a node, out of the answers that show it.

    node, services: of `/v1/catalog/node-services/:node`; checks: of `/v1/health/node/:node`.
    """
    readiness = {check["ServiceID"]: check for check in checks if check["Type"] == CHECK_TYPE}
    for shown in services:
        if (shown.get("Meta") or {}).get(META_MANAGED_BY) == ENDPOINTS_CONTROLLER:
            check = readiness.get(shown["ID"], {})
            yield Registration(
                service=_service(node["Node"], shown),
                node_address=node["Address"],
                status=CheckStatus(check.get("Status", CheckStatus.CRITICAL)),
                output=check.get("Output", "never reported"),
            )


def _service(node: str, shown: Mapping[str, Any]) -> Service:
    addresses = shown.get("TaggedAddresses") or {}
    return Service(
        node=node,
        id=shown["ID"],
        name=shown["Service"],
        kind=ServiceKind(shown.get("Kind", "")),
        tags=tuple(shown.get("Tags") or ()),
        address=shown["Address"],
        tagged_addresses={
            tag: ServiceAddress(address["Address"], address["Port"]) for tag, address in addresses.items()
        }
        or None,
        meta=shown["Meta"],
        port=shown["Port"],
        proxy=_proxy(shown.get("Proxy") or {}) if shown.get("Kind") else Proxy(),
    )


def _proxy(shown: Mapping[str, Any]) -> Proxy:
    """The proxy's settings; those of another making than ours are as good as none."""
    try:
        return decode(Proxy, shown)
    except DecodeError:
        return Proxy()


class Held:
    """What the catalog holds as far as the controller knows: as last read, and as written since."""

    def __init__(self) -> None:
        self._instances: dict[InstanceKey, Registration] = {}
        self._by_pod: dict[PodKey, dict[InstanceKey, None]] = {}
        self._by_name: dict[str, dict[InstanceKey, None]] = {}

    def __len__(self) -> int:
        return len(self._instances)

    def of_pod(self, pod: PodKey) -> tuple[Registration, ...]:
        """The instances that stand for a pod of this name."""
        return tuple(self._instances[key] for key in self._by_pod.get(pod, ()))

    def pods(self) -> tuple[PodKey, ...]:
        """The pods that have instances."""
        return tuple(self._by_pod)

    def namespaces_of(self, service: str) -> frozenset[str]:
        """The Kubernetes namespaces whose pods are instances of a mesh service."""
        return frozenset(self._instances[key].namespace for key in self._by_name.get(service, ()))

    def replace_all(self, found: Iterable[Registration]) -> None:
        """Take over what was read."""
        self._instances, self._by_pod, self._by_name = {}, {}, {}
        for registration in found:
            self.put(registration)

    def put(self, registration: Registration) -> None:
        """Note an instance that was written."""
        self.drop(registration.key)
        self._instances[registration.key] = registration
        self._by_pod.setdefault(registration.pod, {})[registration.key] = None
        self._by_name.setdefault(registration.service.name, {})[registration.key] = None

    def drop(self, key: InstanceKey) -> None:
        """Note that an instance is gone."""
        registration = self._instances.pop(key, None)
        if registration is not None:
            _remove(self._by_pod, registration.pod, key)
            _remove(self._by_name, registration.service.name, key)


def _remove(index: dict[Any, dict[InstanceKey, None]], entry: object, key: InstanceKey) -> None:
    del index[entry][key]
    if not index[entry]:
        del index[entry]
