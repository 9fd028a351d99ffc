"""What the chart makes: names that people know, no right too many, no container with more than it needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.chart import Rendered, render

WALKTHROUGH = {
    "global.enabled": True,
    "global.datacenter": "dc1",
    "global.image": "hashicorp/consul:1.10.0-alpha",
    "global.chartVersion": "0.31.0",
    "server.enabled": True,
    "server.replicas": 1,
    "server.bootstrapExpect": 1,
    "client.enabled": True,
    "client.grpc": True,
    "connectInject.enabled": True,
    "dns.enabled": True,
    "ui.enabled": True,
    "ui.service.type": "LoadBalancer",
}
EVERYTHING = {**WALKTHROUGH, "controller.enabled": True}
GOLDEN = Path(__file__).parent / "golden"


def pods(rendered: Rendered) -> Iterator[Any]:
    for (kind, _), each in rendered.objects.items():
        if kind == "Pod":
            yield each
        elif kind in ("Deployment", "StatefulSet", "Job"):
            yield each["spec"]["template"]


def injector_flags(rendered: Rendered) -> list[str]:
    deployment = rendered["Deployment", "consul-consul-connect-injector-webhook-deployment"]
    command: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["command"]
    return command


@pytest.mark.parametrize(("name", "values"), [("walkthrough", WALKTHROUGH), ("controller", EVERYTHING)])
def test_what_is_made_is_as_it_was(name: str, values: dict[str, Any], refresh_golden: bool) -> None:
    rendered = render(values)
    parts = [
        each
        for (kind, _), each in sorted(rendered.objects.items())
        if kind != "CustomResourceDefinition"
        and (name == "walkthrough" or "controller" in each["metadata"]["name"])
    ]
    text = yaml.safe_dump_all(parts, sort_keys=False, width=100)
    file = GOLDEN / f"{name}.yaml"
    if refresh_golden:
        file.write_text(text)
    assert text == file.read_text()


def test_names_are_those_that_people_know() -> None:
    assert set(render(WALKTHROUGH).names()) >= {
        "StatefulSet consul-consul-server",
        "Service consul-consul-server",
        "Service consul-consul-ui",
        "Service consul-consul-dns",
        "Deployment consul-consul-connect-injector-webhook-deployment",
        "Service consul-consul-connect-injector-svc",
        "MutatingWebhookConfiguration consul-consul-connect-injector-cfg",
        "ConfigMap consul-consul-server-config",
        "Pod consul-consul-test",
    }


@pytest.mark.parametrize(
    ("values", "fullname"),
    [
        ({}, "demo-consul"),
        ({"nameOverride": "mesh"}, "demo-mesh"),
        ({"global.name": "mesh"}, "mesh"),
        ({"fullnameOverride": "whole", "global.name": "mesh"}, "whole"),
        ({"global.name": "x" * 70}, "x" * 63),
    ],
)
def test_the_full_name_is_made_as_consul_helm_makes_it(values: dict[str, Any], fullname: str) -> None:
    assert f"StatefulSet {fullname}-server" in render(values, release="demo").names()


def test_the_walkthroughs_generation_redirects_only_who_asks() -> None:
    inject = {"connectInject.enabled": True}
    off, on = (f"-default-enable-transparent-proxy={value}" for value in ("false", "true"))
    assert off in injector_flags(render(WALKTHROUGH))
    assert off in injector_flags(render(inject, {"global.chartVersion": "0.31.1"}))
    assert off in injector_flags(render(inject, {"global.image": "hashicorp/consul:1.10.0-alpha"}))
    assert on in injector_flags(render(inject))
    chosen = {"connectInject.transparentProxy.defaultEnabled": True}
    assert on in injector_flags(render(WALKTHROUGH, chosen))


def test_every_pod_gives_up_what_it_does_not_need() -> None:
    for pod in pods(render(EVERYTHING)):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_no_pod_of_the_meshs_own_waits_for_the_injector() -> None:
    rendered = render(EVERYTHING)
    (webhook,) = rendered["MutatingWebhookConfiguration", "consul-consul-connect-injector-cfg"]["webhooks"]
    assert webhook["failurePolicy"] == "Fail"
    (expression,) = webhook["objectSelector"]["matchExpressions"]
    assert (expression["operator"], expression["key"]) == ("NotIn", "app")
    for pod in pods(rendered):
        assert pod["metadata"]["labels"]["app"] in expression["values"]
        assert pod["metadata"]["annotations"]["consul.hashicorp.com/connect-inject"] == "false"


def test_roles_hold_these_rights_and_no_other() -> None:
    rendered = render(EVERYTHING)
    rights = {
        f"{kind} {name}": sorted(
            f"{','.join(rule['verbs'])} {'/'.join((rule['apiGroups'][0], *rule['resources'])).lstrip('/')}"
            + (f" {','.join(rule['resourceNames'])}" if "resourceNames" in rule else "")
            for rule in each["rules"]
            if rule["apiGroups"] != ["consul.hashicorp.com"]
        )
        for (kind, name), each in rendered.objects.items()
        if kind in ("Role", "ClusterRole")
    }
    assert not [line for lines in rights.values() for line in lines if "*" in line]
    server, injector, controller = (
        "consul-consul-server",
        "consul-consul-connect-injector",
        "consul-consul-controller",
    )
    assert rights[f"ClusterRole {server}"] == ["create authentication.k8s.io/tokenreviews"]
    assert rights[f"Role {server}"] == ["create configmaps", "get,patch configmaps consul-consul-server-ca"]
    for name, secret in (
        (injector, "consul-consul-connect-inject-webhook-cert"),
        (controller, "consul-consul-controller-webhook-cert"),
    ):
        assert rights[f"Role {name}"] == [
            "create coordination.k8s.io/leases",
            "create secrets",
            f"get,update coordination.k8s.io/leases {name}",
            f"get,update secrets {secret}",
        ]
    assert rights[f"ClusterRole {controller}"] == [
        "create,patch events",
        "get,patch admissionregistration.k8s.io/mutatingwebhookconfigurations"
        " consul-consul-controller-mutating-webhook-configuration",
    ]


def test_https_only_leaves_plain_http_to_the_servers_own_pod() -> None:
    rendered = render(WALKTHROUGH, {"global.tls.enabled": True})
    config = json.loads(rendered["ConfigMap", "consul-consul-server-config"]["data"]["server.json"])
    assert config["addresses"] == {"http": "127.0.0.1"}
    for service in ("consul-consul-server", "consul-consul-ui"):
        names = [port["name"] for port in rendered["Service", service]["spec"]["ports"]]
        assert "https" in names
        assert "http" not in names


def test_an_ingress_leads_to_the_page() -> None:
    values = {"ui.ingress.enabled": True, "ui.ingress.hosts": [{"host": "mesh.example", "paths": ["/ui"]}]}
    (rule,) = render(values)["Ingress", "consul-consul-ingress"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (rule["host"], path["path"]) == ("mesh.example", "/ui")
    assert path["backend"]["service"] == {"name": "consul-consul-ui", "port": {"number": 80}}


def test_the_notes_say_what_to_type() -> None:
    notes = render(WALKTHROUGH, namespace="mesh").notes
    assert "kubectl port-forward -n mesh consul-consul-server-0 8500:8500" in notes
    assert "connect-inject" in notes
