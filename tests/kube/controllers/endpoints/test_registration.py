"""What an injected pod and the Services in front of it come to in the catalog."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pellucid.kube.controllers.endpoints.observed import Pod, RewrittenProbe, ServicePort
from pellucid.kube.controllers.endpoints.registration import Problem, registrations
from pellucid.model.checks import CheckStatus
from pellucid.model.services import ExposePath, ServiceAddress, ServiceKind, Upstream
from tests.kube.controllers.endpoints.pods import (
    SETTINGS,
    instance_of,
    pod,
    registered,
    service,
    sidecar_of,
)


def problem_of(one: Pod) -> Problem:
    result = registrations(one, (), SETTINGS)
    assert isinstance(result, Problem)
    return result


class TestInstances:
    def test_a_pod_is_a_service_and_its_sidecar(self) -> None:
        instance, sidecar = registered(pod(), service())
        assert instance.key == ("n1-virtual", "web-1-web")
        assert sidecar.key == ("n1-virtual", "web-1-web-sidecar-proxy")
        assert (instance.service.name, sidecar.service.name) == ("web", "web-sidecar-proxy")
        assert sidecar.service.kind is ServiceKind.CONNECT_PROXY
        assert (instance.service.port, sidecar.service.port) == (8080, 20000)
        assert instance.service.address == sidecar.service.address == "10.1.0.1"
        assert instance.node_address == "192.0.2.1"

    def test_the_sidecar_stands_for_the_service(self) -> None:
        proxy = sidecar_of(pod(), service()).proxy
        assert (proxy.destination_service_name, proxy.destination_service_id) == ("web", "web-1-web")
        assert (proxy.local_service_address, proxy.local_service_port) == ("127.0.0.1", 8080)

    def test_both_say_which_pod_they_are(self) -> None:
        instance, sidecar = registered(pod(), service())
        assert (
            instance.service.meta
            == sidecar.service.meta
            == {
                "pod-name": "web-1",
                "pod-uid": "uid-web-1",
                "k8s-namespace": "default",
                "k8s-service-name": "web",
                "managed-by": "consul-k8s-endpoints-controller",
            }
        )

    def test_a_pod_without_a_port_serves_nothing(self) -> None:
        proxy = sidecar_of(pod(first_port=0)).proxy
        assert (proxy.local_service_address, proxy.local_service_port) == ("", 0)

    @pytest.mark.parametrize("odd", [{"ip": ""}, {"node": ""}, {"is_finished": True}])
    def test_nothing_is_registered_before_a_pod_has_an_address_or_after_it_has_ended(
        self, odd: dict[str, object]
    ) -> None:
        assert registrations(pod(**odd), (service(),), SETTINGS) == ()


class TestReadiness:
    @pytest.mark.parametrize(
        ("state", "status", "output"),
        [
            ({"is_ready": True}, CheckStatus.PASSING, "Kubernetes health checks passing"),
            ({}, CheckStatus.CRITICAL, 'Pod "default/web-1" is not ready'),
            (
                {"is_ready": True, "is_leaving": True},
                CheckStatus.CRITICAL,
                'Pod "default/web-1" is terminating',
            ),
        ],
    )
    def test_both_instances_are_as_well_as_the_pod(
        self, state: dict[str, bool], status: CheckStatus, output: str
    ) -> None:
        for registration in registered(pod(**state), service()):
            assert (registration.status, registration.output) == (status, output)


class TestName:
    def test_the_author_of_the_pod_has_the_first_word(self) -> None:
        one = pod(given_service="shop", annotations={"connect-service": "shop"})
        assert instance_of(one, service("web")).name == "shop"

    def test_else_it_is_the_name_of_the_service_in_front(self) -> None:
        assert instance_of(pod(), service("web")).name == "web"

    def test_without_either_it_is_the_injectors_default(self) -> None:
        assert instance_of(pod()).name == "app"

    def test_a_name_once_registered_stays_when_a_service_comes(self) -> None:
        instance, _ = registered(pod(), service("web"), registered_as="app")
        assert instance.service.name == "app"

    def test_the_author_may_change_it(self) -> None:
        instance, _ = registered(pod(given_service="shop"), registered_as="app")
        assert instance.service.name == "shop"

    def test_a_pod_that_nothing_names_is_a_problem(self) -> None:
        assert problem_of(pod(annotations={})).reason == "NoServiceName"


class TestSeveralServices:
    def chosen(self, one: Pod, *services: object) -> str:
        return (instance_of(one, *services).meta or {})["k8s-service-name"]  # type: ignore[arg-type]

    def test_the_first_by_name_is_chosen_whatever_the_order(self) -> None:
        a, b = service("a"), service("b")
        assert self.chosen(pod(), a, b) == self.chosen(pod(), b, a) == "a"

    def test_one_with_a_cluster_ip_goes_before_a_headless_one(self) -> None:
        assert self.chosen(pod(), service("a", cluster_ips=()), service("b")) == "b"

    def test_one_called_like_the_mesh_service_goes_before_others(self) -> None:
        one = pod(given_service="b")
        assert self.chosen(one, service("a"), service("b", cluster_ips=())) == "b"

    def test_the_annotation_decides(self) -> None:
        one = pod(given_service="b", annotations={"kubernetes-service": "c"})
        assert self.chosen(one, service("a"), service("b"), service("c")) == "c"

    def test_one_that_the_annotation_names_and_that_is_not_there_is_a_problem(self) -> None:
        one = pod(annotations={"connect-service": "app", "kubernetes-service": "c"})
        problem = registrations(one, (service("a"),), SETTINGS)
        assert isinstance(problem, Problem)
        assert problem.reason == "NoSuchService"
        assert 'kubernetes-service names "c"' in problem.message

    def test_all_their_cluster_ips_lead_to_the_mesh_service(self) -> None:
        first = service("a", cluster_ips=("10.96.0.1", "fd00::1"))
        second = service("b", cluster_ips=("10.96.0.2",), ports=(ServicePort(81, "http"),))
        expected = {
            "virtual": ServiceAddress("10.96.0.1", 80),
            "virtual.ipv6": ServiceAddress("fd00::1", 80),
            "virtual-b": ServiceAddress("10.96.0.2", 81),
        }
        for registration in registered(pod(), second, first):
            assert registration.service.tagged_addresses == expected

    def test_a_headless_service_gives_no_address(self) -> None:
        assert instance_of(pod(), service(cluster_ips=())).tagged_addresses is None


class TestPort:
    @pytest.mark.parametrize(
        ("annotation", "expected"), [("", 8080), ("admin", 9090), ("9090", 9090), ("0x1F90", 8080)]
    )
    def test_by_name_by_number_or_the_first(self, annotation: str, expected: int) -> None:
        one = pod(annotations={"connect-service": "app", "connect-service-port": annotation})
        assert instance_of(one).port == expected

    def test_where_no_container_declares_one_it_is_where_the_service_leads(self) -> None:
        bare = {"first_port": 0, "named_ports": {}}
        assert instance_of(pod(**bare), service(ports=(ServicePort(80, 5000),))).port == 5000
        assert instance_of(pod(**bare)).port == 0

    @pytest.mark.parametrize(
        ("ports", "expected"),
        [
            ((ServicePort(80, "http"),), 80),
            ((ServicePort(90, "admin"), ServicePort(80, 8080)), 80),
            ((ServicePort(8080, 1),), 8080),
            ((ServicePort(90, "admin"),), 0),
        ],
    )
    def test_a_virtual_address_has_the_port_that_leads_to_the_pods(
        self, ports: tuple[ServicePort, ...], expected: int
    ) -> None:
        tagged = instance_of(pod(), service(ports=ports)).tagged_addresses or {}
        assert tagged["virtual"].port == expected

    def test_each_port_that_leads_to_the_pods_is_the_meshs_and_no_other(self) -> None:
        ports = (ServicePort(90, "admin"), ServicePort(80, "http"), ServicePort(8000, 8080))
        tagged = instance_of(pod(), service(cluster_ips=("10.96.0.1", "fd00::1"), ports=ports))
        assert tagged.tagged_addresses == {
            "virtual": ServiceAddress("10.96.0.1", 80),
            "virtual.8000": ServiceAddress("10.96.0.1", 8000),
            "virtual.ipv6": ServiceAddress("fd00::1", 80),
            "virtual.ipv6.8000": ServiceAddress("fd00::1", 8000),
        }

    def test_a_further_service_that_leads_elsewhere_gives_no_address(self) -> None:
        metrics = service("web-metrics", ports=(ServicePort(9102, 9102),))
        tagged = instance_of(pod(), service("web"), metrics).tagged_addresses or {}
        assert set(tagged) == {"virtual"}

    @pytest.mark.parametrize("value", ["nonsense", "0", "65536", "-1"])
    def test_one_that_does_not_exist_is_a_problem_that_names_it(self, value: str) -> None:
        problem = problem_of(pod(annotations={"connect-service": "app", "connect-service-port": value}))
        assert problem.reason == "InvalidAnnotation"
        assert f"consul.hashicorp.com/connect-service-port annotation value of {value}" in problem.message


class TestProxy:
    def test_a_redirected_pod_has_a_transparent_proxy_with_or_without_a_service(self) -> None:
        one = pod(is_redirected=True)
        assert sidecar_of(one).proxy.mode == "transparent"
        assert sidecar_of(one, service(cluster_ips=())).proxy.mode == "transparent"

    def test_another_pod_leaves_the_mode_open(self) -> None:
        assert sidecar_of(pod(), service()).proxy.mode == ""

    def test_metrics_open_a_port_for_prometheus(self) -> None:
        on = {"connect-service": "app", "enable-metrics": "true"}
        assert sidecar_of(pod(annotations=on)).proxy.config == {"envoy_prometheus_bind_addr": "0.0.0.0:20200"}
        elsewhere = pod(annotations={**on, "prometheus-scrape-port": "20300"})
        assert sidecar_of(elsewhere).proxy.config == {"envoy_prometheus_bind_addr": "0.0.0.0:20300"}

    def test_a_pod_may_refuse_the_metrics_that_are_the_default(self) -> None:
        default = replace(SETTINGS, metrics_enabled=True)
        assert registered(pod(), settings=default)[1].service.proxy.config is not None
        off = pod(annotations={"connect-service": "app", "enable-metrics": "false"})
        assert registered(off, settings=default)[1].service.proxy.config is None

    def test_a_rewritten_probe_is_let_through_to_the_application(self) -> None:
        probe = RewrittenProbe("/healthz", listener_port=20400, local_port=8080)
        paths = sidecar_of(pod(probes=(probe,))).proxy.expose.paths
        assert paths == (ExposePath(path="/healthz", listener_port=20400, local_path_port=8080),)


class TestUpstreams:
    def upstreams(self, text: str) -> tuple[Upstream, ...]:
        one = pod(annotations={"connect-service": "app", "connect-service-upstreams": text})
        return sidecar_of(one).proxy.upstreams

    def test_every_form(self) -> None:
        assert self.upstreams("db:1234, cache:1235:dc2,prepared_query:near:1236,api.svc.dc3.dc:1237") == (
            Upstream(destination_name="db", local_bind_port=1234),
            Upstream(destination_name="cache", datacenter="dc2", local_bind_port=1235),
            Upstream(destination_name="near", destination_type="prepared_query", local_bind_port=1236),
            Upstream(destination_name="api", datacenter="dc3", local_bind_port=1237),
        )

    def test_a_port_may_be_one_of_the_pods(self) -> None:
        assert self.upstreams("db:admin") == (Upstream(destination_name="db", local_bind_port=9090),)

    @pytest.mark.parametrize("item", ["db", "db:", ":1234", "db:nope", "db:70000", "a:1:b:c"])
    def test_what_makes_no_sense_is_a_problem_that_quotes_it(self, item: str) -> None:
        annotations = {"connect-service": "app", "connect-service-upstreams": f"ok:1, {item}"}
        problem = problem_of(pod(annotations=annotations))
        assert problem.reason == "InvalidAnnotation"
        assert f'upstream "{item}" is invalid' in problem.message


class TestTagsAndMeta:
    def test_tags_of_both_annotations_in_order(self) -> None:
        tags = {"connect-service": "app", "service-tags": "a, b", "connect-service-tags": "c,,"}
        instance, sidecar = registered(pod(annotations=tags))
        assert instance.service.tags == sidecar.service.tags == ("a", "b", "c")

    def test_meta_of_ones_own(self) -> None:
        meta = instance_of(pod(annotations={"connect-service": "app", "service-meta-version": "2"})).meta
        assert (meta or {})["version"] == "2"

    def test_what_identifies_the_pod_cannot_be_set(self) -> None:
        forged = {"connect-service": "app", "service-meta-pod-uid": "other", "service-meta-": "x"}
        meta = instance_of(pod(annotations=forged)).meta or {}
        assert meta["pod-uid"] == "uid-web-1"
        assert "" not in meta
