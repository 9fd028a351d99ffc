"""What holds for every pod: the API server takes the patch, and a second injection changes nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.kube.annotations import InvalidAnnotationError
from pellucid.kube.injector.decision import wants_sidecar
from pellucid.kube.injector.mutation import injected
from pellucid.kube.injector.review import decided, mutated, response_to
from pellucid.kube.injector.settings import InjectorSettings, LifecycleDefaults, MetricsDefaults
from pellucid.kube.webhook.review import Question
from pellucid.localkube.api.patches import json_patch
from tests.kube.injector.pods import PREFIX, Pod, kuma_init, settings_with

NAMES = st.sampled_from(["web", "log", "migrate", "cache", "db"])
PORTS = st.integers(1, 65_535)


def handlers() -> st.SearchStrategy[dict[str, Any]]:
    port = PORTS | st.just("http")
    return st.one_of(
        st.fixed_dictionaries({"httpGet": st.fixed_dictionaries({"port": port, "path": st.just("/x")})}),
        st.fixed_dictionaries(
            {"httpGet": st.fixed_dictionaries({"port": port, "scheme": st.sampled_from(["HTTP", "HTTPS"])})}
        ),
        st.fixed_dictionaries({"tcpSocket": st.fixed_dictionaries({"port": port})}),
        st.just({"exec": {"command": ["true"]}}),
    )


def probes() -> st.SearchStrategy[dict[str, Any]]:
    grpc = st.fixed_dictionaries({"grpc": st.fixed_dictionaries({"port": PORTS})})
    return st.one_of(handlers(), grpc)


def containers(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    required = {"name": NAMES, "image": st.just("image")}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "ports": st.lists(
            st.fixed_dictionaries({"containerPort": PORTS}, optional={"name": st.just("http")}), max_size=2
        ),
        "env": st.just([{"name": "A", "value": "a"}]),
        "livenessProbe": probes(),
        "readinessProbe": probes(),
        "startupProbe": probes(),
        "lifecycle": st.fixed_dictionaries({"preStop": handlers()}),
        **fields,
    }
    return st.fixed_dictionaries(required, optional=optional)


def lists_of(one: st.SearchStrategy[dict[str, Any]], least: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(one, min_size=least, max_size=3, unique_by=lambda each: str(each["name"]))


ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        PREFIX + "connect-inject": st.just("true"),
        PREFIX + "connect-service": st.sampled_from(["shop", "a b", ""]),
        PREFIX + "connect-service-port": st.sampled_from(["http", "80", "x"]),
        PREFIX + "connect-service-upstreams": st.sampled_from(["pay:1234", "prepared_query:q:1", "pay"]),
        PREFIX + "transparent-proxy": st.sampled_from(["true", "false", "x"]),
        PREFIX + "transparent-proxy-exclude-uids": st.sampled_from(["1, 2", "x"]),
        PREFIX + "enable-metrics": st.sampled_from(["true", "false"]),
        PREFIX + "enable-metrics-merging": st.just("true"),
        PREFIX + "sidecar-proxy-cpu-limit": st.sampled_from(["100m", "much"]),
        PREFIX + "envoy-extra-args": st.sampled_from(["-l trace", "'"]),
        PREFIX + "consul-sidecar-user-volume": st.just('[{"name": "v", "emptyDir": {}}]'),
        PREFIX + "enable-consul-dataplane-as-sidecar": st.sampled_from(["true", "false"]),
        "unrelated": st.text(),
    },
)


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    """Pods that an API server takes, most of which may be injected."""
    metadata: dict[str, Any] = {"generateName": "web-"}
    for field in ("annotations", "labels"):
        if draw(st.booleans()):
            metadata[field] = draw(ANNOTATIONS) if field == "annotations" else {"app": "web"}
    spec: dict[str, Any] = {"containers": draw(lists_of(containers(), 1))}
    if draw(st.booleans()):
        taken = {each["name"] for each in spec["containers"]}
        found = draw(lists_of(containers(restartPolicy=st.just("Always")), 0))
        spec["initContainers"] = [each for each in found if each["name"] not in taken]
        if draw(st.booleans()):
            spec["initContainers"].insert(0, kuma_init())
    for container in spec.get("initContainers", ()):
        if "restartPolicy" not in container:
            for kind in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle"):
                container.pop(kind, None)
    if draw(st.booleans()):
        spec["volumes"] = [{"name": "data", "emptyDir": {}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


SETTINGS = st.builds(
    lambda **given: settings_with(**given),
    native_sidecars=st.booleans(),
    hooks_may_sleep=st.booleans(),
    transparent_by_default=st.booleans(),
    overwrite_probes=st.booleans(),
    inject_by_default=st.just(True),
    metrics=st.builds(MetricsDefaults, st.booleans(), st.booleans()),
    lifecycle=st.builds(LifecycleDefaults, liveness_failure_s=st.sampled_from([0, 30])),
    sidecar_resources=st.sampled_from([{}, {"requests": {"cpu": "10m"}}]),
)


def injected_or_none(pod: Pod, settings: InjectorSettings) -> Pod | None:
    try:
        return injected(pod, {}, settings).pod
    except InvalidAnnotationError:
        return None


@given(pods(), SETTINGS)
def test_the_api_servers_schema_takes_every_injected_pod(pod: Pod, settings: InjectorSettings) -> None:
    changed = injected_or_none(pod, settings)
    if changed is not None:
        kubernetes_validate.validate(changed, kubernetes_validate.latest_version(), strict=True)
        ours = [*changed["spec"]["initContainers"], *changed["spec"]["containers"]]
        assert len({each["name"] for each in ours}) == len(ours)
        mounted = {mount["name"] for each in ours for mount in each.get("volumeMounts", ())}
        assert mounted <= {volume["name"] for volume in changed["spec"]["volumes"]}


@given(pods(), SETTINGS)
def test_a_second_injection_changes_nothing(pod: Pod, settings: InjectorSettings) -> None:
    changed = injected_or_none(pod, settings)
    if changed is not None:
        assert not wants_sidecar(changed, "default", settings)


@given(pods(), SETTINGS)
def test_the_patch_makes_the_injected_pod_of_the_authors(pod: Pod, settings: InjectorSettings) -> None:
    question = Question("admission.k8s.io/v1", "u", "CREATE", "default", pod, {})
    response = response_to(question, decided(question, settings) or mutated(question, {}, settings))
    if response["allowed"] and "patch" in response:
        patched = json_patch(pod, json.loads(base64.b64decode(response["patch"])))
        assert patched == injected_or_none(pod, settings)
    else:
        assert injected_or_none(pod, settings) is None or not wants_sidecar(pod, "default", settings)


@given(pods(), SETTINGS)
def test_what_the_author_wrote_is_still_there(pod: Pod, settings: InjectorSettings) -> None:
    changed = injected_or_none(pod, settings)
    if changed is not None:
        rewritten = {"livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "env"}
        for field in ("containers", "initContainers"):
            now = {each["name"]: each for each in changed["spec"][field]}
            for each in pod["spec"].get(field) or ():
                kept = {name: value for name, value in each.items() if name not in rewritten}
                assert kept.items() <= now[each["name"]].items()
                assert [
                    one for one in now[each["name"]].get("env") or () if one in (each.get("env") or ())
                ] == (each.get("env") or [])


@pytest.mark.parametrize("native", [True, False])
def test_injected_pods_are_not_rare_in_these_tests(native: bool) -> None:
    pod = {"metadata": {}, "spec": {"containers": [{"name": "web", "image": "i"}]}}
    assert injected_or_none(pod, settings_with(native_sidecars=native)) is not None
