"""More of what people type: every generator, and the commands that look, compare and wait."""

# ruff: noqa: E501 - commands are easier to read in one piece

from __future__ import annotations

import shlex

import pytest

from pellucid.localkube.types.kinds import BUILT_IN, DEPLOYMENTS, JOBS
from tests.localkube.http.served import Served

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 8080}]}]}
"""


@pytest.fixture
async def served(served: Served) -> Served:
    await served.kubectl("apply", "-f", "-", stdin=WEB)
    return served


async def run(served: Served, line: str) -> str:
    return await served.kubectl(*shlex.split(line))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("create clusterrole c --verb=get --resource=pods --resource-name=a", "clusterrole.rbac.authorization.k8s.io/c created"),
        ("create clusterrole c --aggregation-rule=a=b", "clusterrole.rbac.authorization.k8s.io/c created"),
        ("create clusterrolebinding c --clusterrole=view --group=g", "clusterrolebinding.rbac.authorization.k8s.io/c created"),
        ("create configmap c --from-literal=a=b", "configmap/c created"),
        ("create cronjob c --image=b --schedule='@hourly' -- date", "cronjob.batch/c created"),
        ("create deployment d --image=b --replicas=2 --port=80 -- sleep 1", "deployment.apps/d created"),
        ("create ingress i --class=c --rule=example.com/a*=svc:http,tls=t", "ingress.networking.k8s.io/i created"),
        ("create job j --image=b -- date", "job.batch/j created"),
        ("create namespace n", "namespace/n created"),
        ("create poddisruptionbudget p --selector=a=b --min-available=1", "poddisruptionbudget.policy/p created"),
        ("create poddisruptionbudget p --selector=a=b --max-unavailable=50%", "poddisruptionbudget.policy/p created"),
        ("create priorityclass p --value=5 --description=d", "priorityclass.scheduling.k8s.io/p created"),
        ("create role r --verb=get,list --resource=deployments.apps,pods/log", "role.rbac.authorization.k8s.io/r created"),
        ("create rolebinding r --clusterrole=view --serviceaccount=default:default", "rolebinding.rbac.authorization.k8s.io/r created"),
        ("create secret docker-registry s --docker-username=u --docker-password=p", "secret/s created"),
        ("create secret generic s --from-literal=a=b", "secret/s created"),
        ("create service clusterip s --tcp=80:8080", "service/s created"),
        ("create service clusterip s --clusterip=None", "service/s created"),
        ("create service externalname s --external-name=example.com", "service/s created"),
        ("create service loadbalancer s --tcp=80", "service/s created"),
        ("create service nodeport s --tcp=80 --node-port=30080", "service/s created"),
        ("create serviceaccount s", "serviceaccount/s created"),
        ("run p --image=b --env=A=b --port=80 --labels=a=b --restart=Never", "pod/p created"),
        ("expose deployment web --port=80 --target-port=8080 --type=NodePort", "service/web exposed"),
        ("autoscale deployment web --min=1 --max=3", "horizontalpodautoscaler.autoscaling/web autoscaled"),
        ("label deployment web a=b", "deployment.apps/web labeled"),
        ("label deployment web app-", "deployment.apps/web unlabeled"),
        ("annotate deployment web a=b", "deployment.apps/web annotated"),
        ("scale deployment web --replicas=3 --current-replicas=2", "deployment.apps/web scaled"),
        ("set image deployment web web=web:2", "deployment.apps/web image updated"),
        ("set env deployment web A=b", "deployment.apps/web env updated"),
        ("set resources deployment web --limits=cpu=1,memory=64Mi", "deployment.apps/web resource requirements updated"),
        ("set serviceaccount deployment web default", "deployment.apps/web serviceaccount updated"),
        ("rollout pause deployment web", "deployment.apps/web paused"),
        ("rollout restart deployment web", "deployment.apps/web restarted"),
        ("patch deployment web --type=json -p='[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":5}]'", "deployment.apps/web patched"),
        ("patch deployment web --subresource=status --type=merge -p='{\"status\":{\"replicas\":2}}'", "deployment.apps/web patched"),
        ("delete deployment web --cascade=orphan --wait=false", 'deployment.apps "web" deleted from default namespace'),
        ("taint node none a=b:NoSchedule --dry-run=client", ""),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
async def test_commands_that_change(served: Served, line: str, said: str) -> None:
    if not said:
        _, _, errors = await served.try_kubectl(*shlex.split(line))
        assert 'nodes "none" not found' in errors
        return
    assert (await run(served, line)).strip() == said


async def test_a_job_from_a_cron_job(served: Served) -> None:
    await run(served, "create cronjob c --image=b --schedule='@hourly' -- date")
    await run(served, "create job j --from=cronjob/c")
    job = await served.resources.get(JOBS, "default", "j")
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"


async def test_diff_shows_what_would_change_and_stores_nothing(served: Served) -> None:
    code, output, _ = await served.try_kubectl("diff", "-f", "-", stdin=WEB)
    assert (code, output) == (0, "")
    code, output, errors = await served.try_kubectl("diff", "-f", "-", stdin=WEB.replace("web:1", "web:2"))
    assert code == 1, errors
    changed = [line.split() for line in output.splitlines() if "image:" in line]
    assert changed == [["-", "-", "image:", "web:1"], ["+", "-", "image:", "web:2"]]
    found = await served.resources.get(DEPLOYMENTS, "default", "web")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"


async def test_server_side_diff_of_what_is_the_same_is_empty(served: Served) -> None:
    assert await served.kubectl("diff", "--server-side", "-f", "-", stdin=WEB) == ""


async def test_a_scale_is_printed_as_such(served: Served) -> None:
    lines = (await run(served, "get deployment web --subresource=scale")).splitlines()
    assert lines[0].split() == ["NAME", "DESIRED", "AVAILABLE", "AGE"]
    assert lines[1].split()[:3] == ["web", "2", "0"]


async def test_a_token_lasts_at_least_ten_minutes(served: Served) -> None:
    _, _, errors = await served.try_kubectl("create", "token", "default", "--duration=5m")
    assert errors.strip() == (
        'error: failed to create token: TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: '
        "Invalid value: 300: may not specify a duration less than 10 minutes"
    )


async def test_roles_are_reconciled(served: Served) -> None:
    roles = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r, namespace: default}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""
    await served.kubectl("auth", "reconcile", "-f", "-", stdin=roles)
    more = roles.replace("[get]", "[get, list]")
    _, _, told = await served.try_kubectl("auth", "reconcile", "-f", "-", stdin=more)
    assert "missing rules added:\n\t\t{Verbs:[list] APIGroups:[] Resources:[pods]" in told


async def test_an_editor_changes_an_object(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_EDITOR", "sed -i s/web:1/web:9/")
    assert await run(served, "edit deployment web") == "deployment.apps/web edited\n"
    found = await served.resources.get(DEPLOYMENTS, "default", "web")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:9"


async def test_apply_with_prune_and_view_last_applied(served: Served) -> None:
    assert "image: web:1" in await run(served, "apply view-last-applied deployment web")
    told = await served.kubectl(
        "apply",
        "--prune",
        "-l",
        "app=web",
        "-f",
        "-",
        "--prune-allowlist=apps/v1/Deployment",
        stdin=WEB.replace("web", "site").replace("app: site", "app: web"),
    )
    assert "deployment.apps/web pruned" in told


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("pods.spec.containers.livenessProbe.httpGet", "FIELD: httpGet <HTTPGetAction>"),
        ("deployment.spec.strategy.rollingUpdate.maxSurge", "FIELD: maxSurge <IntOrString>"),
        ("ingress.spec.rules.http.paths.backend.service", "FIELD: service <IngressServiceBackend>"),
        ("crd.spec.versions.schema", "FIELD: schema <CustomResourceValidation>"),
        ("pvc.spec.resources.requests", "FIELD: requests <map[string]Quantity>"),
    ],
)
async def test_explain_leads_to_nested_fields(served: Served, what: str, said: str) -> None:
    assert said in await run(served, f"explain {what}")


@pytest.mark.parametrize("resource", [one.name for one in BUILT_IN if "list" in one.verbs])
async def test_every_kind_can_be_listed_in_every_form(served: Served, resource: str) -> None:
    for form in ("wide", "name", "yaml", "json"):
        await run(served, f"get {resource} -A -o {form}")


async def test_waiting(served: Served) -> None:
    code, _, errors = await served.try_kubectl(
        "wait", "deployment/web", "--for=condition=Available", "--timeout=200ms"
    )
    assert code == 1
    assert "timed out waiting for the condition on deployments/web" in errors
    conditions = [{"type": "Available", "status": "True"}]
    status = {"status": {"conditions": conditions, "replicas": 2}}
    await served.resources.patch(DEPLOYMENTS, "default", "web", status, subresource="status")
    assert "condition met" in await run(served, "wait deployment/web --for=condition=Available")
    assert "condition met" in await run(served, "wait deployment/web --for=jsonpath='{.status.replicas}'=2")
    assert "created" not in await run(served, "wait deployment/none --for=delete")


async def test_cluster_information(served: Served) -> None:
    assert "Kubernetes control plane" in await run(served, "cluster-info")
    assert "deployments" in await run(served, "api-resources --namespaced=true --verbs=list -o name")
    assert "apps/v1" in await run(served, "api-versions")
    assert await run(served, "get --raw /readyz") == "ok"
    assert "Name:" in await run(served, "describe deployment web")
    assert "Name:" in await run(served, "describe namespace default")


async def test_a_debug_container_is_refused_as_where_there_are_none(served: Served) -> None:
    await run(served, "run p --image=b")
    _, _, errors = await served.try_kubectl("debug", "p", "--image=b")
    assert "ephemeral containers are disabled for this cluster" in errors


async def test_draining_and_cordoning_a_node(served: Served) -> None:
    node = '{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1"}}'
    pod = """
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: kept}}
spec: {nodeName: node-1, containers: [{name: c, image: b}]}
"""
    budget = '{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"b"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"kept"}}}}'
    for manifest in (node, pod, budget):
        await served.kubectl("create", "-f", "-", stdin=manifest)
    running = '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}'
    await run(served, f"patch pod p --subresource=status --type=merge -p='{running}'")
    counted = '{"status":{"observedGeneration":1,"desiredHealthy":1,"currentHealthy":1,"expectedPods":1,"disruptionsAllowed":0}}'
    await run(served, f"patch pdb b --subresource=status --type=merge -p='{counted}'")
    code, _, errors = await served.try_kubectl("drain", "node-1", "--force", "--timeout=1s")
    assert code == 1
    assert (
        'error when evicting pods/"p" -n "default" (will retry after 5s): Cannot evict pod as it would violate the pod\'s disruption budget.'
        in errors
    )
    assert "SchedulingDisabled" in await run(served, "get node node-1")
    assert await run(served, "uncordon node-1") == "node/node-1 uncordoned\n"
    await run(served, "delete pdb b")
    await run(served, "label pod p kept-")
    drained = await served.kubectl(
        "drain", "node-1", "--force", "--disable-eviction=false", "--grace-period=0"
    )
    assert "node/node-1 drained" in drained
