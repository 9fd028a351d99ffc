"""What the API fills in when a manifest leaves it out.

Each function adds to a fresh copy of an object; what is already there is never changed.
Source: Kubernetes API reference ("Defaults to ...") and pkg/apis/*/v1/defaults.go of Kubernetes 1.30.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pellucid.localkube.types.kinds import Resource

Object = dict[str, Any]


def with_defaults(resource: Resource, given: Object) -> Object:
    """The object with its kind's defaults. The given one, which must be a deep copy, is changed."""
    fill = _FILLERS.get(resource.stored)
    if fill is not None:
        fill(given)
    return given


def _spec(found: Object) -> Object:
    spec: Object = found.setdefault("spec", {})
    return spec


def _fill(target: Object, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        target.setdefault(key, value)


def _dicts(listed: Any) -> Iterable[Object]:
    return (one for one in listed or () if isinstance(one, dict))


def pod_spec(spec: Object) -> None:
    """Defaults of a pod's or a template's spec."""
    _fill(
        spec,
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
        },
    )
    spec.setdefault("securityContext", {})
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    elif "serviceAccount" in spec:
        spec["serviceAccountName"] = spec["serviceAccount"]
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in _dicts(spec.get(group)):
            _container(container)
            if spec.get("hostNetwork"):
                for port in _dicts(container.get("ports")):
                    port.setdefault("hostPort", port.get("containerPort"))
    for volume in _dicts(spec.get("volumes")):
        _volume(volume)
    for constraint in _dicts(spec.get("topologySpreadConstraints")):
        _fill(constraint, {"nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Ignore"})


def _container(container: Object) -> None:
    image = str(container.get("image", ""))
    tag = image.rsplit("/", 1)[-1].partition("@")[0].partition(":")[2]
    latest = "@" not in image and tag in ("", "latest")
    _fill(
        container,
        {
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "Always" if latest else "IfNotPresent",
        },
    )
    resources = container["resources"]
    if isinstance(resources, dict):
        for name, amount in (resources.get("limits") or {}).items():
            resources.setdefault("requests", {}).setdefault(name, amount)
    for port in _dicts(container.get("ports")):
        port.setdefault("protocol", "TCP")
    for variable in _dicts(container.get("env")):
        source = variable.get("valueFrom") or {}
        if isinstance(source.get("fieldRef"), dict):
            source["fieldRef"].setdefault("apiVersion", "v1")
        if isinstance(source.get("resourceFieldRef"), dict):
            source["resourceFieldRef"].setdefault("divisor", "0")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(container.get(name), dict):
            _probe(container[name])
    for hook in _dicts((container.get("lifecycle") or {}).values()):
        _http_get(hook)


def _probe(probe: Object) -> None:
    _fill(probe, {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
    _http_get(probe)
    if isinstance(probe.get("grpc"), dict):
        probe["grpc"].setdefault("service", "")


def _http_get(handler: Object) -> None:
    if isinstance(handler.get("httpGet"), dict):
        _fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})


def _volume(volume: Object) -> None:
    if not (set(volume) - {"name"}):
        volume["emptyDir"] = {}
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        if isinstance(volume.get(name), dict):
            volume[name].setdefault("defaultMode", 420)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    sources = [volume.get("downwardAPI") or {}]
    for source in _dicts((volume.get("projected") or {}).get("sources")):
        if isinstance(source.get("serviceAccountToken"), dict):
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        sources.append(source.get("downwardAPI") or {})
    for downward in sources:
        for item in _dicts(downward.get("items")):
            if isinstance(item.get("fieldRef"), dict):
                item["fieldRef"].setdefault("apiVersion", "v1")


def _pod(pod: Object) -> None:
    spec = _spec(pod)
    pod_spec(spec)
    _fill(spec, {"enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority", "priority": 0})


def _template(spec: Object) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(_spec(template))


def _deployment(found: Object) -> None:
    spec = _spec(found)
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), {"maxUnavailable": "25%", "maxSurge": "25%"})
    _template(spec)


def _replica_set(found: Object) -> None:
    spec = _spec(found)
    spec.setdefault("replicas", 1)
    _template(spec)


def _stateful_set(found: Object) -> None:
    spec = _spec(found)
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"})
    strategy = spec.setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    _fill(spec.setdefault("persistentVolumeClaimRetentionPolicy", {}), kept)
    for claim in _dicts(spec.get("volumeClaimTemplates")):
        _fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
        _claim(claim)
        claim.setdefault("status", {"phase": "Pending"})
    _template(spec)


def _daemon_set(found: Object) -> None:
    spec = _spec(found)
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), {"maxSurge": 0, "maxUnavailable": 1})
    _template(spec)


def _job_spec(spec: Object) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    _fill(
        spec,
        {
            "parallelism": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "TerminatingOrFailed",
        },
    )
    _template(spec)


def _cron_job(found: Object) -> None:
    spec = _spec(found)
    _fill(
        spec,
        {
            "concurrencyPolicy": "Allow",
            "suspend": False,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
    )
    template = _spec(spec.setdefault("jobTemplate", {}))
    spec["jobTemplate"].setdefault("metadata", {})
    pod_spec(_spec(template.setdefault("template", {})))
    template["template"].setdefault("metadata", {})


def _service(found: Object) -> None:
    spec = _spec(found)
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    for port in _dicts(spec.get("ports")):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    if spec["sessionAffinity"] == "ClientIP":
        affinity = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        affinity.setdefault("timeoutSeconds", 10800)
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _claim(found: Object) -> None:
    _spec(found).setdefault("volumeMode", "Filesystem")


def _volume_object(found: Object) -> None:
    _fill(_spec(found), {"volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain"})
    host_path = _spec(found).get("hostPath")
    if isinstance(host_path, dict):
        host_path.setdefault("type", "")


def _secret(found: Object) -> None:
    found.setdefault("type", "Opaque")


def _namespace(found: Object) -> None:
    _spec(found).setdefault("finalizers", ["kubernetes"])
    labels = found["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = found["metadata"].get("name", "")


def _binding(found: Object) -> None:
    role = found.get("roleRef")
    if isinstance(role, dict) and not role.get("apiGroup"):
        role["apiGroup"] = "rbac.authorization.k8s.io"
    for subject in _dicts(found.get("subjects")):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _webhooks(found: Object) -> None:
    for webhook in _dicts(found.get("webhooks")):
        _fill(
            webhook,
            {
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "namespaceSelector": {},
                "objectSelector": {},
                "timeoutSeconds": 10,
            },
        )
        if found.get("kind") == "MutatingWebhookConfiguration":
            webhook.setdefault("reinvocationPolicy", "Never")
        service = (webhook.get("clientConfig") or {}).get("service")
        if isinstance(service, dict):
            service.setdefault("port", 443)
        for rule in _dicts(webhook.get("rules")):
            rule.setdefault("scope", "*")


def _endpoint_slice(found: Object) -> None:
    for port in _dicts(found.get("ports")):
        _fill(port, {"name": "", "protocol": "TCP"})


def _endpoints(found: Object) -> None:
    for subset in _dicts(found.get("subsets")):
        for port in _dicts(subset.get("ports")):
            port.setdefault("protocol", "TCP")


def _storage_class(found: Object) -> None:
    _fill(found, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


def _network_policy(found: Object) -> None:
    spec = _spec(found)
    egress = ["Egress"] if spec.get("egress") else []
    spec.setdefault("policyTypes", ["Ingress", *egress])
    for direction in ("ingress", "egress"):
        for rule in _dicts(spec.get(direction)):
            for port in _dicts(rule.get("ports")):
                port.setdefault("protocol", "TCP")


def _custom_definition(found: Object) -> None:
    spec = _spec(found)
    spec.setdefault("conversion", {"strategy": "None"})
    names = spec.setdefault("names", {})
    kind = str(names.get("kind", ""))
    _fill(names, {"singular": kind.lower(), "listKind": f"{kind}List"})


def _priority_class(found: Object) -> None:
    found.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _autoscaler(found: Object) -> None:
    _spec(found).setdefault("minReplicas", 1)


_FILLERS: Mapping[tuple[str, str], Callable[[Object], None]] = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "secrets"): _secret,
    ("", "namespaces"): _namespace,
    ("", "endpoints"): _endpoints,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume_object,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("apps", "statefulsets"): _stateful_set,
    ("apps", "daemonsets"): _daemon_set,
    ("batch", "jobs"): lambda found: _job_spec(_spec(found)),
    ("batch", "cronjobs"): _cron_job,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _webhooks,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _webhooks,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _custom_definition,
    ("discovery.k8s.io", "endpointslices"): _endpoint_slice,
    ("storage.k8s.io", "storageclasses"): _storage_class,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
}
