"""A manifest with a mistake is refused in the words of the real API server."""

# ruff: noqa: E501 - messages are easier to compare in one piece

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types import kinds
from pellucid.localkube.types.kinds import Resource
from tests.localkube.api.cluster import deployment, pod, resources_with_default_namespace

Object = dict[str, Any]
Changed = Callable[[Object], object]

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
NOT_A_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    f"'{LABEL}')"
)
NOT_A_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{LABEL}(\\.{LABEL})*')"
)
NOT_A_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
PORT_RANGE = "must be between 1 and 65535, inclusive"


@pytest.fixture
async def resources() -> Resources:
    return await resources_with_default_namespace()


async def refusal(resources: Resources, resource: Resource, manifest: Object) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await resources.create(resource, "default" if resource.namespaced else "", manifest)
    return refused.value


def service(**spec: Any) -> Object:
    return {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}], **spec}}


def job() -> Object:
    containers = [{"name": "c", "image": "b"}]
    template = {"spec": {"restartPolicy": "Never", "containers": containers}}
    return {"metadata": {"name": "x"}, "spec": {"template": template}}


def cron_job() -> Object:
    return {
        "metadata": {"name": "x"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job()["spec"]}},
    }


def ingress() -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "metadata": {"name": "x"},
        "spec": {"rules": [{"host": "example.com", "http": {"paths": [path]}}]},
    }


def claim() -> Object:
    resources = {"requests": {"storage": "1Gi"}}
    return {
        "metadata": {"name": "x"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources},
    }


def role() -> Object:
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    return {"metadata": {"name": "x"}, "rules": [rule]}


def binding() -> Object:
    return {
        "metadata": {"name": "x"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "a"}],
    }


def container(one: Object) -> Object:
    found: Object = one["spec"]["containers"][0]
    return found


def template(one: Object) -> Object:
    found: Object = one["spec"]["template"]
    return found


def path_of(one: Object) -> Object:
    found: Object = one["spec"]["rules"][0]["http"]["paths"][0]
    return found


POD_MISTAKES: list[tuple[Changed, str]] = [
    (
        lambda p: p["metadata"].update(name="Web_1"),
        f'metadata.name: Invalid value: "Web_1": {NOT_A_SUBDOMAIN}',
    ),
    (
        lambda p: p["metadata"].update(labels={"a": "b c"}),
        'metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of '
        "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
        "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
        "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ),
    (
        lambda p: p["metadata"].update(finalizers=["mine"]),
        'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it '
        "fully qualified",
    ),
    (lambda p: p["spec"].update(containers=[]), "spec.containers: Required value"),
    (lambda p: container(p).pop("image"), "spec.containers[0].image: Required value"),
    (lambda p: container(p).pop("name"), "spec.containers[0].name: Required value"),
    (lambda p: container(p).update(name="C"), f'spec.containers[0].name: Invalid value: "C": {NOT_A_LABEL}'),
    (
        lambda p: p["spec"]["containers"].append({"name": "c", "image": "b"}),
        'spec.containers[1].name: Duplicate value: "c"',
    ),
    (
        lambda p: container(p).update(image=" b"),
        'spec.containers[0].image: Invalid value: " b": must not have leading or trailing whitespace',
    ),
    (
        lambda p: container(p).update(imagePullPolicy="Sometimes"),
        'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", '
        '"IfNotPresent", "Never"',
    ),
    (
        lambda p: container(p).update(ports=[{"containerPort": 70000}]),
        f"spec.containers[0].ports[0].containerPort: Invalid value: 70000: {PORT_RANGE}",
    ),
    (
        lambda p: container(p).update(ports=[{"name": "x"}]),
        "spec.containers[0].ports[0].containerPort: Required value",
    ),
    (
        lambda p: container(p).update(ports=[{"containerPort": 1, "protocol": "tcp"}]),
        'spec.containers[0].ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
    ),
    (
        lambda p: container(p).update(ports=[{"containerPort": 1, "name": "a-name-too-long-x"}]),
        'spec.containers[0].ports[0].name: Invalid value: "a-name-too-long-x": must be no more than 15 characters',
    ),
    (
        lambda p: container(p).update(env=[{"name": "1 A"}]),
        'spec.containers[0].env[0].name: Invalid value: "1 A": a valid environment variable name must consist '
        "of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. "
        "'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is "
        "'[-._a-zA-Z][-._a-zA-Z0-9]*')",
    ),
    (
        lambda p: container(p).update(env=[{"name": "A", "valueFrom": {}}]),
        'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, '
        "`resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
    ),
    (
        lambda p: container(p).update(
            env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.x"}}}]
        ),
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "status.x": error converting '
        "fieldPath: field label not supported: status.x",
    ),
    (
        lambda p: container(p).update(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
        'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ),
    (
        lambda p: container(p).update(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    (
        lambda p: container(p).update(resources={"requests": {"memory": "-1Mi"}}),
        'spec.containers[0].resources.requests[memory]: Invalid value: "-1Mi": must be greater than or equal to 0',
    ),
    (
        lambda p: container(p).update(livenessProbe={"periodSeconds": 1}),
        "spec.containers[0].livenessProbe: Required value: must specify a handler type",
    ),
    (
        lambda p: container(p).update(readinessProbe={"httpGet": {"port": 0}}),
        f"spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: {PORT_RANGE}",
    ),
    (
        lambda p: p["spec"].update(volumes=[{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]),
        'spec.volumes[1].name: Duplicate value: "v"',
    ),
    (
        lambda p: p["spec"].update(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]),
        "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    ),
    (
        lambda p: p["spec"].update(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": ""}}]),
        "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
    ),
    (
        lambda p: p["spec"].update(restartPolicy="Maybe"),
        'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
    ),
    (
        lambda p: p["spec"].update(dnsPolicy="None"),
        "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
    ),
    (
        lambda p: p["spec"].update(tolerations=[{"operator": "Equal"}]),
        'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, '
        'which means "match all values and all keys"',
    ),
]


@pytest.mark.parametrize(("change", "said"), POD_MISTAKES, ids=[said[:70] for _, said in POD_MISTAKES])
async def test_pods(resources: Resources, change: Changed, said: str) -> None:
    manifest = pod("x")
    change(manifest)
    refused = await refusal(resources, kinds.PODS, manifest)
    assert refused.code == 422
    assert refused.message == f'Pod "{manifest["metadata"]["name"]}" is invalid: {said}'
    field, message = said.split(": ", 1)
    assert {"field": field, "message": message} == {
        key: value for key, value in refused.details["causes"][0].items() if key != "reason"
    }


MISTAKES: list[tuple[Resource, Object, Changed, str]] = [
    (
        kinds.DEPLOYMENTS,
        deployment("x"),
        lambda d: template(d)["metadata"].update(labels={"app": "a"}),
        'spec.template.metadata.labels: Invalid value: map[string]string{"app":"a"}: `selector` does not '
        "match template `labels`",
    ),
    (
        kinds.DEPLOYMENTS,
        deployment("x"),
        lambda d: d["spec"].pop("selector"),
        '[spec.selector: Required value, spec.template.metadata.labels: Invalid value: map[string]string{"app":'
        '"x"}: `selector` does not match template `labels`]',
    ),
    (
        kinds.DEPLOYMENTS,
        deployment("x"),
        lambda d: d["spec"].update(replicas=-1),
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        kinds.DEPLOYMENTS,
        deployment("x"),
        lambda d: d["spec"].update(strategy={"type": "Slow"}),
        'spec.strategy.type: Unsupported value: "Slow": supported values: "Recreate", "RollingUpdate"',
    ),
    (
        kinds.DEPLOYMENTS,
        deployment("x"),
        lambda d: d["spec"].update(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:0, IntVal:0, "
        'StrVal:""}: may not be 0 when `maxSurge` is 0',
    ),
    (
        kinds.DEPLOYMENTS,
        deployment("x"),
        lambda d: template(d)["spec"].update(restartPolicy="Never"),
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
    (
        kinds.DEPLOYMENTS,
        deployment("x"),
        lambda d: template(d)["spec"]["containers"][0].pop("image"),
        "spec.template.spec.containers[0].image: Required value",
    ),
    (kinds.SERVICES, service(), lambda s: s["spec"].pop("ports"), "spec.ports: Required value"),
    (
        kinds.SERVICES,
        service(),
        lambda s: s["metadata"].update(name="1st"),
        'metadata.name: Invalid value: "1st": a DNS-1035 label must consist of lower case alphanumeric '
        "characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. "
        "'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ),
    (
        kinds.SERVICES,
        service(ports=[{"port": 0}]),
        lambda _s: None,
        f"[spec.ports[0].port: Invalid value: 0: {PORT_RANGE}, spec.ports[0].targetPort: Invalid value: 0: "
        f"{PORT_RANGE}]",
    ),
    (
        kinds.SERVICES,
        service(ports=[{"port": 80, "name": "a"}, {"port": 81}]),
        lambda _s: None,
        "spec.ports[1].name: Required value",
    ),
    (
        kinds.SERVICES,
        service(ports=[{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]),
        lambda _s: None,
        'spec.ports[1]: Duplicate value: core.ServicePort{Name:"", Protocol:"TCP", AppProtocol:(*string)(nil), '
        'Port:80, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}',
    ),
    (
        kinds.SERVICES,
        service(type="Cluster"),
        lambda _s: None,
        'spec.type: Unsupported value: "Cluster": supported values: "ClusterIP", "ExternalName", '
        '"LoadBalancer", "NodePort"',
    ),
    (
        kinds.SERVICES,
        service(ports=[{"port": 80, "nodePort": 30000}]),
        lambda _s: None,
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    (
        kinds.SERVICES,
        service(type="NodePort", ports=[{"port": 80, "nodePort": 80}]),
        lambda _s: None,
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid "
        "ports is 30000-32767",
    ),
    (
        kinds.SERVICES,
        service(clusterIP="10.96"),
        lambda _s: None,
        'spec.clusterIPs[0]: Invalid value: "10.96": must be a valid IP address, (e.g. 10.9.8.7 or '
        "2001:db8::ffff)",
    ),
    (
        kinds.SERVICES,
        service(clusterIP="192.0.2.1"),
        lambda _s: None,
        'spec.clusterIPs: Invalid value: []string{"192.0.2.1"}: failed to allocate IP 192.0.2.1: the provided '
        "IP (192.0.2.1) is not in the valid range. The range of valid IPs is 10.96.0.0/16",
    ),
    (
        kinds.SERVICES,
        service(type="ExternalName"),
        lambda _s: None,
        "spec.externalName: Required value",
    ),
    (
        kinds.SERVICES,
        service(type="ExternalName", externalName="Not A Name"),
        lambda _s: None,
        f'spec.externalName: Invalid value: "Not A Name": {NOT_A_SUBDOMAIN}',
    ),
    (
        kinds.SERVICES,
        service(sessionAffinity="Cookie"),
        lambda _s: None,
        'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"',
    ),
    (
        kinds.SERVICES,
        service(ipFamilies=["IPv4", "IPv6"]),
        lambda _s: None,
        'spec.ipFamilyPolicy: Invalid value: "SingleStack": must be RequireDualStack or PreferDualStack when '
        "multiple 'ipFamilies' are specified",
    ),
    (
        kinds.SERVICES,
        service(externalTrafficPolicy="Local"),
        lambda _s: None,
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ),
    (
        kinds.CONFIG_MAPS,
        {"metadata": {"name": "x"}, "data": {"a key": ""}},
        lambda _c: None,
        f'data[a key]: Invalid value: "a key": {NOT_A_KEY}',
    ),
    (
        kinds.CONFIG_MAPS,
        {"metadata": {"name": "x"}, "data": {"a": "x" * 1024 * 1024 + "x"}},
        lambda _c: None,
        "[]: Too long: must have at most 1048576 bytes",
    ),
    (
        kinds.SECRETS,
        {"metadata": {"name": "x"}, "type": "kubernetes.io/tls"},
        lambda _s: None,
        "[data[tls.crt]: Required value, data[tls.key]: Required value]",
    ),
    (
        kinds.JOBS,
        job(),
        lambda j: template(j)["spec"].pop("restartPolicy"),
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ),
    (
        kinds.JOBS,
        job(),
        lambda j: j["spec"].update(backoffLimit=-1),
        "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        kinds.JOBS,
        job(),
        lambda j: j["spec"].update(completionMode="Indexed", parallelism=1),
        "spec.completions: Required value: when completion mode is Indexed",
    ),
    (
        kinds.CRON_JOBS,
        cron_job(),
        lambda c: c["spec"].update(schedule="often"),
        'spec.schedule: Invalid value: "often": expected exactly 5 fields, found 1: [often]',
    ),
    (
        kinds.CRON_JOBS,
        cron_job(),
        lambda c: c["spec"].update(schedule="99 * * * *"),
        'spec.schedule: Invalid value: "99 * * * *": end of range (99) above maximum (59): 99',
    ),
    (
        kinds.CRON_JOBS,
        cron_job(),
        lambda c: c["spec"].update(timeZone="Mars/Olympus"),
        'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus',
    ),
    (
        kinds.INGRESSES,
        ingress(),
        lambda i: path_of(i).pop("pathType"),
        "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
    ),
    (
        kinds.INGRESSES,
        ingress(),
        lambda i: path_of(i).update(pathType="Regex"),
        'spec.rules[0].http.paths[0].pathType: Unsupported value: "Regex": supported values: "Exact", '
        '"ImplementationSpecific", "Prefix"',
    ),
    (
        kinds.INGRESSES,
        ingress(),
        lambda i: path_of(i).update(path="web"),
        'spec.rules[0].http.paths[0].path: Invalid value: "web": must be an absolute path',
    ),
    (
        kinds.INGRESSES,
        ingress(),
        lambda i: path_of(i)["backend"]["service"].pop("port"),
        "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
    ),
    (
        kinds.INGRESSES,
        ingress(),
        lambda i: i["spec"]["rules"][0].update(host="192.0.2.1"),
        'spec.rules[0].host: Invalid value: "192.0.2.1": must be a DNS name, not an IP address',
    ),
    (
        kinds.INGRESSES,
        {"metadata": {"name": "x"}, "spec": {}},
        lambda _i: None,
        "spec: Invalid value: []networking.IngressRule(nil): either `defaultBackend` or `rules` must be specified",
    ),
    (
        kinds.PERSISTENT_VOLUME_CLAIMS,
        claim(),
        lambda c: c["spec"].pop("accessModes"),
        "spec.accessModes: Required value: at least 1 access mode is required",
    ),
    (
        kinds.PERSISTENT_VOLUME_CLAIMS,
        claim(),
        lambda c: c["spec"].update(accessModes=["Any"]),
        'spec.accessModes: Unsupported value: "Any": supported values: "ReadOnlyMany", "ReadWriteMany", '
        '"ReadWriteOnce", "ReadWriteOncePod"',
    ),
    (
        kinds.PERSISTENT_VOLUME_CLAIMS,
        claim(),
        lambda c: c["spec"].pop("resources"),
        "spec.resources[storage]: Required value",
    ),
    (
        kinds.PERSISTENT_VOLUME_CLAIMS,
        claim(),
        lambda c: c["spec"]["resources"]["requests"].update(storage="0"),
        'spec.resources[storage]: Invalid value: "0": must be greater than zero',
    ),
    (
        kinds.ROLES,
        role(),
        lambda r: r["rules"][0].pop("verbs"),
        "rules[0].verbs: Required value: verbs must contain at least one value",
    ),
    (
        kinds.ROLES,
        role(),
        lambda r: r["rules"][0].pop("apiGroups"),
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
    ),
    (
        kinds.ROLES,
        {"metadata": {"name": "x"}, "rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
        lambda _r: None,
        'rules[0].nonResourceURLs: Invalid value: []string{"/x"}: namespaced rules cannot apply to non-resource '
        "URLs",
    ),
    (
        kinds.ROLE_BINDINGS,
        binding(),
        lambda b: b["roleRef"].update(kind="Group"),
        'roleRef.kind: Unsupported value: "Group": supported values: "Role", "ClusterRole"',
    ),
    (
        kinds.ROLE_BINDINGS,
        binding(),
        lambda b: b["subjects"][0].update(kind="Robot"),
        'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
    ),
    (
        kinds.CLUSTER_ROLE_BINDINGS,
        binding(),
        lambda b: b["roleRef"].update(kind="ClusterRole"),
        "subjects[0].namespace: Required value",
    ),
]


@pytest.mark.parametrize(
    ("resource", "manifest", "change", "said"),
    MISTAKES,
    ids=[f"{resource.kind} {said[:60]}" for resource, _, _, said in MISTAKES],
)
async def test_other_kinds(
    resources: Resources, resource: Resource, manifest: Object, change: Changed, said: str
) -> None:
    wrong = copy.deepcopy(manifest)
    change(wrong)
    refused = await refusal(resources, resource, wrong)
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    assert refused.code == 422
    assert refused.message == f'{kind} "{wrong["metadata"]["name"]}" is invalid: {said}'


LATER: list[tuple[Resource, Object, Object, str]] = [
    (
        kinds.DEPLOYMENTS,
        deployment("x"),
        {
            "spec": {
                "selector": {"matchLabels": {"app": "y"}},
                "template": {"metadata": {"labels": {"app": "y"}}},
            }
        },
        'spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"app":"y"}, '
        "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable",
    ),
    (
        kinds.SERVICES,
        service(),
        {"spec": {"clusterIP": "10.96.1.1", "clusterIPs": ["10.96.1.1"]}},
        'spec.clusterIPs[0]: Invalid value: []string{"10.96.1.1"}: may not change once set',
    ),
    (
        kinds.CONFIG_MAPS,
        {"metadata": {"name": "x"}, "immutable": True},
        {"data": {"a": "b"}},
        "data: Forbidden: field is immutable when `immutable` is set",
    ),
    (
        kinds.SECRETS,
        {"metadata": {"name": "x"}},
        {"type": "example.com/other"},
        'type: Invalid value: "example.com/other": field is immutable',
    ),
    (
        kinds.JOBS,
        job(),
        {"spec": {"completions": 3}},
        "spec.completions: Invalid value: 3: field is immutable",
    ),
    (
        kinds.PERSISTENT_VOLUME_CLAIMS,
        claim(),
        {"spec": {"accessModes": ["ReadOnlyMany"]}},
        "spec: Forbidden: spec is immutable after creation except resources.requests and "
        "volumeAttributesClassName for bound claims",
    ),
    (
        kinds.ROLE_BINDINGS,
        binding(),
        {"roleRef": {"name": "other"}},
        'roleRef: Invalid value: rbac.RoleRef{APIGroup:"rbac.authorization.k8s.io", Kind:"Role", '
        'Name:"other"}: cannot change roleRef',
    ),
    (
        kinds.PODS,
        pod("x"),
        {"spec": {"restartPolicy": "Never"}},
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
        "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
        "previously negative)",
    ),
]


@pytest.mark.parametrize(
    ("resource", "manifest", "change", "said"), LATER, ids=[resource.kind for resource, *_ in LATER]
)
async def test_what_is_there_for_good_cannot_change(
    resources: Resources, resource: Resource, manifest: Object, change: Object, said: str
) -> None:
    await resources.create(resource, "default", copy.deepcopy(manifest))
    with pytest.raises(ApiError) as refused:
        await resources.patch(resource, "default", "x", change)
    assert refused.value.message.split(" is invalid: ", 1)[1] == said


async def test_a_claim_gets_its_class_and_volume_once(resources: Resources) -> None:
    claims = kinds.PERSISTENT_VOLUME_CLAIMS
    await resources.create(claims, "default", claim())
    bound = {"spec": {"storageClassName": "standard", "volumeName": "pvc-1"}}
    await resources.patch(claims, "default", "x", bound)
    for change in ({"storageClassName": "other"}, {"volumeName": "pvc-2"}):
        with pytest.raises(ApiError, match="spec is immutable after creation"):
            await resources.patch(claims, "default", "x", {"spec": change})


async def test_a_quantity_that_is_none_is_no_object_of_the_kind(resources: Resources) -> None:
    wrong = pod("x")
    container(wrong)["resources"] = {"limits": {"cpu": "much"}}
    refused = await refusal(resources, kinds.PODS, wrong)
    assert (refused.code, refused.message) == (
        400,
        'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    )


async def test_data_of_a_secret_is_base64(resources: Resources) -> None:
    wrong = {"metadata": {"name": "x"}, "data": {"a": "hello!"}}
    refused = await refusal(resources, kinds.SECRETS, wrong)
    assert refused.message == (
        'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 5'
    )


async def test_a_service_of_another_type_keeps_what_fits(resources: Resources) -> None:
    made = await resources.create(kinds.SERVICES, "default", service(type="NodePort"))
    assert made["spec"]["ports"][0]["nodePort"]
    plain = await resources.patch(kinds.SERVICES, "default", "x", {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in plain["spec"]["ports"][0]
    assert plain["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    outside = {"spec": {"type": "ExternalName", "externalName": "example.com"}}
    named = await resources.patch(kinds.SERVICES, "default", "x", outside)
    assert "clusterIP" not in named["spec"]
