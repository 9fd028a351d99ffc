"""Every kind goes through its life with the official Python client: made, read, listed, watched, changed, deleted."""

# ruff: noqa: E501 - manifests on one line are easier to compare

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from pellucid.localkube.types import kinds
from tests.localkube.http.served import serve

client: Any = pytest.importorskip("kubernetes.client")
config: Any = pytest.importorskip("kubernetes.config")
dynamic: Any = pytest.importorskip("kubernetes.dynamic")

Object = dict[str, Any]

TEMPLATE = "{metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: b}]}}"
WORKLOAD = f"{{selector: {{matchLabels: {{app: x}}}}, template: {TEMPLATE}}}"
ONCE = "{metadata: {labels: {app: x}}, spec: {restartPolicy: Never, containers: [{name: c, image: b}]}}"
HOOKS = "webhooks: [{name: w.example.com, clientConfig: {url: https://127.0.0.1:1/}, sideEffects: None, admissionReviewVersions: [v1], rules: []}]"

MANIFESTS = f"""
- {{kind: Namespace, apiVersion: v1}}
- {{kind: Pod, apiVersion: v1, spec: {{containers: [{{name: c, image: b}}]}}}}
- {{kind: Service, apiVersion: v1, spec: {{ports: [{{port: 80}}]}}}}
- {{kind: Endpoints, apiVersion: v1, subsets: [{{addresses: [{{ip: 10.0.0.1}}], ports: [{{port: 80}}]}}]}}
- {{kind: ConfigMap, apiVersion: v1, data: {{a: b}}}}
- {{kind: Secret, apiVersion: v1, stringData: {{a: b}}}}
- {{kind: ServiceAccount, apiVersion: v1}}
- {{kind: Node, apiVersion: v1}}
- {{kind: Event, apiVersion: v1, involvedObject: {{kind: Pod, name: p, namespace: default}}, reason: Test, message: m, type: Normal}}
- {{kind: PersistentVolumeClaim, apiVersion: v1, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}
- {{kind: PersistentVolume, apiVersion: v1, spec: {{capacity: {{storage: 1Gi}}, accessModes: [ReadWriteOnce], hostPath: {{path: /v}}}}}}
- {{kind: Deployment, apiVersion: apps/v1, spec: {WORKLOAD}}}
- {{kind: ReplicaSet, apiVersion: apps/v1, spec: {WORKLOAD}}}
- {{kind: StatefulSet, apiVersion: apps/v1, spec: {WORKLOAD.replace("{selector", "{serviceName: x, selector", 1)}}}
- {{kind: DaemonSet, apiVersion: apps/v1, spec: {WORKLOAD}}}
- {{kind: ControllerRevision, apiVersion: apps/v1, revision: 1, data: {{a: b}}}}
- {{kind: Job, apiVersion: batch/v1, spec: {{template: {ONCE}}}}}
- {{kind: CronJob, apiVersion: batch/v1, spec: {{schedule: "* * * * *", jobTemplate: {{spec: {{template: {ONCE}}}}}}}}}
- {{kind: HorizontalPodAutoscaler, apiVersion: autoscaling/v2, spec: {{maxReplicas: 3, scaleTargetRef: {{kind: Deployment, name: d, apiVersion: apps/v1}}}}}}
- {{kind: Role, apiVersion: rbac.authorization.k8s.io/v1, rules: [{{verbs: [get], apiGroups: [""], resources: [pods]}}]}}
- {{kind: ClusterRole, apiVersion: rbac.authorization.k8s.io/v1, rules: [{{verbs: [get], nonResourceURLs: [/x]}}]}}
- {{kind: RoleBinding, apiVersion: rbac.authorization.k8s.io/v1, roleRef: {{kind: ClusterRole, name: view, apiGroup: rbac.authorization.k8s.io}}}}
- {{kind: ClusterRoleBinding, apiVersion: rbac.authorization.k8s.io/v1, roleRef: {{kind: ClusterRole, name: view, apiGroup: rbac.authorization.k8s.io}}}}
- {{kind: MutatingWebhookConfiguration, apiVersion: admissionregistration.k8s.io/v1, {HOOKS}}}
- {{kind: ValidatingWebhookConfiguration, apiVersion: admissionregistration.k8s.io/v1, {HOOKS}}}
- {{kind: Lease, apiVersion: coordination.k8s.io/v1, spec: {{holderIdentity: me}}}}
- {{kind: PodDisruptionBudget, apiVersion: policy/v1, spec: {{minAvailable: 1, selector: {{matchLabels: {{app: x}}}}}}}}
- {{kind: Ingress, apiVersion: networking.k8s.io/v1, spec: {{defaultBackend: {{service: {{name: x, port: {{number: 80}}}}}}}}}}
- {{kind: IngressClass, apiVersion: networking.k8s.io/v1, spec: {{controller: example.com/c}}}}
- {{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, spec: {{podSelector: {{}}}}}}
- {{kind: PriorityClass, apiVersion: scheduling.k8s.io/v1, value: 7}}
- {{kind: StorageClass, apiVersion: storage.k8s.io/v1, provisioner: example.com/p}}
- {{kind: EndpointSlice, apiVersion: discovery.k8s.io/v1, addressType: IPv4, endpoints: [{{addresses: [10.0.0.1]}}], ports: [{{port: 80}}]}}
"""

ALL: list[Object] = yaml.safe_load(MANIFESTS)


def test_no_kind_is_left_out() -> None:
    stored = {one.kind for one in kinds.BUILT_IN if "list" in one.verbs}
    assert stored - {one["kind"] for one in ALL} == {"CustomResourceDefinition"}


@pytest.mark.parametrize("manifest", ALL, ids=lambda manifest: manifest["kind"])
async def test_a_kind_goes_through_its_life(tmp_path: Path, manifest: Object) -> None:
    served = await serve(tmp_path)

    def live() -> None:
        api = dynamic.DynamicClient(config.new_client_from_config(str(served.kubeconfig)))
        kind = api.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        place = {"namespace": "default"} if kind.namespaced else {}
        body = {**manifest, "metadata": {"name": "thing", "labels": {"part": "test"}}}

        made = kind.create(body=body, **place)
        assert made.metadata.uid
        assert (made.kind, made.apiVersion) == (manifest["kind"], manifest["apiVersion"])

        read = kind.get(name="thing", **place)
        assert read.to_dict() == made.to_dict()
        listed = kind.get(label_selector="part=test", **place)
        assert [one.metadata.name for one in listed.items] == ["thing"]
        assert listed.kind == f"{manifest['kind']}List"

        for content_type in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
            change = {"metadata": {"annotations": {"example.com/by": content_type}}}
            patched = kind.patch(body=change, name="thing", content_type=content_type, **place)
            assert patched.metadata.annotations["example.com/by"] == content_type

        replacement = kind.get(name="thing", **place).to_dict()
        replacement["metadata"]["labels"]["replaced"] = "yes"
        assert kind.replace(body=replacement, **place).metadata.labels["replaced"] == "yes"
        with pytest.raises(dynamic.exceptions.ConflictError):
            kind.replace(body=read.to_dict(), **place)

        applied = {**body, "metadata": {"name": "thing", "labels": {"applied": "yes"}}}
        answer = kind.server_side_apply(
            body=applied, name="thing", field_manager="test", force_conflicts=True, **place
        )
        assert answer.metadata.labels["applied"] == "yes"

        since = listed.metadata.resourceVersion
        watching = kind.watch(resource_version=since, timeout=10, **place)
        assert [next(watching)["type"] for _ in range(4)] == ["MODIFIED"] * 4

        kind.delete(name="thing", body={"gracePeriodSeconds": 0}, **place)
        if manifest["kind"] != "Namespace":
            assert next(watching)["type"] == "DELETED"
            with pytest.raises(dynamic.exceptions.NotFoundError):
                kind.get(name="thing", **place)
            for name in ("one", "two"):
                kind.create(body={**body, "metadata": {"name": name, "labels": {"many": "yes"}}}, **place)
            kind.delete(label_selector="many=yes", **place)
            assert not kind.get(label_selector="many=yes", **place).items

    try:
        await asyncio.to_thread(live)
    finally:
        await served.close()


@pytest.mark.parametrize(
    "kind",
    [
        "resourcequotas",
        "limitranges",
        "validatingadmissionpolicies",
        "podtemplates",
        "replicationcontrollers",
        "apiservices",
    ],
)
async def test_a_kind_that_is_not_served_is_not_pretended(tmp_path: Path, kind: str) -> None:
    served = await serve(tmp_path)
    code, _, errors = await served.try_kubectl("get", kind)
    assert code == 1
    assert errors.strip() == f'error: the server doesn\'t have a resource type "{kind}"'
    await served.close()
