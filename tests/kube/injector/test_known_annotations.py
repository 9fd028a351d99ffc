"""A misspelt annotation does not pass in silence, nor does one that has no effect here."""

from __future__ import annotations

import pytest

from pellucid.kube.injector.known_annotations import OF_PODS, WITHOUT_EFFECT, advice_on_names
from tests.kube.injector.pods import PREFIX, inject, kuma_init, outcome, pod


def advice(*names: str) -> list[str]:
    return list(advice_on_names(dict.fromkeys(names, "")))


def test_annotations_of_pods_and_of_others_pass() -> None:
    assert advice(*OF_PODS, PREFIX + "service-meta-team", "example.test/connect-injct") == []


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("connect-injected", "connect-inject"),
        ("transparent-proxy-exclude-inbound-port", "transparent-proxy-exclude-inbound-ports"),
        ("enable-metric", "enable-metrics"),
    ],
)
def test_a_misspelt_one_is_told_with_the_nearest(misspelt: str, meant: str) -> None:
    assert advice(PREFIX + misspelt) == [
        f"there is no annotation {PREFIX}{misspelt}; did you mean {PREFIX}{meant}?"
    ]


def test_one_that_is_like_no_other_is_told_without() -> None:
    assert advice(PREFIX + "zebra") == [f"there is no annotation {PREFIX}zebra"]


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_one_that_does_nothing_here_is_told_with_the_reason(name: str) -> None:
    assert advice(name) == [f"{name} has no effect: {WITHOUT_EFFECT[name]}"]


@pytest.mark.parametrize("author", [pod(), pod(initContainers=[kuma_init()])])
def test_what_the_injector_writes_is_known(author: dict[str, object]) -> None:
    assert advice(*inject(author)["metadata"]["annotations"]) == []
    assert outcome(author).warnings == ()
