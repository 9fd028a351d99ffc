"""The endpoints controller between a cluster and a mesh server."""

from __future__ import annotations

from tests.kube.controllers.cluster import Cluster
from tests.kube.controllers.endpoints.conftest import Controller
from tests.kube.controllers.mesh_catalog import MeshCatalog

WEB = {"app": "web"}
MANAGER = "consul-k8s-endpoints-controller"


class TestLife:
    async def test_a_pod_is_registered_before_it_is_ready_and_passes_when_it_is(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.service("web", WEB)
        await cluster.pod("web-1", labels=WEB)
        await catalog.until_statuses(web_1_web="critical")
        await cluster.report("web-1", ready=True)
        await catalog.until_statuses(web_1_web="passing")

    async def test_a_pod_that_leaves_is_critical_at_once_and_gone_when_it_is_gone(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("web-1", annotations={"connect-service": "web"}, ready=True)
        await catalog.until_statuses(web_1_web="passing")
        await cluster.delete_pod("web-1", grace=3_600)
        await catalog.until_statuses(web_1_web="critical")
        await cluster.delete_pod("web-1", grace=0)
        await catalog.until_statuses()

    async def test_a_pod_that_never_leaves_is_deregistered_after_its_time(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("web-1", annotations={"connect-service": "web"}, ready=True)
        await catalog.until_statuses(web_1_web="passing")
        await cluster.delete_pod("web-1", grace=1)
        await catalog.until_statuses()

    async def test_a_pod_that_has_ended_is_deregistered(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("job-1", annotations={"connect-service": "job"}, ready=True)
        await catalog.until_statuses(job_1_job="passing")
        await cluster.report("job-1", ready=False, phase="Succeeded")
        await catalog.until_statuses()

    async def test_a_new_pod_of_the_same_name_takes_the_place_of_the_old_one(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("db-0", annotations={"connect-service": "db"}, ready=True)
        await catalog.until_statuses(db_0_db="passing")
        await cluster.delete_pod("db-0")
        uid = await cluster.pod("db-0", annotations={"connect-service": "db"}, nodeName="n2")
        await catalog.until_statuses(db_0_db="critical")
        await catalog.until(
            lambda: (
                {(s.node, (s.meta or {})["pod-uid"]) for s in catalog.services().values()}
                == {("n2-virtual", uid)}
            ),
            "the new pod's registration",
        )


class TestServices:
    async def test_a_service_made_after_the_pod_gives_it_its_address(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("web-1", labels=WEB, annotations={"connect-service": "web"})
        await catalog.until_statuses(web_1_web="critical")
        await cluster.service("front", WEB)
        address = await cluster.cluster_ip("front")
        await catalog.until(lambda: virtual_addresses(catalog) == {"web": address}, "the address")

    async def test_a_service_deleted_before_the_pod_takes_its_address_along(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.service("front", WEB)
        await cluster.pod("web-1", labels=WEB, annotations={"connect-service": "web"})
        await catalog.until(lambda: bool(virtual_addresses(catalog)), "the address")
        await cluster.delete_service("front")
        await catalog.until(lambda: virtual_addresses(catalog) == {}, "no address")
        await catalog.until_statuses(web_1_web="critical")

    async def test_a_service_that_selects_other_pods_moves_its_address(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.service("front", {"app": "blue"})
        address = await cluster.cluster_ip("front")
        for colour in ("blue", "green"):
            await cluster.pod(f"{colour}-1", labels={"app": colour}, annotations={"connect-service": colour})
        await catalog.until(lambda: virtual_addresses(catalog) == {"blue": address}, "blue has it")
        await cluster.patch_service("front", {"selector": {"app": "green"}})
        await catalog.until(lambda: virtual_addresses(catalog) == {"green": address}, "green has it")

    async def test_a_service_with_slices_made_by_hand_has_the_pods_they_name(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("web-1", annotations={"connect-service": "web"})
        await catalog.until_statuses(web_1_web="critical")
        await cluster.service("front", {})
        await cluster.slice_by_hand("front", "web-1")
        address = await cluster.cluster_ip("front")
        await catalog.until(lambda: virtual_addresses(catalog) == {"web": address}, "the address")


class TestTwoNamespaces:
    async def test_the_second_is_told_who_has_the_name_and_gets_it_when_it_is_free(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.namespace("other")
        await cluster.pod("a-1", annotations={"connect-service": "web"})
        await catalog.until_statuses(a_1_web="critical")
        await cluster.pod("b-1", namespace="other", annotations={"connect-service": "web"})
        (event,) = await cluster.until_events("b-1", namespace="other")
        assert event.reason == "ServiceNameConflict"
        assert 'the mesh service "web" is made of pods in namespace "default"' in (event.message or "")
        await catalog.until_statuses(a_1_web="critical")
        await cluster.delete_pod("a-1")
        await catalog.until_statuses(b_1_web="critical")

    async def test_a_controller_that_finds_both_takes_the_older_pods(
        self, cluster: Cluster, catalog: MeshCatalog, controller: Controller
    ) -> None:
        await cluster.namespace("other")
        await cluster.pod("b-1", annotations={"connect-service": "web"})
        await cluster.pod("a-1", namespace="other", annotations={"connect-service": "web"})
        controller.start()
        (event,) = await cluster.until_events("a-1", namespace="other")
        assert 'namespace "default"' in (event.message or "")
        await catalog.until_statuses(b_1_web="critical")

    async def test_where_both_are_registered_one_goes(
        self, cluster: Cluster, catalog: MeshCatalog, controller: Controller
    ) -> None:
        await cluster.namespace("other")
        for name, namespace in (("a-1", "default"), ("b-1", "other")):
            uid = await cluster.pod(name, namespace=namespace, annotations={"connect-service": "web"})
            meta = {"pod-name": name, "pod-uid": uid, "k8s-namespace": namespace, "managed-by": MANAGER}
            await catalog.register("n1-virtual", "web", meta, service_id=f"{name}-web")
        controller.start()
        await catalog.until_statuses(a_1_web="critical")


class TestProblems:
    async def test_an_annotation_that_makes_no_sense_is_told_once(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        wrong = {"connect-service": "web", "connect-service-upstreams": "db"}
        await cluster.pod("web-1", annotations=wrong)
        (event,) = await cluster.until_events("web-1")
        assert event.reason == "InvalidAnnotation"
        assert event.type == "Warning"
        assert 'upstream "db" is invalid' in (event.message or "")
        await cluster.report("web-1", ready=True)
        await cluster.annotate("web-1", {"connect-service-upstreams": "db:1234"})
        await catalog.until_statuses(web_1_web="passing")
        wrong_then_right = await cluster.until_events("web-1", count=2)
        assert [event.reason for event in wrong_then_right] == ["InvalidAnnotation", "Registered"]

    async def test_a_registered_pod_that_is_annotated_wrongly_keeps_its_place_and_its_readiness(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("web-1", annotations={"connect-service": "web"}, ready=True)
        await catalog.until_statuses(web_1_web="passing")
        await cluster.annotate("web-1", {"connect-service-port": "nonsense"})
        await cluster.until_events("web-1")
        await cluster.report("web-1", ready=False)
        await catalog.until_statuses(web_1_web="critical")

    async def test_what_the_server_refuses_is_told_in_its_words(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("web-1", annotations={"connect-service": "*"})
        (event,) = await cluster.until_events("web-1")
        assert event.reason == "ConsulServerRefused"
        assert "wildcard" in (event.message or "")


class TestRestart:
    async def test_what_went_while_no_controller_ran_is_deregistered(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        for name in ("web-1", "web-2"):
            await cluster.pod(name, annotations={"connect-service": "web"})
        await catalog.until_statuses(web_1_web="critical", web_2_web="critical")
        await running.stop()
        await cluster.delete_pod("web-1")
        await cluster.pod("web-3", annotations={"connect-service": "web"})
        running.start()
        await catalog.until_statuses(web_2_web="critical", web_3_web="critical")

    async def test_a_controller_that_starts_on_a_catalog_in_order_writes_nothing(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.service("web", WEB)
        settings = {"service-tags": "a,b", "connect-service-upstreams": "db:1234:dc2", "enable-metrics": "1"}
        await cluster.pod("web-1", labels=WEB, annotations=settings, ready=True)
        await catalog.until_statuses(web_1_web="passing")
        before = len(catalog.writes)
        await running.stop()
        running.start()
        # It has read the catalog once a pod that is new to it is there.
        await cluster.pod("web-2", labels=WEB)
        await catalog.until_statuses(web_1_web="passing", web_2_web="critical")
        assert catalog.writes[before:] == ["web-2-web", "web-2-web-sidecar-proxy"]

    async def test_registrations_that_are_not_ours_are_left_alone(
        self, cluster: Cluster, catalog: MeshCatalog, controller: Controller
    ) -> None:
        await catalog.register("n1-virtual", "legacy", meta={"managed-by": "someone"})
        await cluster.pod("web-1", annotations={"connect-service": "web"})
        controller.start()
        await catalog.until(lambda: "web-1-web-sidecar-proxy" in catalog.services(), "the pod")
        assert "legacy" in catalog.services()


class TestNodes:
    async def test_the_stand_in_of_a_node_without_pods_goes(
        self, cluster: Cluster, catalog: MeshCatalog, running: Controller
    ) -> None:
        await cluster.pod("web-1", annotations={"connect-service": "web"})
        await catalog.until_statuses(web_1_web="critical")
        await cluster.delete_pod("web-1")
        await catalog.until_statuses()
        assert catalog.nodes() == {"n1-virtual"}
        await running.stop()
        running.start()
        await catalog.until(lambda: catalog.nodes() == set(), "no stand-in")


def virtual_addresses(catalog: MeshCatalog) -> dict[str, str]:
    """The virtual address of each mesh service, as its sidecars have it."""
    return {
        service.proxy.destination_service_name: service.tagged_addresses["virtual"].address
        for service in catalog.services().values()
        if service.kind and service.tagged_addresses
    }
