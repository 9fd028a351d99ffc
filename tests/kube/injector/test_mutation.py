"""What a pod becomes when it joins the mesh."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pellucid.kube.injector.settings import LifecycleDefaults
from tests.kube.injector.pods import (
    PREFIX,
    SETTINGS,
    UNDIRECTED,
    container,
    flags,
    inject,
    named,
    names,
    notes,
    outcome,
    pod,
    refusal,
)

CLASSIC: dict[str, Any] = {"native_sidecars": False}


class TestLayout:
    def test_the_sidecar_runs_before_everything_of_the_author_and_after_the_redirection(self) -> None:
        changed = inject(pod(initContainers=[container("migrate")]))
        assert names(changed["spec"]["initContainers"]) == [
            "consul-connect-inject-init",
            "envoy-sidecar",
            "migrate",
        ]
        assert names(changed["spec"]["containers"]) == ["web"]
        assert named(changed, "envoy-sidecar")["restartPolicy"] == "Always"

    def test_without_redirection_only_the_sidecar_is_added(self) -> None:
        assert names(inject(pod(), **UNDIRECTED)["spec"]["initContainers"]) == ["envoy-sidecar"]

    @pytest.mark.parametrize("settings", [CLASSIC, {}])
    def test_the_classic_layout_is_for_clusters_and_pods_that_want_it(self, settings: dict[str, Any]) -> None:
        author = pod({"enable-consul-dataplane-as-sidecar": "true" if settings else "false"})
        changed = inject(author, **settings)
        assert names(changed["spec"]["initContainers"]) == ["consul-connect-inject-init"]
        assert names(changed["spec"]["containers"]) == ["envoy-sidecar", "web"]
        assert "restartPolicy" not in named(changed, "envoy-sidecar")

    def test_in_the_classic_layout_the_application_waits_for_the_registration(self) -> None:
        assert "-wait" in flags(inject(pod(), **CLASSIC), "consul-connect-inject-init")
        waiting = inject(pod(), **CLASSIC, **UNDIRECTED)
        assert flags(waiting, "consul-connect-inject-init") == ["-wait"]
        context = named(waiting, "consul-connect-inject-init")["securityContext"]
        assert (context["runAsUser"], context["capabilities"]) == (5995, {"drop": ["ALL"]})
        assert "-wait" not in flags(inject(pod()), "consul-connect-inject-init")

    @pytest.mark.parametrize(("policy", "seconds"), [("Never", 1), ("OnFailure", 330)])
    def test_a_pod_that_is_to_complete_has_a_sidecar_that_ends(self, policy: str, seconds: int) -> None:
        changed = inject(pod(restartPolicy=policy), **CLASSIC)
        assert f"-ends-after-seconds={seconds}" in flags(changed, "envoy-sidecar")
        assert changed["spec"]["shareProcessNamespace"] is True

    @pytest.mark.parametrize(
        "spec", [{"restartPolicy": "Always"}, {}, {"restartPolicy": "Never", "hostPID": True}]
    )
    def test_no_other_pod_shares_its_processes(self, spec: dict[str, Any]) -> None:
        changed = inject(pod(**spec), **CLASSIC)
        assert "shareProcessNamespace" not in changed["spec"]
        assert "shareProcessNamespace" not in inject(pod(restartPolicy="Never"))["spec"]

    def test_a_job_that_would_not_end_is_warned_of(self) -> None:
        job = pod(restartPolicy="Never", shareProcessNamespace=False)
        job["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "j"}]
        (warning,) = outcome(job, **CLASSIC).warnings
        assert "sidecar keeps it from completing" in warning
        assert outcome(job).warnings == ()

    def test_volumes_and_their_mounts_are_the_meshs_alone(self) -> None:
        changed = inject(pod(volumes=[{"name": "data", "emptyDir": {}}]))
        data, own, token = changed["spec"]["volumes"]
        assert (data["name"], own) == (
            "data",
            {"name": "consul-connect-inject-data", "emptyDir": {"medium": "Memory"}},
        )
        (source,) = token["projected"]["sources"]
        assert source["serviceAccountToken"]["audience"] == "consul-consul"
        assert "volumeMounts" not in named(changed, "web")

    def test_the_sidecar_has_no_privileges(self) -> None:
        context = named(inject(pod()), "envoy-sidecar")["securityContext"]
        assert context == {
            "runAsUser": 5995,
            "runAsGroup": 5995,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_the_sidecar_knows_its_pod_and_the_server(self) -> None:
        variables = named(inject(pod()), "envoy-sidecar")["env"]
        values = {each["name"]: each["value"] for each in variables if "value" in each}
        assert values == {
            "CONSUL_HTTP_ADDR": SETTINGS.http_address,
            "CONSUL_GRPC_ADDR": SETTINGS.grpc_address,
            "PELLUCID_SERVER_CA": SETTINGS.server_authority,
        }
        fields = {each["name"]: each["valueFrom"] for each in variables if "valueFrom" in each}
        assert fields["POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}

    def test_nothing_secret_is_on_a_command_line(self) -> None:
        assert flags(inject(pod()))[0] == "-token-file=/var/run/secrets/pellucid/token"

    def test_kubectl_goes_to_the_application_unless_it_is_told_otherwise(self) -> None:
        name = "kubectl.kubernetes.io/default-container"
        assert inject(pod())["metadata"]["annotations"][name] == "web"
        author = pod()
        author["metadata"]["annotations"][name] = "other"
        assert inject(author)["metadata"]["annotations"][name] == "other"


class TestNotes:
    def test_the_pod_is_marked(self) -> None:
        changed = inject(pod())
        assert notes(changed)["connect-inject-status"] == "injected"
        assert changed["metadata"]["labels"] == {
            PREFIX + "connect-inject-status": "injected",
            PREFIX + "connect-inject-managed-by": "consul-k8s-endpoints-controller",
        }

    def test_labels_of_the_author_stay(self) -> None:
        author = pod()
        author["metadata"]["labels"] = {"app": "web"}
        assert inject(author)["metadata"]["labels"]["app"] == "web"

    def test_the_original_is_kept_as_far_as_it_is_needed(self) -> None:
        probe = {"httpGet": {"path": "/", "port": "http"}}
        author = pod(
            {"connect-service": "shop"}, containers=[container(readinessProbe=probe, env=[{"name": "X"}])]
        )
        author["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
        author["metadata"]["managedFields"] = [{"manager": "kubectl"}]
        assert json.loads(notes(inject(author))["original-pod"]) == {
            "metadata": {
                "name": "web-1",
                "namespace": "default",
                "annotations": {PREFIX + "connect-service": "shop"},
            },
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": probe,
                    }
                ]
            },
        }


class TestService:
    @pytest.mark.parametrize(
        ("given", "service", "port"),
        [
            ({}, "web", "http"),
            ({"connect-service": "shop", "connect-service-port": "9000"}, "shop", "9000"),
            ({"connect-service": " "}, "web", "http"),
        ],
    )
    def test_what_holds_for_a_pod_that_does_not_say_is_written_back(
        self, given: dict[str, str], service: str, port: str
    ) -> None:
        found = notes(inject(pod(given)))
        assert (found["connect-service"], found["connect-service-port"]) == (service, port)

    @pytest.mark.parametrize(
        ("ports", "expected"), [([{"containerPort": 81}], "81"), ([], None), (None, None)]
    )
    def test_the_first_port_is_written_back_by_number_if_it_has_no_name(
        self, ports: list[Any] | None, expected: str | None
    ) -> None:
        found = notes(inject(pod(containers=[container(ports=ports)])))
        assert found.get("connect-service-port") == expected

    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            ({"connect-service-port": "grpc"}, "connect-service-port annotation value of grpc is neither"),
            ({"connect-service-port": "0"}, "connect-service-port annotation value of 0 is neither"),
            ({"connect-service": "a b"}, "connect-service annotation value of a b is no name of a service"),
            ({"connect-service": "*"}, "connect-service annotation value of * is no name of a service"),
        ],
    )
    def test_names_and_ports_that_are_none_are_refused(self, given: dict[str, str], problem: str) -> None:
        assert refusal(pod(given)).startswith(PREFIX + problem)

    @pytest.mark.parametrize("given", [{"connect-service": "a,b"}, {"connect-service-port": "80,81"}])
    def test_a_pod_is_one_service(self, given: dict[str, str]) -> None:
        assert refusal(pod(given)).startswith("a pod is one service of the mesh with one port")

    def test_a_pod_without_containers_is_refused(self) -> None:
        assert refusal(pod(containers=[])) == "the pod has no container to put a sidecar beside"

    @pytest.mark.parametrize(
        "spec", [{"os": {"name": "windows"}}, {"nodeSelector": {"kubernetes.io/os": "windows"}}]
    )
    def test_a_pod_for_windows_is_refused(self, spec: dict[str, Any]) -> None:
        assert refusal(pod(**spec)) == "the pod is for Windows, and sidecars run on Linux only"


class TestUpstreams:
    def test_all_containers_of_the_author_are_told_where_they_are(self) -> None:
        author = pod(
            {"connect-service-upstreams": "pay-card:1234, prepared_query:near.est:1235"},
            containers=[container(env=[{"name": "A", "value": "a"}]), container("log")],
            initContainers=[container("migrate")],
        )
        changed = inject(author)
        told = [
            {"name": "PAY_CARD_CONNECT_SERVICE_HOST", "value": "127.0.0.1"},
            {"name": "PAY_CARD_CONNECT_SERVICE_PORT", "value": "1234"},
            {"name": "NEAR_EST_CONNECT_SERVICE_HOST", "value": "127.0.0.1"},
            {"name": "NEAR_EST_CONNECT_SERVICE_PORT", "value": "1235"},
        ]
        assert named(changed, "web")["env"] == [{"name": "A", "value": "a"}, *told]
        assert named(changed, "log")["env"] == told
        assert named(changed, "migrate")["env"] == told

    def test_what_a_container_says_itself_stays(self) -> None:
        own = {"name": "PAY_CONNECT_SERVICE_PORT", "value": "1"}
        author = pod({"connect-service-upstreams": "pay:1234"}, containers=[container(env=[own])])
        assert [each["name"] for each in named(inject(author), "web")["env"]] == [
            "PAY_CONNECT_SERVICE_PORT",
            "PAY_CONNECT_SERVICE_HOST",
        ]

    def test_a_malformed_one_is_refused(self) -> None:
        assert refusal(pod({"connect-service-upstreams": "pay"})).startswith('upstream "pay" is invalid: ')


class TestClashes:
    @pytest.mark.parametrize(
        ("port", "purpose"),
        [
            (20000, "connections from the mesh"),
            (21000, "its probes"),
            (19000, "Envoy's administration"),
            (15001, "redirected connections"),
            (1234, 'upstream "pay"'),
            (20200, "Prometheus"),
        ],
    )
    def test_a_port_that_the_sidecar_needs_is_refused(self, port: int, purpose: str) -> None:
        author = pod(
            {"connect-service-upstreams": "pay:1234", "enable-metrics": "true"},
            containers=[container(ports=[{"containerPort": 8080}, {"containerPort": port}])],
        )
        assert refusal(author) == f'container "web" has port {port}, which the sidecar needs for {purpose}'

    def test_ports_that_are_not_needed_and_udp_are_free(self) -> None:
        free = [
            {"containerPort": 15001},
            {"containerPort": 20200},
            {"containerPort": 20000, "protocol": "UDP"},
        ]
        assert inject(pod(containers=[container(ports=free)]), **UNDIRECTED)

    def test_two_purposes_for_one_port_are_refused(self) -> None:
        assert refusal(pod({"connect-service-upstreams": "pay:20000"})) == (
            'port 20000 is wanted both by connections from the mesh and by upstream "pay": '
            "choose another for one"
        )

    @pytest.mark.parametrize(
        ("spec", "problem"),
        [
            ({"volumes": [{"name": "consul-connect-inject-data"}]}, 'a volume "consul-connect-inject-data"'),
            ({"containers": [container(), container("envoy-sidecar")]}, 'a container "envoy-sidecar"'),
            (
                {"initContainers": [container("consul-connect-inject-init")]},
                'a container "consul-connect-inject-init"',
            ),
        ],
    )
    def test_names_of_the_meshs_are_refused(self, spec: dict[str, Any], problem: str) -> None:
        assert (
            refusal(pod(**spec)) == f"the pod already has {problem}, which is the name of one of the mesh's"
        )


class TestResources:
    def test_the_defaults_hold_for_pods_that_do_not_say(self) -> None:
        given = {"requests": {"cpu": "10m"}}
        changed = inject(pod(), sidecar_resources=given, init_resources={"limits": {"memory": "1Mi"}})
        assert named(changed, "envoy-sidecar")["resources"] == given
        assert named(changed, "consul-connect-inject-init")["resources"] == {"limits": {"memory": "1Mi"}}
        assert "resources" not in named(inject(pod()), "envoy-sidecar")

    def test_annotations_replace_them_one_by_one_and_zero_stays_zero(self) -> None:
        author = pod({"sidecar-proxy-cpu-limit": "0", "sidecar-proxy-memory-request": "1.5Gi"})
        changed = inject(author, sidecar_resources={"limits": {"cpu": "1", "memory": "64Mi"}})
        assert named(changed, "envoy-sidecar")["resources"] == {
            "limits": {"cpu": "0", "memory": "64Mi"},
            "requests": {"memory": "1.5Gi"},
        }

    @pytest.mark.parametrize("text", ["", "much", "1 Mi", "-1", "1Q"])
    def test_what_is_no_quantity_is_refused(self, text: str) -> None:
        assert refusal(pod({"sidecar-proxy-cpu-limit": text})).startswith(
            f'parsing annotation {PREFIX}sidecar-proxy-cpu-limit:"{text}": quantities must match'
        )


class TestLifecycle:
    def drain(self, author: dict[str, str]) -> str:
        changed = inject(pod(author), lifecycle=LifecycleDefaults(drain_s=7))
        (flag,) = (flag for flag in flags(changed) if flag.startswith("-drain-seconds="))
        return flag.removeprefix("-drain-seconds=")

    @pytest.mark.parametrize(
        ("author", "seconds"),
        [
            ({}, "7"),
            ({"enable-sidecar-proxy-lifecycle": "true"}, "7"),
            ({"sidecar-proxy-lifecycle-shutdown-grace-period-seconds": "0x10"}, "16"),
            ({"enable-sidecar-proxy-lifecycle": "false"}, "0"),
            ({"enable-sidecar-proxy-lifecycle-shutdown-drain-listeners": "false"}, "0"),
        ],
    )
    def test_a_sidecar_drains_unless_its_pod_says_otherwise(
        self, author: dict[str, str], seconds: str
    ) -> None:
        assert self.drain(author) == seconds

    def test_how_long_it_may_take_to_start(self) -> None:
        author = pod({"sidecar-proxy-startup-failure-seconds": "30"})
        probe = named(inject(author), "envoy-sidecar")["startupProbe"]
        assert (probe["periodSeconds"], probe["failureThreshold"]) == (1, 30)

    def test_it_is_asked_whether_it_lives_only_on_request(self) -> None:
        assert "livenessProbe" not in named(inject(pod()), "envoy-sidecar")
        author = pod({"sidecar-proxy-liveness-failure-seconds": "60"})
        probe = named(inject(author), "envoy-sidecar")["livenessProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] == 60
        assert probe["httpGet"]["path"] == "/healthz"

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("enable-sidecar-proxy-lifecycle", "on"),
            ("sidecar-proxy-lifecycle-shutdown-grace-period-seconds", "5s"),
            ("sidecar-proxy-startup-failure-seconds", "0"),
            ("sidecar-proxy-liveness-failure-seconds", "-1"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, name: str, text: str) -> None:
        assert PREFIX + name in refusal(pod({name: text}))


class TestEnvoy:
    def arguments(self, author: dict[str, str], default: str = "") -> str | None:
        told = flags(inject(pod(author), envoy_extra_args=default))
        stem = "-envoy-extra-args="
        return next((flag.removeprefix(stem) for flag in told if flag.startswith(stem)), None)

    def test_further_arguments_of_the_pod_replace_the_default_ones(self) -> None:
        assert self.arguments({}) is None
        assert self.arguments({}, "-l trace") == "-l trace"
        assert self.arguments({"envoy-extra-args": "--log-path 'a b'"}, "-l trace") == "--log-path 'a b'"
        assert self.arguments({"envoy-extra-args": ""}, "-l trace") is None

    def test_the_number_of_threads_is_one_of_them(self) -> None:
        assert self.arguments({"consul-envoy-proxy-concurrency": "4"}, "-l info") == "-l info --concurrency 4"

    def test_a_quotation_that_does_not_end_is_refused(self) -> None:
        assert refusal(pod({"envoy-extra-args": "--log-path 'a"})) == (
            f"{PREFIX}envoy-extra-args annotation value of --log-path 'a cannot be split into words: "
            "no closing quotation"
        )


class TestUserVolumes:
    def test_they_are_mounted_into_the_sidecar_only(self) -> None:
        volume, mount = {"name": "certs", "emptyDir": {}}, {"name": "certs", "mountPath": "/certs"}
        author = pod(
            {
                "consul-sidecar-user-volume": json.dumps([volume]),
                "consul-sidecar-user-volume-mount": json.dumps([mount]),
            }
        )
        changed = inject(author)
        assert volume in changed["spec"]["volumes"]
        assert mount in named(changed, "envoy-sidecar")["volumeMounts"]
        assert "volumeMounts" not in named(changed, "web")

    @pytest.mark.parametrize("text", ["", "{}", '["certs"]', "certs"])
    @pytest.mark.parametrize("name", ["consul-sidecar-user-volume", "consul-sidecar-user-volume-mount"])
    def test_what_is_no_list_of_objects_is_refused(self, name: str, text: str) -> None:
        assert refusal(pod({name: text})).startswith(f"{PREFIX}{name} annotation value is no JSON list")
