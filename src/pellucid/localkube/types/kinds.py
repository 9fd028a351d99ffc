"""The table of built-in kinds, and what the API says of each in discovery.

Source: Kubernetes API reference 1.30 and the API conventions (sig-architecture).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Subresource(msgspec.Struct, frozen=True):
    """A path below an object, and the kind it speaks."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = "v1"


STATUS_VERBS = ("get", "patch", "update")


class Resource(msgspec.Struct, frozen=True):
    """One kind as the API serves it, in one version."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    status: bool = False
    """Has a `status` subresource: main writes leave status alone."""
    generation: bool = False
    """Counts changes of its intent in metadata.generation."""
    subresources: tuple[Subresource, ...] = ()
    stated_list_kind: str = ""
    custom: bool = False
    """Defined by a CustomResourceDefinition."""
    selectable: tuple[str, ...] = ()
    """Fields that a field selector may name, besides those of every kind and of the built-in ones."""
    converted: bool = False
    """Objects stored in another version are converted by a webhook, not merely shown as this one."""

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """As errors name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular_name(self) -> str:
        """`pod`."""
        return self.singular or self.kind.lower()

    @property
    def list_kind(self) -> str:
        """`PodList`."""
        return self.stated_list_kind or f"{self.kind}List"

    @property
    def stored(self) -> tuple[str, str]:
        """What its objects are kept under, whatever the version: group and plural."""
        return (self.group, self.plural)

    def all_subresources(self) -> tuple[Subresource, ...]:
        """Its subresources, `status` included."""
        if not self.status:
            return self.subresources
        return (
            Subresource("status", self.kind, STATUS_VERBS, self.group, self.version),
            *self.subresources,
        )


def _scale() -> Subresource:
    return Subresource("scale", "Scale", STATUS_VERBS, "autoscaling", "v1")


def _stream(name: str, kind: str) -> Subresource:
    return Subresource(name, kind, ("create", "get"))


_ALL = ("all",)

NAMESPACES = Resource(
    "",
    "v1",
    "namespaces",
    "Namespace",
    False,
    short_names=("ns",),
    status=True,
    subresources=(Subresource("finalize", "Namespace", ("update",)),),
)
PODS = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    short_names=("po",),
    categories=_ALL,
    status=True,
    generation=True,
    subresources=(
        Subresource("log", "Pod", ("get",)),
        _stream("exec", "PodExecOptions"),
        _stream("attach", "PodAttachOptions"),
        _stream("portforward", "PodPortForwardOptions"),
        Subresource("binding", "Binding", ("create",)),
        Subresource("eviction", "Eviction", ("create",), "policy", "v1"),
    ),
)
SERVICES = Resource("", "v1", "services", "Service", short_names=("svc",), categories=_ALL, status=True)
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints", singular="endpoints", short_names=("ep",))
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Resource(
    "",
    "v1",
    "serviceaccounts",
    "ServiceAccount",
    short_names=("sa",),
    subresources=(Subresource("token", "TokenRequest", ("create",), "authentication.k8s.io"),),
)
NODES = Resource("", "v1", "nodes", "Node", False, short_names=("no",), status=True)
EVENTS = Resource("", "v1", "events", "Event", short_names=("ev",))
PERSISTENT_VOLUME_CLAIMS = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short_names=("pvc",), status=True
)
PERSISTENT_VOLUMES = Resource(
    "", "v1", "persistentvolumes", "PersistentVolume", False, short_names=("pv",), status=True
)
DEPLOYMENTS = Resource(
    "apps",
    "v1",
    "deployments",
    "Deployment",
    short_names=("deploy",),
    categories=_ALL,
    status=True,
    generation=True,
    subresources=(_scale(),),
)
REPLICA_SETS = Resource(
    "apps",
    "v1",
    "replicasets",
    "ReplicaSet",
    short_names=("rs",),
    categories=_ALL,
    status=True,
    generation=True,
    subresources=(_scale(),),
)
STATEFUL_SETS = Resource(
    "apps",
    "v1",
    "statefulsets",
    "StatefulSet",
    short_names=("sts",),
    categories=_ALL,
    status=True,
    generation=True,
    subresources=(_scale(),),
)
DAEMON_SETS = Resource(
    "apps",
    "v1",
    "daemonsets",
    "DaemonSet",
    short_names=("ds",),
    categories=_ALL,
    status=True,
    generation=True,
)
CONTROLLER_REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
JOBS = Resource("batch", "v1", "jobs", "Job", categories=_ALL, status=True, generation=True)
CRON_JOBS = Resource(
    "batch",
    "v1",
    "cronjobs",
    "CronJob",
    short_names=("cj",),
    categories=_ALL,
    status=True,
    generation=True,
)
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", generation=True)
HORIZONTAL_POD_AUTOSCALERS = Resource(
    "autoscaling",
    "v2",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    short_names=("hpa",),
    categories=_ALL,
    status=True,
)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False
)
MUTATING_WEBHOOK_CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    False,
    categories=("api-extensions",),
    generation=True,
)
VALIDATING_WEBHOOK_CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    False,
    categories=("api-extensions",),
    generation=True,
)
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    status=True,
    generation=True,
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
POD_DISRUPTION_BUDGETS = Resource(
    "policy",
    "v1",
    "poddisruptionbudgets",
    "PodDisruptionBudget",
    short_names=("pdb",),
    status=True,
    generation=True,
)
POD_DISRUPTION_BUDGETS_V1BETA1 = msgspec.structs.replace(POD_DISRUPTION_BUDGETS, version="v1beta1")
"""Dropped by Kubernetes 1.25; served on, because charts of that age still create it."""
INGRESSES = Resource(
    "networking.k8s.io",
    "v1",
    "ingresses",
    "Ingress",
    short_names=("ing",),
    status=True,
    generation=True,
)
INGRESS_CLASSES = Resource(
    "networking.k8s.io", "v1", "ingressclasses", "IngressClass", False, generation=True
)
NETWORK_POLICIES = Resource(
    "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short_names=("netpol",), generation=True
)
PRIORITY_CLASSES = Resource(
    "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False, short_names=("pc",), generation=True
)
STORAGE_CLASSES = Resource(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", False, short_names=("sc",)
)

_CREATE_ONLY = ("create",)
TOKEN_REQUESTS = Resource("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest", verbs=_CREATE_ONLY)
"""Served only as a subresource of service accounts."""
TOKEN_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False, verbs=_CREATE_ONLY
)
SELF_SUBJECT_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False, verbs=_CREATE_ONLY
)
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False, verbs=_CREATE_ONLY
)
LOCAL_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "localsubjectaccessreviews",
    "LocalSubjectAccessReview",
    verbs=_CREATE_ONLY,
)
SELF_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    False,
    verbs=_CREATE_ONLY,
)
SELF_SUBJECT_RULES_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectrulesreviews",
    "SelfSubjectRulesReview",
    False,
    verbs=_CREATE_ONLY,
)

BUILT_IN: tuple[Resource, ...] = (
    NAMESPACES,
    PODS,
    SERVICES,
    ENDPOINTS,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    NODES,
    EVENTS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    CONTROLLER_REVISIONS,
    TOKEN_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    HORIZONTAL_POD_AUTOSCALERS,
    JOBS,
    CRON_JOBS,
    INGRESSES,
    INGRESS_CLASSES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    POD_DISRUPTION_BUDGETS_V1BETA1,
    ROLES,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLE_BINDINGS,
    STORAGE_CLASSES,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    CUSTOM_RESOURCE_DEFINITIONS,
    PRIORITY_CLASSES,
    LEASES,
    ENDPOINT_SLICES,
)
"""In the order discovery lists groups, the preferred version of a group first."""

_BY_PLURAL: Mapping[tuple[str, str, str], Resource] = {(r.group, r.version, r.plural): r for r in BUILT_IN}
_PREFERRED: Mapping[tuple[str, str], Resource] = {r.stored: r for r in reversed(BUILT_IN)}


def resource_of(group: str, plural: str, version: str = "") -> Resource | None:
    """The built-in resource of this name, in its preferred version unless told; None if there is none."""
    if version:
        return _BY_PLURAL.get((group, version, plural))
    return _PREFERRED.get((group, plural))


def custom_resources(definition: Mapping[str, Any]) -> tuple[Resource, ...]:
    """The resources a CustomResourceDefinition serves once it is established, one per served version."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    if not any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
        return ()
    spec = definition["spec"]
    names = spec["names"]
    served = [version for version in spec["versions"] if version.get("served")]
    return tuple(
        Resource(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            spec["scope"] == "Namespaced",
            singular=names.get("singular", ""),
            short_names=tuple(names.get("shortNames", ())),
            categories=tuple(names.get("categories", ())),
            status="status" in version.get("subresources", {}),
            generation=True,
            subresources=(_scale(),) if "scale" in version.get("subresources", {}) else (),
            stated_list_kind=names.get("listKind", ""),
            custom=True,
            selectable=tuple(one["jsonPath"].strip(".") for one in version.get("selectableFields", ())),
            converted=(spec.get("conversion") or {}).get("strategy") == "Webhook",
        )
        for version in served
    )
