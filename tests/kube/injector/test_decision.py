"""Which pods get a sidecar, asked in order."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.kube.annotations import InvalidAnnotationError
from pellucid.kube.injector.decision import wants_sidecar
from tests.kube.injector.pods import PREFIX, pod, settings_with


def wants(annotations: dict[str, str] | None = None, namespace: str = "default", **settings: Any) -> bool:
    return wants_sidecar(pod(annotations), namespace, settings_with(**settings))


@pytest.mark.parametrize(("default", "asked"), [(False, "true"), (True, "true"), (False, "1")])
def test_a_pod_that_asks_gets_one(default: bool, asked: str) -> None:
    assert wants({"connect-inject": asked}, inject_by_default=default)


def test_a_pod_that_declines_gets_none() -> None:
    assert not wants({"connect-inject": "false"}, inject_by_default=True)


@pytest.mark.parametrize("default", [True, False])
def test_a_pod_that_does_not_say_gets_what_is_the_default(default: bool) -> None:
    assert wants(inject_by_default=default) is default


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public"])
def test_the_systems_namespaces_are_left_alone(namespace: str) -> None:
    assert not wants({"connect-inject": "true"}, namespace)


def test_deny_counts_more_than_allow() -> None:
    lists = {"allow_namespaces": frozenset({"*"}), "deny_namespaces": frozenset({"secret"})}
    assert not wants({"connect-inject": "true"}, "secret", **lists)
    assert wants({"connect-inject": "true"}, "default", **lists)


@pytest.mark.parametrize(("allowed", "expected"), [((), False), (("a",), False), (("default",), True)])
def test_only_allowed_namespaces_get_one(allowed: tuple[str, ...], expected: bool) -> None:
    assert wants({"connect-inject": "true"}, allow_namespaces=frozenset(allowed)) is expected


@pytest.mark.parametrize("status", ["injected", "anything"])
def test_a_pod_that_has_one_gets_no_second(status: str) -> None:
    assert not wants({"connect-inject": "true", "connect-inject-status": status})


@pytest.mark.parametrize("text", ["maybe", ""])
def test_an_answer_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidAnnotationError) as refused:
        wants({"connect-inject": text})
    assert str(refused.value) == (
        f'error checking if should inject: strconv.ParseBool: parsing "{text}": invalid syntax: '
        f"set {PREFIX}connect-inject to true or false"
    )


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (
            "connect-service-protocol",
            'the "consul.hashicorp.com/connect-service-protocol" annotation is no longer supported. Instead, '
            "create a ServiceDefaults resource (see www.consul.io/docs/k8s/crds/upgrade-to-crds)",
        ),
        (
            "connect-sync-period",
            'the "consul.hashicorp.com/connect-sync-period" annotation is no longer supported because '
            "consul-sidecar is no longer injected to periodically register services",
        ),
    ],
)
@pytest.mark.parametrize("inject", ["true", "false"])
def test_annotations_of_the_past_are_refused_with_and_without_a_sidecar(
    annotation: str, problem: str, inject: str
) -> None:
    with pytest.raises(InvalidAnnotationError) as refused:
        wants({annotation: "", "connect-inject": inject})
    assert str(refused.value) == problem
