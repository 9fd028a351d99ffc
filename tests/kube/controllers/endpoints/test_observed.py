"""What the controller sees of the API server's objects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.kube.controllers.endpoints.observed import (
    ClusterService,
    RewrittenProbe,
    ServicePort,
    Slice,
    cluster_service_of,
    pod_of,
    slice_of,
)
from tests.kube.controllers.endpoints.pods import pod, service


def pod_object(**changes: Any) -> dict[str, Any]:
    metadata = {
        "name": "web-1",
        "namespace": "default",
        "uid": "u1",
        "labels": {"app": "web"},
        "annotations": {"consul.hashicorp.com/connect-service": "web", "other/key": "x"},
        **changes.pop("metadata", {}),
    }
    spec = {"nodeName": "n1", "containers": [], **changes.pop("spec", {})}
    return {"metadata": metadata, "spec": spec, **changes}


class TestPod:
    def test_annotations_that_are_not_the_meshs_do_not_matter(self) -> None:
        assert pod_of(pod_object()).annotations == {"consul.hashicorp.com/connect-service": "web"}

    def test_it_is_ready_by_its_condition(self) -> None:
        conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}]
        assert pod_of(pod_object(status={"conditions": conditions})).is_ready
        assert not pod_of(pod_object(status={"conditions": conditions[:1]})).is_ready

    def test_it_leaves_from_the_moment_it_is_deleted(self) -> None:
        leaving = {"deletionTimestamp": "2021-07-08T10:00:00Z", "deletionGracePeriodSeconds": 0}
        seen = pod_of(pod_object(metadata=leaving))
        assert (seen.is_leaving, seen.grace_s) == (True, 0)

    def test_ports_are_the_applications_and_not_the_sidecars(self) -> None:
        containers = [
            {"name": "envoy-sidecar", "ports": [{"containerPort": 20000}]},
            {"name": "app", "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}]},
        ]
        seen = pod_of(pod_object(spec={"containers": containers}))
        assert (seen.first_port, seen.named_ports) == (8080, {"http": 8080})

    @pytest.mark.parametrize(
        ("container", "redirected"),
        [
            ({"name": "consul-connect-inject-init", "image": "pellucid/pellucid:1"}, False),
            ({"name": "kuma-init", "image": "docker.io/kumahq/kuma-init:1.0.3"}, True),
            ({"name": "kuma-init", "image": "example.test:5000/kuma-initial"}, False),
            ({"name": "migrate", "image": "app"}, False),
        ],
    )
    def test_an_init_container_of_its_own_may_redirect_it(
        self, container: dict[str, str], redirected: bool
    ) -> None:
        assert pod_of(pod_object(spec={"initContainers": [container]})).is_redirected is redirected

    def test_the_injector_says_that_it_redirects_it(self) -> None:
        annotations = {"consul.hashicorp.com/transparent-proxy-status": "enabled"}
        assert pod_of(pod_object(metadata={"annotations": annotations})).is_redirected
        assert not pod_of(pod_object()).is_redirected

    def test_the_name_its_author_gave_is_told_from_the_injectors_default(self) -> None:
        def seen(original: dict[str, str]) -> str:
            before = json.dumps({"metadata": {"annotations": original}})
            annotations = {
                "consul.hashicorp.com/connect-service": "web",
                "consul.hashicorp.com/original-pod": before,
            }
            return pod_of(pod_object(metadata={"annotations": annotations})).given_service

        assert seen({}) == ""
        assert seen({"consul.hashicorp.com/connect-service": "web"}) == "web"

    def test_rewritten_probes_are_known_by_the_original_pod(self) -> None:
        def container(readiness: object, liveness: object) -> dict[str, Any]:
            probes = {
                "readinessProbe": {"httpGet": {"path": "/ready", "port": readiness}},
                "livenessProbe": {"httpGet": {"path": "/alive", "port": liveness}},
                "startupProbe": {"tcpSocket": {"port": 8080}},
            }
            return {"name": "app", "ports": [{"name": "http", "containerPort": 8080}], **probes}

        original = json.dumps({"spec": {"containers": [container("http", 9000)]}})
        item = pod_object(
            metadata={"annotations": {"consul.hashicorp.com/original-pod": original}},
            spec={"containers": [container(20400, 9000)]},
        )
        assert pod_of(item).probes == (RewrittenProbe("/ready", listener_port=20400, local_port=8080),)

    def test_a_grpc_probe_is_let_through_to_the_method_it_calls(self) -> None:
        def container(port: int) -> dict[str, Any]:
            return {"name": "app", "livenessProbe": {"grpc": {"port": port}}}

        original = json.dumps({"spec": {"containers": [container(9090)]}})
        item = pod_object(
            metadata={"annotations": {"consul.hashicorp.com/original-pod": original}},
            spec={"containers": [container(20300)]},
        )
        (probe,) = pod_of(item).probes
        assert probe == RewrittenProbe("/grpc.health.v1.Health/Check", 20300, 9090, "http2")

    def test_what_the_sidecar_process_is_asked_is_not_let_through(self) -> None:
        asked = {"path": "/healthz", "port": 8443, "scheme": "HTTPS"}
        original = json.dumps(
            {"spec": {"containers": [{"name": "app", "livenessProbe": {"httpGet": asked}}]}}
        )
        now = {"path": "/probes/app/livenessProbe", "port": 21000}
        item = pod_object(
            metadata={"annotations": {"consul.hashicorp.com/original-pod": original}},
            spec={"containers": [{"name": "app", "livenessProbe": {"httpGet": now}}]},
        )
        assert pod_of(item).probes == ()

    def test_probes_of_its_own_native_sidecars_are_let_through_too(self) -> None:
        def container(port: int) -> dict[str, Any]:
            probe = {"httpGet": {"path": "/ready", "port": port}}
            return {"name": "cache", "restartPolicy": "Always", "readinessProbe": probe}

        original = json.dumps({"spec": {"initContainers": [container(6380)]}})
        item = pod_object(
            metadata={"annotations": {"consul.hashicorp.com/original-pod": original}},
            spec={"initContainers": [container(20401)]},
        )
        assert pod_of(item).probes == (RewrittenProbe("/ready", listener_port=20401, local_port=6380),)

    @given(st.text())
    def test_an_original_pod_that_is_nonsense_is_none(self, text: str) -> None:
        annotations = {"consul.hashicorp.com/original-pod": text}
        assert pod_of(pod_object(metadata={"annotations": annotations})).probes == ()

    def test_a_pod_that_is_nowhere_yet_is_read_too(self) -> None:
        seen = pod_of({"metadata": {"name": "web-1"}})
        assert (seen.ip, seen.node, seen.is_ready, seen.is_finished) == ("", "", False, False)


class TestService:
    def test_selector_addresses_and_ports(self) -> None:
        item = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "selector": {"b": "2", "a": "1"},
                "clusterIP": "10.96.0.1",
                "clusterIPs": ["10.96.0.1", "fd00::1"],
                "ports": [{"port": 80, "targetPort": "http"}, {"port": 81}],
            },
        }
        assert cluster_service_of(item) == ClusterService(
            namespace="default",
            name="web",
            selector=(("a", "1"), ("b", "2")),
            cluster_ips=("10.96.0.1", "fd00::1"),
            ports=(ServicePort(80, "http"), ServicePort(81, 81)),
        )

    @pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"clusterIPs": ["None"]}, {}])
    def test_a_headless_one_has_no_address(self, spec: dict[str, Any]) -> None:
        seen = cluster_service_of({"metadata": {"name": "web"}, "spec": spec})
        assert seen is not None
        assert seen.cluster_ips == ()

    def test_one_that_leads_out_of_the_cluster_or_asks_for_it_is_passed_over(self) -> None:
        ignored = {"name": "web", "labels": {"consul.hashicorp.com/service-ignore": "true"}}
        assert cluster_service_of({"metadata": ignored, "spec": {}}) is None
        external = {"metadata": {"name": "web"}, "spec": {"type": "ExternalName"}}
        assert cluster_service_of(external) is None

    def test_it_selects_pods_with_all_its_labels_in_its_namespace(self) -> None:
        both = service(selector=(("app", "web"), ("tier", "front")))
        assert both.selects(pod(labels={"app": "web", "tier": "front", "more": "x"}))
        assert not both.selects(pod(labels={"app": "web"}))
        assert not both.selects(pod(labels={"app": "web", "tier": "front"}, namespace="other"))
        assert not service(selector=()).selects(pod())


class TestSlice:
    def made(self, *targets: dict[str, str] | None) -> Slice | None:
        labels = {"kubernetes.io/service-name": "web"}
        endpoints = [{"addresses": ["10.1.0.1"], **({"targetRef": t} if t else {})} for t in targets]
        return slice_of({"metadata": {"namespace": "default", "labels": labels}, "endpoints": endpoints})

    def test_the_pods_it_names(self) -> None:
        pods = [{"kind": "Pod", "name": name} for name in ("b", "a", "b")]
        assert self.made(*pods, None, {"kind": "Node", "name": "n"}) == Slice("default", "web", ("a", "b"))

    def test_one_without_pods_does_not_matter(self) -> None:
        assert self.made(None) is None
