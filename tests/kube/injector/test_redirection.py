"""Who redirects a pod's traffic, and what that asks of the pod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kube.injector.pods import (
    PREFIX,
    UNDIRECTED,
    container,
    flags,
    inject,
    kuma_init,
    named,
    names,
    notes,
    outcome,
    pod,
    refusal,
)

INIT = "consul-connect-inject-init"
LABEL = PREFIX + "transparent-proxy"


def is_redirected(changed: dict[str, Any]) -> bool:
    init = [each for each in changed["spec"]["initContainers"] if each["name"] == INIT]
    status = notes(changed).get("transparent-proxy-status")
    assert (status == "enabled") is bool(init)
    return bool(init)


class TestWhoSays:
    @pytest.mark.parametrize("default", [True, False])
    def test_the_default_holds_where_nobody_says(self, default: bool) -> None:
        assert is_redirected(inject(pod(), transparent_by_default=default)) is default

    @pytest.mark.parametrize("default", [True, False])
    def test_the_namespaces_label_counts_more_than_the_default(self, default: bool) -> None:
        label = {LABEL: "false" if default else "true"}
        assert is_redirected(inject(pod(), label, transparent_by_default=default)) is not default

    @pytest.mark.parametrize("text", ["true", "false"])
    def test_the_pods_word_counts_most(self, text: str) -> None:
        label = {LABEL: "true" if text == "false" else "false"}
        assert is_redirected(inject(pod({"transparent-proxy": text}), label)) is (text == "true")

    def test_a_word_that_means_nothing_is_refused(self) -> None:
        assert refusal(pod({"transparent-proxy": "on"})) == (
            'error configuring injection init container: strconv.ParseBool: parsing "on": invalid syntax: '
            "set consul.hashicorp.com/transparent-proxy to true or false"
        )

    def test_a_pod_cannot_claim_to_be_redirected(self) -> None:
        claiming = pod({"transparent-proxy-status": "enabled"})
        assert not is_redirected(inject(claiming, **UNDIRECTED))


class TestOurs:
    def test_the_container_that_redirects_may_do_that_and_nothing_else(self) -> None:
        context = named(inject(pod()), INIT)["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
        assert "privileged" not in context
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True

    def test_everything_is_redirected_but_the_sidecar_and_its_status_port(self) -> None:
        assert flags(inject(pod()), INIT) == ["-proxy-uid=5995", "-exclude-inbound-port=21000"]

    def test_what_annotations_exclude_is_left_alone(self) -> None:
        author = pod(
            {
                "transparent-proxy-exclude-inbound-ports": "9000, 9001,9000",
                "transparent-proxy-exclude-outbound-ports": " 5432",
                "transparent-proxy-exclude-outbound-cidrs": "10.1.2.3/8, fd00::/8,192.0.2.1",
                "transparent-proxy-exclude-uids": "101 ,0",
            }
        )
        assert flags(inject(author), INIT)[1:] == [
            "-exclude-inbound-port=21000",
            "-exclude-inbound-port=9000",
            "-exclude-inbound-port=9001",
            "-exclude-outbound-port=5432",
            "-exclude-outbound-cidr=10.0.0.0/8",
            "-exclude-outbound-cidr=fd00::/8",
            "-exclude-outbound-cidr=192.0.2.1/32",
            "-exclude-uid=101",
            "-exclude-uid=0",
        ]

    @pytest.mark.parametrize(
        ("name", "text", "problem"),
        [
            ("exclude-inbound-ports", "80,http", "value of http is not a valid integer"),
            ("exclude-outbound-ports", "70000", "value of 70000 is not in the valid port range 1-65535"),
            ("exclude-outbound-cidrs", "10.0.0.0/33", "value of 10.0.0.0/33 is not an address range such as"),
            ("exclude-uids", "-1", "value of -1 is not a user id"),
        ],
    )
    def test_what_cannot_be_excluded_is_refused(self, name: str, text: str, problem: str) -> None:
        said = refusal(pod({f"transparent-proxy-{name}": text}))
        assert said.startswith(f"consul.hashicorp.com/transparent-proxy-{name} annotation {problem}")

    def test_a_pod_of_the_nodes_network_is_refused(self) -> None:
        said = refusal(pod(hostNetwork=True))
        assert said.startswith("hostNetwork pods cannot use transparent proxy")
        assert 'set consul.hashicorp.com/transparent-proxy to "false"' in said
        assert not is_redirected(inject(pod({"transparent-proxy": "false"}, hostNetwork=True)))

    def test_nobody_else_may_be_the_sidecars_user(self) -> None:
        envoy = {"runAsUser": 5995}
        assert refusal(pod(securityContext=envoy)) == (
            "pod security context cannot have the same uid as envoy: 5995"
        )
        assert refusal(pod(containers=[container(securityContext=envoy)])) == (
            'container "web" has runAsUser set to the same uid 5995 as envoy which is not allowed'
        )
        assert 'container "migrate" has' in refusal(
            pod(initContainers=[container("migrate", securityContext=envoy)])
        )
        assert inject(pod(securityContext=envoy), **UNDIRECTED)


class TestTheAuthors:
    def test_it_stays_the_only_one_and_comes_first(self) -> None:
        changed = inject(pod(initContainers=[kuma_init(), container("migrate")]), **UNDIRECTED)
        assert names(changed["spec"]["initContainers"]) == ["kuma-init", "envoy-sidecar", "migrate"]

    @pytest.mark.parametrize("asked", [None, "true"])
    def test_ours_is_not_added_even_if_asked_for(self, asked: str | None) -> None:
        author = pod({"transparent-proxy": asked} if asked else {}, initContainers=[kuma_init()])
        assert not is_redirected(inject(author))

    def test_the_sidecar_is_the_user_whose_traffic_goes_free(self) -> None:
        context = named(inject(pod(initContainers=[kuma_init()])), "envoy-sidecar")["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["runAsNonRoot"]) == (0, 0, False)
        assert context["capabilities"] == {"drop": ["ALL"]}
        other = kuma_init("-u", "1337", "-g", "1338")
        context = named(inject(pod(initContainers=[other])), "envoy-sidecar")["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["runAsNonRoot"]) == (1337, 1338, True)

    def test_probes_of_the_sidecar_go_where_everything_that_arrives_goes(self) -> None:
        sidecar = named(inject(pod(initContainers=[kuma_init()])), "envoy-sidecar")
        assert sidecar["startupProbe"]["tcpSocket"] == {"port": 20000}
        assert sidecar["readinessProbe"]["tcpSocket"] == {"port": 20000}

    def test_probes_of_the_sidecar_go_to_its_status_port_where_that_is_left_alone(self) -> None:
        sidecar = named(inject(pod(initContainers=[kuma_init("-d", "21000")])), "envoy-sidecar")
        assert sidecar["readinessProbe"]["httpGet"] == {"port": 21000, "path": "/ready"}

    def test_probes_of_the_application_stay_and_it_is_said_that_they_do_not_arrive(self) -> None:
        probe = {"httpGet": {"path": "/ready", "port": "http"}}
        author = pod(containers=[container(readinessProbe=probe)], initContainers=[kuma_init()])
        result = outcome(author)
        assert named(result.pod, "web")["readinessProbe"] == probe
        (warning,) = result.warnings
        assert 'container "web": its readinessProbe to port 8080 lands at the sidecar' in warning
        excluded = pod(containers=[container(readinessProbe=probe)], initContainers=[kuma_init("-d", "8080")])
        assert outcome(excluded).warnings == ()

    @pytest.mark.parametrize(
        ("author", "problem"),
        [
            (
                pod({"transparent-proxy": "false"}, initContainers=[kuma_init()]),
                'consul.hashicorp.com/transparent-proxy is "false", but init container "kuma-init" redirects',
            ),
            (
                pod(hostNetwork=True, initContainers=[kuma_init()]),
                "hostNetwork pods cannot use transparent proxy",
            ),
            (
                pod(initContainers=[kuma_init("-z", "15006")]),
                'init container "kuma-init" sends what arrives to port 15006, where nobody listens: '
                "give it -z 20000",
            ),
            (pod(initContainers=[kuma_init("-u", "envoy")]), "init container \"kuma-init\": -u: 'envoy'"),
            (pod(initContainers=[kuma_init("-q", "1")]), "init container \"kuma-init\": flag: '-q'"),
        ],
    )
    def test_what_cannot_work_is_refused(self, author: dict[str, Any], problem: str) -> None:
        assert refusal(author).startswith(problem)

    def test_an_application_of_the_user_that_goes_free_is_told(self) -> None:
        root = container(securityContext={"runAsUser": 0})
        (warning,) = outcome(pod(containers=[root], initContainers=[kuma_init()])).warnings
        assert warning.startswith('container "web" runs as user 0, whose connections are not redirected')


@pytest.mark.parametrize(
    ("spec", "whose"),
    [
        ({}, "nothing redirects the pod's traffic"),
        ({"initContainers": [kuma_init()]}, "its author redirects"),
    ],
)
def test_exclusions_from_what_is_not_ours_are_said_to_have_no_effect(
    spec: dict[str, Any], whose: str
) -> None:
    author = pod({"transparent-proxy-exclude-inbound-ports": "9000"}, **spec)
    (warning,) = outcome(author, **UNDIRECTED).warnings
    assert whose in warning
    assert "transparent-proxy-exclude-inbound-ports has no effect" in warning
