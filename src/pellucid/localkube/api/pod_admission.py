"""What the built-in admission adds to a new pod: its service account's token, and its tolerations.

Source: Kubernetes docs, "Admission Controllers" - ServiceAccount, DefaultTolerationSeconds, Priority.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.status import forbidden
from pellucid.localkube.types.kinds import PODS

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105
TOKEN_SECONDS = 3607
SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def admit_pod(
    pod: Object,
    service_account: Callable[[str], Object | None],
    priority_class: Callable[[str], Object | None],
    suffix: Callable[[], str],
) -> Object:
    """The pod with what is added to every pod. The given one must be a deep copy.

    Raises ApiError 403 if its service account or priority class does not exist.
    """
    meta, spec = pod["metadata"], pod.setdefault("spec", {})
    name = meta.get("generateName") or meta.get("name", "")
    account_name = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = account_name
    account = service_account(account_name)
    if account is None:
        why = f"error looking up service account {meta['namespace']}/{account_name}: "
        raise forbidden(PODS, name, f'{why}serviceaccount "{account_name}" not found')
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = list(account["imagePullSecrets"])
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
    if wanted:
        _mount_token(spec, suffix)
    _tolerate(spec)
    _prioritize(spec, name, priority_class)
    return pod


def without_native_sidecars(pod: Object) -> Object:
    """The pod as servers before 1.29 keep it: what they do not know of is dropped.

    Source: Kubernetes docs, "Sidecar Containers" - with the feature off the field is ignored.
    """
    spec = pod.get("spec") or {}
    plain = [
        {name: value for name, value in one.items() if name != "restartPolicy"}
        for one in spec.get("initContainers") or ()
    ]
    return {**pod, "spec": {**spec, "initContainers": plain}} if plain else pod


def _mount_token(spec: Object, suffix: Callable[[], str]) -> None:
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    lacking = [
        one
        for one in containers
        if not any(mount.get("mountPath") == TOKEN_PATH for mount in one.get("volumeMounts") or ())
    ]
    if not lacking:
        return
    name = f"kube-api-access-{suffix()}"
    spec.setdefault("volumes", []).append({"name": name, "projected": _token_sources()})
    for container in lacking:
        mounts = container.setdefault("volumeMounts", [])
        mounts.append({"name": name, "readOnly": True, "mountPath": TOKEN_PATH})


def _token_sources() -> Object:
    certificate = {"key": "ca.crt", "path": "ca.crt"}
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [certificate]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
    }


def _tolerate(spec: Object) -> None:
    tolerations = spec.setdefault("tolerations", [])
    for state in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{state}"
        if any(_covers(toleration, key) for toleration in tolerations):
            continue
        tolerations.append(
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        )


def _covers(toleration: Object, key: str) -> bool:
    return bool(toleration.get("key", key) == key and toleration.get("effect", "NoExecute") == "NoExecute")


def _prioritize(spec: Object, name: str, priority_class: Callable[[str], Object | None]) -> None:
    wanted = spec.get("priorityClassName")
    if not wanted:
        return
    found = priority_class(wanted)
    value = SYSTEM_PRIORITIES.get(wanted) if found is None else found["value"]
    if value is None:
        raise forbidden(PODS, name, f"no PriorityClass with name {wanted} was found")
    spec["priority"] = value
    spec["preemptionPolicy"] = (found or {}).get("preemptionPolicy", "PreemptLowerPriority")
