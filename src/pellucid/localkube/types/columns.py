"""What a table shows of each kind: the columns `kubectl get` prints.

Source: pkg/printers/internalversion of Kubernetes 1.30.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pellucid.localkube.types.kinds import Resource

Object = dict[str, Any]
Cells = list[Any]
NONE, UNKNOWN = "<none>", "<unknown>"


class Column(msgspec.Struct, frozen=True):
    """One column; priority 1 is shown only when wide output is asked for."""

    name: str
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""

    def shown(self) -> Object:
        """As a table's columnDefinitions has it."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


NAME = Column("Name", format="name")
AGE = Column("Age")


def age(timestamp: str | None, now: datetime.datetime) -> str:
    """How long ago, as kubectl says it: `5s`, `3m12s`, `2d4h`."""
    if not timestamp:
        return UNKNOWN
    seconds = int((now - datetime.datetime.fromisoformat(timestamp)).total_seconds())
    return duration(seconds)


def duration(seconds: int) -> str:
    """A time span in at most two units. Source: k8s.io/apimachinery/pkg/util/duration."""
    if seconds < -1:
        return "<invalid>"
    seconds = max(0, seconds)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400

    def two(first: int, unit: str, second: int, lower: str) -> str:
        return f"{first}{unit}{second}{lower}" if second else f"{first}{unit}"

    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return two(minutes, "m", seconds % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _age_of(value: Object, now: datetime.datetime) -> str:
    return age(value["metadata"].get("creationTimestamp"), now)


def _spec(value: Object) -> Object:
    return value.get("spec") or {}


def _status(value: Object) -> Object:
    return value.get("status") or {}


def _joined(values: Sequence[Any], empty: str = NONE) -> str:
    return ",".join(str(one) for one in values) or empty


def _pod(pod: Object, now: datetime.datetime) -> Cells:
    spec, status = _spec(pod), _status(pod)
    statuses = status.get("containerStatuses") or ()
    sidecars = {
        one["name"] for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"
    }
    init = status.get("initContainerStatuses") or ()
    counted = [*statuses, *(one for one in init if one.get("name") in sidecars)]
    total = len(spec.get("containers") or ()) + len(sidecars)
    gates = spec.get("readinessGates")
    return [
        pod["metadata"]["name"],
        f"{sum(1 for one in counted if one.get('ready'))}/{total}",
        pod_status(pod),
        _restarts(counted, now),
        _age_of(pod, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"0/{len(gates)}" if gates else NONE,
    ]


def _restarts(statuses: Sequence[Object], now: datetime.datetime) -> str:
    count = sum(one.get("restartCount", 0) for one in statuses)
    ended = [
        ((one.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or "" for one in statuses
    ]
    last = max(ended, default="")
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


def pod_status(pod: Object) -> str:
    """The STATUS of a pod: its phase, or what keeps it from running."""
    spec, status = _spec(pod), _status(pod)
    reason: str = status.get("reason") or status.get("phase") or "Unknown"
    init = status.get("initContainerStatuses") or ()
    told = _init_status(spec, init)
    if told:
        reason = told
    else:
        statuses = status.get("containerStatuses") or ()
        running = False
        for one in reversed(statuses):
            state = one.get("state") or {}
            waiting, ended = state.get("waiting") or {}, state.get("terminated")
            if waiting.get("reason"):
                reason = waiting["reason"]
            elif ended is not None:
                reason = _ended(ended)
            elif one.get("ready") and "running" in state:
                running = True
        if reason == "Completed" and running:
            reason = (
                "Running" if all(one.get("ready") for one in statuses if _is_running(one)) else "NotReady"
            )
    if "deletionTimestamp" in pod["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason


def _is_running(status: Object) -> bool:
    return "running" in (status.get("state") or {})


def _ended(ended: Object) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _init_status(spec: Object, statuses: Sequence[Object]) -> str:
    declared = spec.get("initContainers") or ()
    sidecars = {one["name"] for one in declared if one.get("restartPolicy") == "Always"}
    for place, one in enumerate(statuses):
        state = one.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if one.get("name") in sidecars and one.get("started"):
            continue
        if ended is not None:
            return f"Init:{_ended(ended)}"
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{place}/{len(declared)}"
    return ""


def _containers(value: Object) -> Cells:
    template = _spec(_spec(value).get("template") or {})
    containers = template.get("containers") or ()
    return [
        _joined([c.get("name", "") for c in containers]),
        _joined([c.get("image", "") for c in containers]),
    ]


def selector_text(selector: Object | None) -> str:
    """A LabelSelector as kubectl writes it."""
    if not selector:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        listed = ",".join(one.get("values") or ())
        parts.append(
            {
                "In": f"{one['key']} in ({listed})",
                "NotIn": f"{one['key']} notin ({listed})",
                "Exists": one["key"],
                "DoesNotExist": f"!{one['key']}",
            }[one["operator"]]
        )
    return _joined(parts)


def _deployment(value: Object, now: datetime.datetime) -> Cells:
    spec, status = _spec(value), _status(value)
    return [
        value["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age_of(value, now),
        *_containers(value),
        selector_text(spec.get("selector")),
    ]


def _replica_set(value: Object, now: datetime.datetime) -> Cells:
    spec, status = _spec(value), _status(value)
    return [
        value["metadata"]["name"],
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _age_of(value, now),
        *_containers(value),
        selector_text(spec.get("selector")),
    ]


def _stateful_set(value: Object, now: datetime.datetime) -> Cells:
    ready = f"{_status(value).get('readyReplicas', 0)}/{_spec(value).get('replicas', 0)}"
    return [value["metadata"]["name"], ready, _age_of(value, now), *_containers(value)]


def _daemon_set(value: Object, now: datetime.datetime) -> Cells:
    status = _status(value)
    node_selector = _spec(_spec(value).get("template") or {}).get("nodeSelector") or {}
    counts = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    return [
        value["metadata"]["name"],
        *(status.get(name, 0) for name in counts),
        _joined([f"{key}={one}" for key, one in node_selector.items()]),
        _age_of(value, now),
        *_containers(value),
        selector_text(_spec(value).get("selector")),
    ]


def _job(value: Object, now: datetime.datetime) -> Cells:
    spec, status = _spec(value), _status(value)
    conditions = {one["type"] for one in status.get("conditions") or () if one.get("status") == "True"}
    told = next((one for one in ("Complete", "Failed", "Suspended") if one in conditions), "Running")
    wanted = spec.get("completions")
    of = f"1 of {spec.get('parallelism', 1)}" if wanted is None else wanted
    ran = ""
    if status.get("startTime"):
        end = status.get("completionTime")
        until = datetime.datetime.fromisoformat(end) if end else now
        ran = age(status["startTime"], until)
    return [
        value["metadata"]["name"],
        told,
        f"{status.get('succeeded', 0)}/{of}",
        ran,
        _age_of(value, now),
        *_containers(value),
        selector_text(spec.get("selector")),
    ]


def _cron_job(value: Object, now: datetime.datetime) -> Cells:
    spec, status = _spec(value), _status(value)
    last = status.get("lastScheduleTime")
    job = _spec(spec.get("jobTemplate") or {})
    return [
        value["metadata"]["name"],
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        _age_of(value, now),
        *_containers({"spec": job}),
        selector_text(job.get("selector")),
    ]


def _service(value: Object, now: datetime.datetime) -> Cells:
    spec = _spec(value)
    ports = [
        f"{one['port']}:{one['nodePort']}/{one.get('protocol', 'TCP')}"
        if one.get("nodePort")
        else f"{one['port']}/{one.get('protocol', 'TCP')}"
        for one in spec.get("ports") or ()
    ]
    selector = spec.get("selector") or {}
    return [
        value["metadata"]["name"],
        spec.get("type", ""),
        spec.get("clusterIP") or NONE,
        _external(value),
        _joined(ports),
        _age_of(value, now),
        _joined([f"{key}={one}" for key, one in sorted(selector.items())]),
    ]


def _external(value: Object) -> str:
    spec = _spec(value)
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", NONE))
    addresses = list(spec.get("externalIPs") or ())
    if spec.get("type") == "LoadBalancer":
        ingress = (_status(value).get("loadBalancer") or {}).get("ingress") or ()
        addresses += [one.get("ip") or one.get("hostname") for one in ingress]
        return _joined(addresses, "<pending>")
    return _joined(addresses)


def _endpoints(value: Object, now: datetime.datetime) -> Cells:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in value.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    return [value["metadata"]["name"], _some(found), _age_of(value, now)]


def _some(values: Sequence[str]) -> str:
    more = f" + {len(values) - 3} more..." if len(values) > 3 else ""
    return _joined(values[:3]) + more


def _endpoint_slice(value: Object, now: datetime.datetime) -> Cells:
    addresses = [one for endpoint in value.get("endpoints") or () for one in endpoint.get("addresses") or ()]
    ports = [str(one.get("port", "*")) for one in value.get("ports") or ()]
    return [
        value["metadata"]["name"],
        value.get("addressType", ""),
        _joined(ports, "<unset>"),
        _some(addresses) if addresses else "<unset>",
        _age_of(value, now),
    ]


def _node(value: Object, now: datetime.datetime) -> Cells:
    status, labels = _status(value), value["metadata"].get("labels") or {}
    ready = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), None)
    told = [{"True": "Ready"}.get(ready["status"], "NotReady") if ready else "Unknown"]
    if _spec(value).get("unschedulable"):
        told.append("SchedulingDisabled")
    prefix = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))
    info = status.get("nodeInfo") or {}
    addresses = {one.get("type"): one.get("address") for one in reversed(status.get("addresses") or ())}
    return [
        value["metadata"]["name"],
        ",".join(told),
        _joined(roles),
        _age_of(value, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP") or NONE,
        addresses.get("ExternalIP") or NONE,
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _event(value: Object, now: datetime.datetime) -> Cells:
    about = value.get("involvedObject") or {}
    source = value.get("source") or {}
    origin = source.get("component") or value.get("reportingComponent") or ""
    if source.get("host"):
        origin += f", {source['host']}"
    last = value.get("lastTimestamp") or value.get("eventTime") or value["metadata"].get("creationTimestamp")
    first = value.get("firstTimestamp") or value.get("eventTime") or last
    return [
        age(last, now),
        value.get("type", ""),
        value.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        str(value.get("message", "")).strip(),
        about.get("fieldPath", ""),
        origin,
        age(first, now),
        value.get("count") or 1,
        value["metadata"]["name"],
    ]


def _claim(value: Object, now: datetime.datetime) -> Cells:
    spec, status = _spec(value), _status(value)
    return [
        value["metadata"]["name"],
        _phase_unless_deleting(value),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", ""),
        _modes(status.get("accessModes") or ()),
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        _age_of(value, now),
        spec.get("volumeMode", ""),
    ]


def _volume(value: Object, now: datetime.datetime) -> Cells:
    spec, status = _spec(value), _status(value)
    claim = spec.get("claimRef") or {}
    return [
        value["metadata"]["name"],
        (spec.get("capacity") or {}).get("storage", ""),
        _modes(spec.get("accessModes") or ()),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase_unless_deleting(value),
        f"{claim['namespace']}/{claim['name']}" if claim else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        _age_of(value, now),
        spec.get("volumeMode", ""),
    ]


def _phase_unless_deleting(value: Object) -> str:
    return "Terminating" if "deletionTimestamp" in value["metadata"] else _status(value).get("phase", "")


def _modes(modes: Sequence[str]) -> str:
    short = {
        "ReadWriteOnce": "RWO",
        "ReadOnlyMany": "ROX",
        "ReadWriteMany": "RWX",
        "ReadWriteOncePod": "RWOP",
    }
    return ",".join(short.get(one, one) for one in modes)


def _ingress(value: Object, now: datetime.datetime) -> Cells:
    spec = _spec(value)
    hosts = [one["host"] for one in spec.get("rules") or () if one.get("host")]
    ingress = (_status(value).get("loadBalancer") or {}).get("ingress") or ()
    return [
        value["metadata"]["name"],
        spec.get("ingressClassName") or NONE,
        _joined(hosts, "*"),
        ",".join(one.get("ip") or one.get("hostname") or "" for one in ingress),
        "80, 443" if spec.get("tls") else "80",
        _age_of(value, now),
    ]


def _disruption_budget(value: Object, now: datetime.datetime) -> Cells:
    spec = _spec(value)
    return [
        value["metadata"]["name"],
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        _status(value).get("disruptionsAllowed", 0),
        _age_of(value, now),
    ]


def _binding(value: Object, now: datetime.datetime) -> Cells:
    role, subjects = value.get("roleRef") or {}, value.get("subjects") or ()

    def named(kind: str) -> str:
        return ", ".join(
            f"{one.get('namespace', '')}/{one['name']}" if kind == "ServiceAccount" else one["name"]
            for one in subjects
            if one.get("kind") == kind
        )

    return [
        value["metadata"]["name"],
        f"{role.get('kind', '')}/{role.get('name', '')}",
        _age_of(value, now),
        named("User"),
        named("Group"),
        named("ServiceAccount"),
    ]


def _created(value: Object, _now: datetime.datetime) -> Cells:
    return [value["metadata"]["name"], value["metadata"].get("creationTimestamp", "")]


def _counted(field: str) -> Callable[[Object, datetime.datetime], Cells]:
    return lambda value, now: [value["metadata"]["name"], len(value.get(field) or ()), _age_of(value, now)]


def _lease(value: Object, now: datetime.datetime) -> Cells:
    return [value["metadata"]["name"], _spec(value).get("holderIdentity", ""), _age_of(value, now)]


def _autoscaler(value: Object, now: datetime.datetime) -> Cells:
    spec, target = _spec(value), _spec(value).get("scaleTargetRef") or {}
    return [
        value["metadata"]["name"],
        f"{target.get('kind', '')}/{target.get('name', '')}",
        NONE if not spec.get("metrics") else f"{UNKNOWN}",
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        _status(value).get("currentReplicas", 0),
        _age_of(value, now),
    ]


def _storage_class(value: Object, now: datetime.datetime) -> Cells:
    meta = value["metadata"]
    default = (meta.get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    return [
        f"{meta['name']} (default)" if default else meta["name"],
        value.get("provisioner", ""),
        value.get("reclaimPolicy", ""),
        value.get("volumeBindingMode", ""),
        bool(value.get("allowVolumeExpansion")),
        _age_of(value, now),
    ]


def _named_and_aged(value: Object, now: datetime.datetime) -> Cells:
    return [value["metadata"]["name"], _age_of(value, now)]


def _columns(plain: str, wide: str = "") -> tuple[Column, ...]:
    """`Name|Ready|...`; `#` before a name makes it a number."""
    named = [(one, 0) for one in plain.split("|")] + [(one, 1) for one in wide.split("|") if one]
    columns = [
        Column(name.lstrip("#"), "integer" if name.startswith("#") else "string", priority)
        for name, priority in named
    ]
    return tuple(NAME if column == Column("Name") else column for column in columns)


Cell = Callable[[Object, datetime.datetime], Cells]
_WORKLOAD = "Containers|Images|Selector"
_TABLES: Mapping[tuple[str, str], tuple[tuple[Column, ...], Cell]] = {
    ("", "pods"): (
        _columns("Name|Ready|Status|Restarts|Age", "IP|Node|Nominated Node|Readiness Gates"),
        _pod,
    ),
    ("", "services"): (_columns("Name|Type|Cluster-IP|External-IP|Port(s)|Age", "Selector"), _service),
    ("", "endpoints"): (_columns("Name|Endpoints|Age"), _endpoints),
    ("", "namespaces"): (
        _columns("Name|Status|Age"),
        lambda value, now: [value["metadata"]["name"], _status(value).get("phase", ""), _age_of(value, now)],
    ),
    ("", "configmaps"): (
        _columns("Name|#Data|Age"),
        lambda value, now: [
            value["metadata"]["name"],
            len(value.get("data") or ()) + len(value.get("binaryData") or ()),
            _age_of(value, now),
        ],
    ),
    ("", "secrets"): (
        _columns("Name|Type|#Data|Age"),
        lambda value, now: [
            value["metadata"]["name"],
            value.get("type", ""),
            len(value.get("data") or ()),
            _age_of(value, now),
        ],
    ),
    ("", "serviceaccounts"): (_columns("Name|#Secrets|Age"), _counted("secrets")),
    ("", "nodes"): (
        _columns(
            "Name|Status|Roles|Age|Version",
            "Internal-IP|External-IP|OS-Image|Kernel-Version|Container-Runtime",
        ),
        _node,
    ),
    ("", "events"): (
        _columns("Last Seen|Type|Reason|Object|Message", "Subobject|Source|First Seen|#Count|Name"),
        _event,
    ),
    ("", "persistentvolumeclaims"): (
        _columns(
            "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age", "VolumeMode"
        ),
        _claim,
    ),
    ("", "persistentvolumes"): (
        _columns(
            "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass"
            "|Reason|Age",
            "VolumeMode",
        ),
        _volume,
    ),
    ("apps", "deployments"): (_columns("Name|Ready|#Up-to-date|#Available|Age", _WORKLOAD), _deployment),
    ("apps", "replicasets"): (_columns("Name|#Desired|#Current|#Ready|Age", _WORKLOAD), _replica_set),
    ("apps", "statefulsets"): (_columns("Name|Ready|Age", "Containers|Images"), _stateful_set),
    ("apps", "daemonsets"): (
        _columns("Name|#Desired|#Current|#Ready|#Up-to-date|#Available|Node Selector|Age", _WORKLOAD),
        _daemon_set,
    ),
    ("batch", "jobs"): (_columns("Name|Status|Completions|Duration|Age", _WORKLOAD), _job),
    ("batch", "cronjobs"): (
        _columns("Name|Schedule|Timezone|Suspend|#Active|Last Schedule|Age", _WORKLOAD),
        _cron_job,
    ),
    ("autoscaling", "horizontalpodautoscalers"): (
        _columns("Name|Reference|Targets|MinPods|#MaxPods|#Replicas|Age"),
        _autoscaler,
    ),
    ("discovery.k8s.io", "endpointslices"): (
        _columns("Name|AddressType|Ports|Endpoints|Age"),
        _endpoint_slice,
    ),
    ("networking.k8s.io", "ingresses"): (_columns("Name|Class|Hosts|Address|Ports|Age"), _ingress),
    ("networking.k8s.io", "networkpolicies"): (
        _columns("Name|Pod-Selector|Age"),
        lambda value, now: [
            value["metadata"]["name"],
            selector_text(_spec(value).get("podSelector")),
            _age_of(value, now),
        ],
    ),
    ("policy", "poddisruptionbudgets"): (
        _columns("Name|Min Available|Max Unavailable|#Allowed Disruptions|Age"),
        _disruption_budget,
    ),
    ("rbac.authorization.k8s.io", "roles"): (_columns("Name|Created At"), _created),
    ("rbac.authorization.k8s.io", "clusterroles"): (_columns("Name|Created At"), _created),
    ("rbac.authorization.k8s.io", "rolebindings"): (
        _columns("Name|Role|Age", "Users|Groups|ServiceAccounts"),
        _binding,
    ),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): (
        _columns("Name|Role|Age", "Users|Groups|ServiceAccounts"),
        _binding,
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (_columns("Name|Created At"), _created),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): (
        _columns("Name|#Webhooks|Age"),
        _counted("webhooks"),
    ),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): (
        _columns("Name|#Webhooks|Age"),
        _counted("webhooks"),
    ),
    ("coordination.k8s.io", "leases"): (_columns("Name|Holder|Age"), _lease),
    ("storage.k8s.io", "storageclasses"): (
        _columns("Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age"),
        _storage_class,
    ),
    ("scheduling.k8s.io", "priorityclasses"): (
        _columns("Name|#Value|Global-Default|Age|PreemptionPolicy"),
        lambda value, now: [
            value["metadata"]["name"],
            value.get("value", 0),
            bool(value.get("globalDefault")),
            _age_of(value, now),
            value.get("preemptionPolicy", ""),
        ],
    ),
    ("apps", "controllerrevisions"): (
        _columns("Name|Controller|#Revision|Age"),
        lambda value, now: [
            value["metadata"]["name"],
            _controller(value),
            value.get("revision", 0),
            _age_of(value, now),
        ],
    ),
}


def _controller(value: Object) -> str:
    owners = value["metadata"].get("ownerReferences") or ()
    found = next((one for one in owners if one.get("controller")), None)
    return (
        f"{found['kind'].lower()}.{found['apiVersion'].partition('/')[0]}/{found['name']}" if found else NONE
    )


def table_of(resource: Resource, definition: Object | None) -> tuple[tuple[Column, ...], Cell]:
    """The columns of a kind, and what fills them for one object."""
    if definition is not None:
        return _custom_table(resource, definition)
    return _TABLES.get(resource.stored, ((NAME, AGE), _named_and_aged))


def _custom_table(resource: Resource, definition: Object) -> tuple[tuple[Column, ...], Cell]:
    version = next(one for one in definition["spec"]["versions"] if one["name"] == resource.version)
    stated = version.get("additionalPrinterColumns")
    if not stated:
        return (NAME, AGE), _named_and_aged
    columns = [
        Column(
            one["name"],
            one.get("type", "string"),
            one.get("priority", 0),
            one.get("format", ""),
            one.get("description", ""),
        )
        for one in stated
    ]

    def cells(value: Object, now: datetime.datetime) -> Cells:
        shown = []
        for one in stated:
            found = path_value(value, one["jsonPath"])
            shown.append((age(found, now) if found else UNKNOWN) if one.get("type") == "date" else found)
        return [value["metadata"]["name"], *shown]

    return (NAME, *columns), cells


_STEP = re.compile(
    r"\.([A-Za-z0-9_\-\\./]+?)(?=\.|\[|$)|\[(\d+|\*)\]|\[\?\(@\.(\w+)==['\"](.*?)['\"]\)\]|\['(.*?)'\]"
)


def path_value(value: Any, path: str) -> Any:
    """What a printer column's jsonPath finds: names, indexes, `[*]` and `[?(@.a=="b")]`."""
    for name, place, key, wanted, quoted in _STEP.findall(path):
        if key:
            value = next((one for one in value or () if str(one.get(key)) == wanted), None)
        elif place and isinstance(value, list):
            index = 0 if place == "*" else int(place)
            value = value[index] if index < len(value) else None
        elif isinstance(value, dict):
            value = value.get(quoted or name.replace("\\", ""))
        else:
            return None
        if value is None:
            return None
    return value
