"""Namespaces, service accounts, endpoints, owners and scheduling, each with the others running."""

from __future__ import annotations

import base64
from typing import Any

from pellucid.localkube.controllers.reading import condition
from pellucid.localkube.types.kinds import (
    CONFIG_MAPS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from tests.localkube.controllers.cluster import (
    AUTHORITY,
    BROKEN_IMAGE,
    OF_THE_API,
    Object,
    cluster,
    pod_template,
)


def pod(name: str, image: str = "app:1", **spec: Any) -> Object:
    template = pod_template(image, **spec)
    labels = template["metadata"]["labels"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": template["spec"],
    }


def service(**spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


WEB_PORT = {"ports": [{"name": "web", "containerPort": 8080}]}


async def test_every_namespace_gets_a_service_account_and_the_clusters_certificates() -> None:
    async with cluster() as running:
        await running.create(NAMESPACES, {"metadata": {"name": "shop"}})
        await running.until(
            SERVICE_ACCOUNTS, lambda items: [i["metadata"]["name"] for i in items] == ["default"], "shop"
        )
        [published] = await running.until(CONFIG_MAPS, bool, "shop")
        assert published["metadata"]["name"] == "kube-root-ca.crt"
        assert published["data"] == {"ca.crt": AUTHORITY}


async def test_a_service_account_has_a_lasting_token_in_a_secret_that_it_lists() -> None:
    async with cluster() as running:
        [account] = await running.until(SERVICE_ACCOUNTS, lambda items: bool(items[0].get("secrets")))
        [listed] = account["secrets"]
        secret = await running.resources.get(SECRETS, "default", listed["name"])
        assert secret["type"] == "kubernetes.io/service-account-token"
        assert base64.b64decode(secret["data"]["token"]) == b"token of default/default"
        assert base64.b64decode(secret["data"]["ca.crt"]).decode() == AUTHORITY


async def test_a_secret_that_asks_for_an_accounts_token_gets_it() -> None:
    async with cluster() as running:
        annotations = {"kubernetes.io/service-account.name": "default"}
        asking = {"name": "mine", "annotations": annotations}
        kind = "kubernetes.io/service-account-token"
        await running.create(SECRETS, {"metadata": asking, "type": kind})
        await running.until(
            SECRETS,
            lambda items: any(
                item["metadata"]["name"] == "mine" and "token" in (item.get("data") or {}) for item in items
            ),
        )


async def test_a_deleted_service_account_of_a_namespace_comes_back() -> None:
    async with cluster() as running:
        [first] = await running.until(SERVICE_ACCOUNTS, bool)
        await running.resources.delete(SERVICE_ACCOUNTS, "default", "default")
        await running.until(
            SERVICE_ACCOUNTS,
            lambda items: bool(items) and items[0]["metadata"]["uid"] != first["metadata"]["uid"],
        )


async def test_a_deleted_namespace_takes_its_contents_with_it() -> None:
    async with cluster() as running:
        await running.create(NAMESPACES, {"metadata": {"name": "shop"}})
        await running.until(SERVICE_ACCOUNTS, bool, "shop")
        await running.create(PODS, pod("a"), "shop")
        await running.create(CONFIG_MAPS, {"metadata": {"name": "settings"}, "data": {}}, "shop")
        await running.resources.delete(NAMESPACES, "", "shop")
        await running.until(NAMESPACES, lambda items: "shop" not in [i["metadata"]["name"] for i in items])
        for resource in (SERVICE_ACCOUNTS, PODS, CONFIG_MAPS):
            assert await running.resources.list(resource, "shop") == ()


async def test_a_namespace_waits_for_finalizers_of_its_contents() -> None:
    async with cluster() as running:
        await running.create(NAMESPACES, {"metadata": {"name": "shop"}})
        held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}, "data": {}}
        await running.create(CONFIG_MAPS, held, "shop")
        await running.resources.delete(NAMESPACES, "", "shop")

        def told(items: list[Object]) -> bool:
            shop = next(item for item in items if item["metadata"]["name"] == "shop")
            remaining = condition(shop, "NamespaceContentRemaining")
            return remaining is not None and "ConfigMap has 1" in remaining["message"]

        await running.until(NAMESPACES, told)
        await running.resources.patch(CONFIG_MAPS, "shop", "held", {"metadata": {"finalizers": None}})
        await running.until(NAMESPACES, lambda items: "shop" not in [i["metadata"]["name"] for i in items])


async def test_an_object_goes_when_the_last_of_its_owners_is_gone() -> None:
    async with cluster() as running:
        owners = [
            await running.create(CONFIG_MAPS, {"metadata": {"name": name}, "data": {}})
            for name in ("one", "two")
        ]
        references = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": o["metadata"]["name"],
                "uid": o["metadata"]["uid"],
            }
            for o in owners
        ]
        await running.create(CONFIG_MAPS, {"metadata": {"name": "child", "ownerReferences": references}})
        await running.resources.delete(CONFIG_MAPS, "default", "one")
        await running.create(PODS, pod("a"))
        await running.until(PODS, lambda pods: any(p.get("status", {}).get("podIP") for p in pods))
        assert running.resources.peek(CONFIG_MAPS, "default", "child") is not None
        await running.resources.delete(CONFIG_MAPS, "default", "two")
        await running.until(CONFIG_MAPS, lambda items: "child" not in [i["metadata"]["name"] for i in items])


async def test_a_services_ready_pods_become_its_endpoints_with_named_ports_resolved() -> None:
    async with cluster() as running:
        await running.create(SERVICES, service())
        await running.create(PODS, pod("a", container=WEB_PORT))
        await running.create(PODS, pod("b", BROKEN_IMAGE, container=WEB_PORT))
        [found] = await running.until(
            ENDPOINTS,
            lambda items: (
                bool(items)
                and any(
                    s.get("addresses") and s.get("notReadyAddresses") for s in items[0].get("subsets") or ()
                )
            ),
        )
        [subset] = found["subsets"]
        assert [one["targetRef"]["name"] for one in subset["addresses"]] == ["a"]
        assert [one["targetRef"]["name"] for one in subset["notReadyAddresses"]] == ["b"]
        assert [(one["name"], one["port"]) for one in subset["ports"]] == [("http", 8080)]
        [made] = await running.until(
            ENDPOINT_SLICES, lambda items: bool(items) and len(items[0]["endpoints"] or ()) == 2
        )
        assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
        assert {e["targetRef"]["name"]: e["conditions"]["ready"] for e in made["endpoints"]} == {
            "a": True,
            "b": False,
        }


async def test_a_service_that_publishes_pods_that_are_not_ready_has_them_as_ready() -> None:
    async with cluster() as running:
        await running.create(SERVICES, service(publishNotReadyAddresses=True))
        await running.create(PODS, pod("b", BROKEN_IMAGE, container=WEB_PORT))
        await running.until(
            ENDPOINTS,
            lambda items: bool(items) and any(s.get("addresses") for s in items[0].get("subsets") or ()),
        )


async def test_endpoints_go_with_their_service() -> None:
    async with cluster() as running:
        await running.create(SERVICES, service())
        await running.until(ENDPOINTS, bool)
        await running.until(ENDPOINT_SLICES, bool)
        await running.resources.delete(SERVICES, "default", "web")
        await running.until(ENDPOINTS, lambda items: not items)
        await running.until(ENDPOINT_SLICES, lambda items: not items)


async def test_pods_are_spread_over_nodes_and_go_where_their_selector_says() -> None:
    async with cluster(nodes=2) as running:
        template = pod_template()
        replica_set = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": "web"},
            "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        }
        await running.create(REPLICA_SETS, replica_set)
        pods = await running.until(
            PODS, lambda pods: len(pods) == 4 and all(p["spec"].get("nodeName") for p in pods)
        )
        places = [item["spec"]["nodeName"] for item in pods]
        assert (places.count("node-0"), places.count("node-1")) == (2, 2)
        chosen = pod("chosen", app="other", nodeSelector={"kubernetes.io/hostname": "node-1"})
        await running.create(PODS, chosen)
        await running.until(
            PODS,
            lambda pods: any(
                p["metadata"]["name"] == "chosen" and p["spec"].get("nodeName") == "node-1" for p in pods
            ),
        )


async def test_a_pod_that_fits_nowhere_says_why_and_is_placed_when_it_fits() -> None:
    async with cluster() as running:
        await running.create(PODS, pod("picky", nodeSelector={"disk": "fast"}))
        await running.until(
            EVENTS,
            lambda events: any(
                event["message"]
                == "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
                for event in events
            ),
        )
        await running.resources.patch(NODES, "", "node-0", {"metadata": {"labels": {"disk": "fast"}}})
        await running.until(PODS, lambda pods: pods[0]["spec"].get("nodeName") == "node-0")


async def test_each_load_balancer_gets_an_address_of_its_own_and_gives_it_back() -> None:
    async with cluster() as running:
        for name in ("one", "two"):
            wanted = service(type="LoadBalancer") | {"metadata": {"name": name}}
            await running.create(SERVICES, wanted)

        def addresses(items: list[Object]) -> list[str]:
            entries = [i["status"]["loadBalancer"].get("ingress") or [] for i in items]
            return [entry["ip"] for given in entries for entry in given]

        found = await running.until(SERVICES, lambda items: len(addresses(items)) == 2)
        assert sorted(addresses(found)) == ["172.30.0.129", "172.30.0.130"]
        await running.resources.patch(SERVICES, "default", "one", {"spec": {"type": "ClusterIP"}})
        await running.until(SERVICES, lambda items: len(addresses(items)) == 1)


async def test_the_apis_own_service_comes_back_with_its_endpoints() -> None:
    async with cluster() as running:
        for resource, item in OF_THE_API:
            await running.create(resource, item)
        for resource, _ in OF_THE_API:
            await running.resources.delete(resource, "default", "kubernetes")
            (found,) = await running.until(resource, bool)
            assert found["metadata"]["name"] == "kubernetes"
        (service,) = await running.list(SERVICES)
        assert service["spec"]["clusterIP"] == "10.96.0.1"
