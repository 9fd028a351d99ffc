"""Field numbers of the messages clients send as protobuf, one line per message.

`number name kind`; kinds: string (if not said), int, bool, with `?` kept when zero; bytes; another message;
`[]kind` a list; `map:kind`; `inline:message`, whose fields stand in the outer one.
Source: generated.proto files of k8s.io/api and k8s.io/apimachinery 1.33.
"""

from __future__ import annotations

from collections.abc import Mapping

_TEXT = """
ObjectMeta: 1 name, 2 generateName, 3 namespace, 5 uid, 6 resourceVersion, 7 generation int, 8 creationTimestamp Time, 9 deletionTimestamp Time, 10 deletionGracePeriodSeconds int?, 11 labels map:string, 12 annotations map:string, 13 ownerReferences []OwnerReference, 14 finalizers []string
OwnerReference: 1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller bool?, 7 blockOwnerDeletion bool?
LabelSelector: 1 matchLabels map:string, 2 matchExpressions []Expression
Expression: 1 key, 2 operator, 3 values []string
DeleteOptions: 1 gracePeriodSeconds int?, 2 preconditions Preconditions, 3 orphanDependents bool?, 4 propagationPolicy, 5 dryRun []string
Preconditions: 1 uid, 2 resourceVersion
Namespace: 1 metadata ObjectMeta, 2 spec NamespaceSpec
NamespaceSpec: 1 finalizers []string
ConfigMap: 1 metadata ObjectMeta, 2 data map:string, 3 binaryData map:bytes, 4 immutable bool?
Secret: 1 metadata ObjectMeta, 2 data map:bytes, 3 type, 4 stringData map:string, 5 immutable bool?
ServiceAccount: 1 metadata ObjectMeta, 2 secrets []ObjectReference, 3 imagePullSecrets []LocalObjectReference, 4 automountServiceAccountToken bool?
ObjectReference: 1 kind, 2 namespace, 3 name, 4 uid, 5 apiVersion, 6 resourceVersion, 7 fieldPath
LocalObjectReference: 1 name
Event: 1 metadata ObjectMeta, 2 involvedObject ObjectReference, 3 reason, 4 message, 5 source EventSource, 6 firstTimestamp Time, 7 lastTimestamp Time, 8 count int, 9 type, 14 reportingComponent, 15 reportingInstance
EventSource: 1 component, 2 host
Service: 1 metadata ObjectMeta, 2 spec ServiceSpec
ServiceSpec: 1 ports []ServicePort, 2 selector map:string, 3 clusterIP, 4 type, 5 externalIPs []string, 7 sessionAffinity, 8 loadBalancerIP, 9 loadBalancerSourceRanges []string, 10 externalName, 11 externalTrafficPolicy, 12 healthCheckNodePort int, 13 publishNotReadyAddresses bool, 17 ipFamilyPolicy, 18 clusterIPs []string, 19 ipFamilies []string, 20 allocateLoadBalancerNodePorts bool?, 21 loadBalancerClass, 22 internalTrafficPolicy, 23 trafficDistribution
ServicePort: 1 name, 2 protocol, 3 port int, 4 targetPort IntOrString, 5 nodePort int, 6 appProtocol
Pod: 1 metadata ObjectMeta, 2 spec PodSpec
PodTemplateSpec: 1 metadata ObjectMeta, 2 spec PodSpec
PodSpec: 2 containers []Container, 3 restartPolicy, 4 terminationGracePeriodSeconds int?, 5 activeDeadlineSeconds int?, 6 dnsPolicy, 7 nodeSelector map:string, 8 serviceAccountName, 9 serviceAccount, 10 nodeName, 11 hostNetwork bool, 12 hostPID bool, 13 hostIPC bool, 15 imagePullSecrets []LocalObjectReference, 16 hostname, 17 subdomain, 19 schedulerName, 20 initContainers []Container, 21 automountServiceAccountToken bool?, 24 priorityClassName, 25 priority int?, 27 shareProcessNamespace bool?, 30 enableServiceLinks bool?
Container: 1 name, 2 image, 3 command []string, 4 args []string, 5 workingDir, 6 ports []ContainerPort, 7 env []EnvVar, 8 resources ResourceRequirements, 9 volumeMounts []VolumeMount, 13 terminationMessagePath, 14 imagePullPolicy, 16 stdin bool, 17 stdinOnce bool, 18 tty bool, 20 terminationMessagePolicy, 24 restartPolicy
ContainerPort: 1 name, 2 hostPort int, 3 containerPort int, 4 protocol, 5 hostIP
EnvVar: 1 name, 2 value
ResourceRequirements: 1 limits map:Quantity, 2 requests map:Quantity
VolumeMount: 1 name, 2 readOnly bool, 3 mountPath, 4 subPath
Deployment: 1 metadata ObjectMeta, 2 spec DeploymentSpec
DeploymentSpec: 1 replicas int?, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy DeploymentStrategy, 5 minReadySeconds int, 6 revisionHistoryLimit int?, 7 paused bool, 9 progressDeadlineSeconds int?
DeploymentStrategy: 1 type, 2 rollingUpdate RollingUpdate
RollingUpdate: 1 maxUnavailable IntOrString, 2 maxSurge IntOrString
Job: 1 metadata ObjectMeta, 2 spec JobSpec
JobSpec: 1 parallelism int?, 2 completions int?, 3 activeDeadlineSeconds int?, 4 selector LabelSelector, 5 manualSelector bool?, 6 template PodTemplateSpec, 7 backoffLimit int?, 8 ttlSecondsAfterFinished int?, 9 completionMode, 10 suspend bool?
CronJob: 1 metadata ObjectMeta, 2 spec CronJobSpec
CronJobSpec: 1 schedule, 2 startingDeadlineSeconds int?, 3 concurrencyPolicy, 4 suspend bool?, 5 jobTemplate JobTemplateSpec, 6 successfulJobsHistoryLimit int?, 7 failedJobsHistoryLimit int?, 8 timeZone
JobTemplateSpec: 1 metadata ObjectMeta, 2 spec JobSpec
Role: 1 metadata ObjectMeta, 2 rules []PolicyRule
ClusterRole: 1 metadata ObjectMeta, 2 rules []PolicyRule, 3 aggregationRule AggregationRule
AggregationRule: 1 clusterRoleSelectors []LabelSelector
PolicyRule: 1 verbs []string, 2 apiGroups []string, 3 resources []string, 4 resourceNames []string, 5 nonResourceURLs []string
RoleBinding: 1 metadata ObjectMeta, 2 subjects []Subject, 3 roleRef RoleRef
ClusterRoleBinding: 1 metadata ObjectMeta, 2 subjects []Subject, 3 roleRef RoleRef
Subject: 1 kind, 2 apiGroup, 3 name, 4 namespace
RoleRef: 1 apiGroup, 2 kind, 3 name
Ingress: 1 metadata ObjectMeta, 2 spec IngressSpec
IngressSpec: 1 defaultBackend IngressBackend, 2 tls []IngressTLS, 3 rules []IngressRule, 4 ingressClassName
IngressTLS: 1 hosts []string, 2 secretName
IngressRule: 1 host, 2 ingressRuleValue inline:IngressRuleValue
IngressRuleValue: 1 http HTTPIngressRuleValue
HTTPIngressRuleValue: 1 paths []HTTPIngressPath
HTTPIngressPath: 1 path, 2 backend IngressBackend, 3 pathType
IngressBackend: 3 resource LocalReference, 4 service IngressServiceBackend
LocalReference: 1 apiGroup, 2 kind, 3 name
IngressServiceBackend: 1 name, 2 port ServiceBackendPort
ServiceBackendPort: 1 name, 2 number int
PodDisruptionBudget: 1 metadata ObjectMeta, 2 spec PodDisruptionBudgetSpec
PodDisruptionBudgetSpec: 1 minAvailable IntOrString, 2 selector LabelSelector, 3 maxUnavailable IntOrString, 4 unhealthyPodEvictionPolicy
Eviction: 1 metadata ObjectMeta, 2 deleteOptions DeleteOptions
HorizontalPodAutoscaler: 1 metadata ObjectMeta, 2 spec HorizontalPodAutoscalerSpec
HorizontalPodAutoscalerSpec: 1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas int?, 3 maxReplicas int, 4 metrics []MetricSpec
CrossVersionObjectReference: 1 kind, 2 name, 3 apiVersion
MetricSpec: 1 type, 4 resource ResourceMetricSource
ResourceMetricSource: 1 name, 2 target MetricTarget
MetricTarget: 1 type, 2 value Quantity, 3 averageValue Quantity, 4 averageUtilization int?
PriorityClass: 1 metadata ObjectMeta, 2 value int?, 3 globalDefault bool, 4 description, 5 preemptionPolicy
TokenRequest: 1 metadata ObjectMeta, 2 spec TokenRequestSpec
TokenRequestSpec: 1 audiences []string, 3 boundObjectRef BoundObjectReference, 4 expirationSeconds int?
BoundObjectReference: 1 kind, 2 apiVersion, 3 name, 4 uid
SelfSubjectAccessReview: 1 metadata ObjectMeta, 2 spec SubjectAccessReviewSpec
SubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes
ResourceAttributes: 1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name
NonResourceAttributes: 1 path, 2 verb
SelfSubjectRulesReview: 1 metadata ObjectMeta, 2 spec SelfSubjectRulesReviewSpec
SelfSubjectRulesReviewSpec: 1 namespace
SelfSubjectReview: 1 metadata ObjectMeta
Lease: 1 metadata ObjectMeta, 2 spec LeaseSpec
LeaseSpec: 1 holderIdentity, 2 leaseDurationSeconds int?, 3 acquireTime Time, 4 renewTime Time, 5 leaseTransitions int?
"""  # noqa: E501

Fields = Mapping[int, tuple[str, str]]


def _read(line: str) -> tuple[str, Fields]:
    message, _, listed = line.partition(": ")
    fields: dict[int, tuple[str, str]] = {}
    for entry in listed.split(", "):
        number, name, *kind = entry.split(" ")
        fields[int(number)] = (name, kind[0] if kind else "string")
    return message, fields


MESSAGES: Mapping[str, Fields] = dict(_read(line) for line in _TEXT.strip().splitlines())
"""Message -> field number -> JSON name and kind."""

_OF_AN_OBJECT = ("metadata", "ObjectMeta")
TOP_LEVEL = frozenset(
    name for name, fields in MESSAGES.items() if fields.get(1) == _OF_AN_OBJECT or name == "DeleteOptions"
)
"""The messages that are bodies of their own."""
