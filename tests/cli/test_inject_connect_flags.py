"""`k8s inject-connect` takes consul-k8s's flags for what holds for pods that do not say."""

from __future__ import annotations

import pytest

from pellucid.cli.command import CommandFailed
from pellucid.cli.commands.k8s import INJECT_CONNECT, injector_settings
from pellucid.cli.go_flags import parse
from pellucid.kube.annotations import InvalidAnnotationError
from pellucid.kube.cluster_version import Release
from pellucid.kube.injector.settings import InjectorSettings, LifecycleDefaults, MetricsDefaults


def settings(*words: str, kubernetes: Release = (1, 30)) -> InjectorSettings:
    flags, rest = parse(INJECT_CONNECT.flags, words)
    assert rest == ()
    return injector_settings(flags, kubernetes)


def test_without_flags_the_settings_are_their_own_defaults_and_no_namespace_is_allowed() -> None:
    nothing = InjectorSettings(
        image="", http_address="", grpc_address="", server_authority="", token_audience="",
        allow_namespaces=frozenset(),
    )  # fmt: skip
    assert settings() == nothing


@pytest.mark.parametrize(
    ("kubernetes", "native", "sleep"),
    [((1, 28), False, False), ((1, 29), True, False), ((1, 30), True, True)],
)
def test_what_a_release_has_is_used(kubernetes: Release, native: bool, sleep: bool) -> None:
    found = settings(kubernetes=kubernetes)
    assert (found.native_sidecars, found.hooks_may_sleep) == (native, sleep)


def test_native_sidecars_may_be_decided_by_hand() -> None:
    assert settings("-native-sidecars=true", kubernetes=(1, 28)).native_sidecars
    assert not settings("-native-sidecars=false").native_sidecars
    with pytest.raises(CommandFailed, match="'perhaps' is none of auto, true and false"):
        settings("-native-sidecars=perhaps")


def test_each_flag_is_its_setting() -> None:
    assert settings(
        "-image=pellucid/pellucid:1",
        "-http-addr=https://server:8501",
        "-grpc-addr=server:8502",
        "-token-audience=mesh",
        "-default-inject",
        "-default-enable-transparent-proxy=false",
        "-transparent-proxy-default-overwrite-probes=false",
        "-allow-k8s-namespace=a",
        "-allow-k8s-namespace=b",
        "-deny-k8s-namespace=c",
        "-envoy-extra-args=-l trace",
        "-default-enable-metrics=true",
        "-default-enable-metrics-merging=true",
        "-default-merged-metrics-port=1",
        "-default-prometheus-scrape-port=2",
        "-default-prometheus-scrape-path=/m",
        "-default-sidecar-proxy-lifecycle-shutdown-grace-period-seconds=3",
        "-default-sidecar-proxy-startup-failure-seconds=4",
        "-default-sidecar-proxy-liveness-failure-seconds=5",
        "-default-sidecar-proxy-cpu-request=100m",
        "-default-sidecar-proxy-memory-limit=64Mi",
        "-init-container-cpu-limit=0",
    ) == InjectorSettings(
        image="pellucid/pellucid:1",
        http_address="https://server:8501",
        grpc_address="server:8502",
        server_authority="",
        token_audience="mesh",
        inject_by_default=True,
        transparent_by_default=False,
        overwrite_probes=False,
        allow_namespaces=frozenset({"a", "b"}),
        deny_namespaces=frozenset({"c"}),
        envoy_extra_args="-l trace",
        metrics=MetricsDefaults(True, True, 1, 2, "/m"),
        lifecycle=LifecycleDefaults(3, 4, 5),
        sidecar_resources={"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
        init_resources={"limits": {"cpu": "0"}},
    )


def test_what_is_no_quantity_is_refused_by_flag() -> None:
    with pytest.raises(InvalidAnnotationError, match='parsing flag -init-container-cpu-limit:"much"'):
        settings("-init-container-cpu-limit=much")
