"""What people type, with the real kubectl."""

from __future__ import annotations

import asyncio
import json

import msgspec

from pellucid.localkube.types.kinds import DEPLOYMENTS
from tests.localkube.api.cluster import deployment
from tests.localkube.http.served import Served

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 8080, name: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: example.com/web:1
        ports: [{containerPort: 8080}]
        env:
        - name: HOST_IP
          valueFrom: {fieldRef: {fieldPath: status.hostIP}}
"""

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1}
              colour: {type: string, enum: [red, blue], default: red}
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
"""


async def test_apply_makes_then_leaves_alone_then_changes(served: Served) -> None:
    assert await served.kubectl("apply", "-f", "-", stdin=WEB) == (
        "service/web created\ndeployment.apps/web created\n"
    )
    assert await served.kubectl("apply", "-f", "-", stdin=WEB) == (
        "service/web unchanged\ndeployment.apps/web unchanged\n"
    )
    scaled = WEB.replace("replicas: 2", "replicas: 5")
    assert "deployment.apps/web configured" in await served.kubectl("apply", "-f", "-", stdin=scaled)
    assert await served.kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "5"


async def test_server_side_apply_takes_no_field_of_another(served: Served) -> None:
    await served.kubectl("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=WEB)
    again = await served.kubectl("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=WEB)
    assert "deployment.apps/web serverside-applied" in again
    other = WEB.replace("web:1", "web:2")
    arguments = ("apply", "--server-side", "--field-manager=two", "-f", "-")
    code, _, errors = await served.try_kubectl(*arguments, stdin=other)
    assert code == 1
    assert 'conflict with "one"' in errors
    assert '.spec.template.spec.containers[name="web"].image' in errors
    await served.kubectl(*arguments, "--force-conflicts", stdin=other)


async def test_a_field_no_longer_applied_goes(served: Served) -> None:
    await served.kubectl("apply", "--server-side", "-f", "-", stdin=WEB)
    fewer = WEB.replace(", labels: {app: web}}\nspec:\n  replicas", "}\nspec:\n  replicas")
    await served.kubectl("apply", "--server-side", "-f", "-", stdin=fewer)
    assert await served.kubectl("get", "deploy", "web", "-o", "jsonpath={.metadata.labels}") == ""


async def test_get_prints_the_columns_of_each_kind(served: Served) -> None:
    await served.kubectl("apply", "-f", "-", stdin=WEB)
    lines = (await served.kubectl("get", "deploy,svc", "-o", "wide")).splitlines()
    assert lines[0].split() == (
        ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    )
    assert lines[1].split()[1:4] == ["0/2", "0", "0"]
    assert lines[3].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
    assert "8080/TCP" in lines[4]


async def test_patch_merges_containers_by_name(served: Served) -> None:
    await served.kubectl("apply", "-f", "-", stdin=WEB)
    annotations = {"metadata": {"annotations": {"example.com/inject": "true"}}}
    patch = {"spec": {"template": {**annotations, "spec": {"containers": [{"name": "web", "image": "b"}]}}}}
    assert await served.kubectl("patch", "deployment", "web", "-p", json.dumps(patch)) == (
        "deployment.apps/web patched\n"
    )
    found = await served.resources.get(DEPLOYMENTS, "default", "web")
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["ports"][0]["containerPort"]) == ("b", 8080)
    assert found["spec"]["template"]["metadata"]["annotations"] == {"example.com/inject": "true"}


async def test_imperative_commands_send_protobuf_and_are_understood(served: Served) -> None:
    await served.kubectl("create", "deployment", "d", "--image=nginx", "--replicas=3", "--port=80")
    await served.kubectl("create", "configmap", "c", "--from-literal=a=b")
    await served.kubectl("create", "secret", "generic", "s", "--from-literal=p=q")
    await served.kubectl("create", "namespace", "n")
    await served.kubectl("create", "role", "r", "--verb=get,list", "--resource=pods,deployments.apps")
    await served.kubectl("create", "rolebinding", "rb", "--role=r", "--user=someone")
    await served.kubectl("create", "job", "j", "--image=busybox", "--", "echo", "hi")
    await served.kubectl("create", "cronjob", "cj", "--image=busybox", "--schedule=*/5 * * * *")
    await served.kubectl("create", "service", "clusterip", "svc", "--tcp=80:8080")
    await served.kubectl("create", "ingress", "i", "--rule=example.com/*=svc:80")
    found = await served.resources.get(DEPLOYMENTS, "default", "d")
    assert found["spec"]["replicas"] == 3
    assert found["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] == 80
    assert await served.kubectl("get", "secret", "s", "-o", "jsonpath={.data.p}") == "cQ=="
    assert await served.kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert "admin" in await served.kubectl("auth", "whoami")


async def test_a_mistake_in_a_manifest_is_named(served: Served) -> None:
    wrong = WEB.replace("replicas: 2", "replicaz: 2")
    code, _, errors = await served.try_kubectl("apply", "-f", "-", stdin=wrong)
    assert code == 1
    assert 'strict decoding error: unknown field "spec.replicaz"' in errors
    mismatch = WEB.replace("metadata: {labels: {app: web}}", "metadata: {labels: {app: other}}")
    _, _, errors = await served.try_kubectl("apply", "-f", "-", stdin=mismatch)
    assert 'The Deployment "web" is invalid: spec.template.metadata.labels: Invalid value' in errors
    assert "`selector` does not match template `labels`" in errors


async def test_a_watch_shows_what_happens_next(served: Served) -> None:
    from tests.localkube.http.served import kubectl_program

    process = await asyncio.create_subprocess_exec(
        kubectl_program(),
        f"--kubeconfig={served.kubeconfig}",
        "get",
        "deployments",
        "-w",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await served.resources.create(DEPLOYMENTS, "default", deployment("d", replicas=3))
    lines = [await process.stdout.readline(), await process.stdout.readline()]
    await served.resources.patch(DEPLOYMENTS, "default", "d", {"spec": {"replicas": 4}})
    lines.append(await process.stdout.readline())
    process.terminate()
    await process.wait()
    assert lines[0].split()[0] == b"NAME"
    assert [line.split()[1] for line in lines[1:]] == [b"0/3", b"0/4"]


async def test_wait_and_delete_see_the_end(served: Served) -> None:
    await served.kubectl("apply", "-f", "-", stdin=WEB)
    await served.kubectl("wait", "--for=jsonpath={.spec.replicas}=2", "deploy/web", "--timeout=5s")
    assert "deleted" in await served.kubectl("delete", "-f", "-", stdin=WEB)
    assert await served.kubectl("get", "deploy", "-o", "name") == ""


async def test_explain_describes_fields(served: Served) -> None:
    text = await served.kubectl("explain", "deployment.spec.strategy")
    assert "FIELD: strategy <DeploymentStrategy>" in text
    assert "rollingUpdate" in text


async def test_scale_and_dry_run_and_diff(served: Served) -> None:
    await served.kubectl("apply", "-f", "-", stdin=WEB)
    await served.kubectl("scale", "deployment/web", "--replicas=7")
    assert await served.kubectl("get", "deploy/web", "-o", "jsonpath={.spec.replicas}") == "7"
    await served.kubectl("create", "configmap", "c", "--dry-run=server")
    assert await served.kubectl("get", "configmaps", "-o", "name") == ""
    code, differences, _ = await served.try_kubectl("diff", "-f", "-", stdin=WEB)
    assert code == 1
    assert "-  replicas: 7" in differences
    assert "+  replicas: 2" in differences


async def test_a_custom_kind_is_served_validated_defaulted_and_printed(served: Served) -> None:
    await served.kubectl("apply", "-f", "-", stdin=WIDGETS)
    await served.kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=5s")
    widget = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {size: 3}}"
    assert await served.kubectl("apply", "-f", "-", stdin=widget) == "widget.example.com/w created\n"
    assert (await served.kubectl("get", "wd")).splitlines()[1].split() == ["w", "3"]
    assert await served.kubectl("get", "wd", "w", "-o", "jsonpath={.spec.colour}") == "red"
    code, _, errors = await served.try_kubectl("apply", "-f", "-", stdin=widget.replace("3", "0"))
    assert code == 1
    assert "spec.size in body should be greater than or equal to 1" in errors
    await served.kubectl("delete", "crd", "widgets.example.com")
    code, _, errors = await served.try_kubectl("get", "widgets")
    assert "the server could not find the requested resource" in errors


async def test_a_service_account_may_do_what_its_role_says(served: Served) -> None:
    token = (await served.kubectl("create", "token", "default")).strip()
    config = msgspec.json.decode(served.kubeconfig.read_bytes())
    config["users"][0]["user"] = {"token": token}
    served.kubeconfig.write_bytes(msgspec.json.encode(config))
    code, _, errors = await served.try_kubectl("get", "pods")
    assert code == 1
    assert (
        'pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API '
        'group "" in the namespace "default"'
    ) in errors
