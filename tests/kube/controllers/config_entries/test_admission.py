"""Whether a custom resource may be stored."""

from __future__ import annotations

from typing import Any

from pellucid.kube.controllers.config_entries.admission import refusal_of
from pellucid.kube.controllers.config_entries.kinds import BY_NAME
from pellucid.kube.webhook.review import CREATE, UPDATE, Question


def resource(name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def created(kind: str, item: dict[str, Any], *existing: dict[str, Any]) -> str | None:
    return refusal_of(BY_NAME[kind], question(CREATE, item, {}), existing)


def updated(kind: str, before: dict[str, Any], after: dict[str, Any]) -> str | None:
    return refusal_of(BY_NAME[kind], question(UPDATE, after, before), [])


def question(operation: str, item: dict[str, Any], before: dict[str, Any]) -> Question:
    return Question("admission.k8s.io/v1", "u1", operation, "default", item, before)


def intentions(name: str, destination: str) -> dict[str, Any]:
    sources = [{"name": "a", "action": "allow"}]
    return resource(name, destination={"name": destination}, sources=sources)


def test_a_name_is_unique_across_namespaces() -> None:
    assert created("ServiceDefaults", resource("web"), resource("db")) is None
    assert created("ServiceDefaults", resource("web"), resource("web", "other")) == (
        'servicedefaults resource with name "web" is already defined – all servicedefaults resources must '
        "have unique names across namespaces"
    )


def test_the_kinds_of_one_have_one_name() -> None:
    assert created("ProxyDefaults", resource("global")) is None
    assert created("ProxyDefaults", resource("x")) == 'proxydefaults resource name must be "global"'
    assert created("ProxyDefaults", resource("global"), resource("global", "other")) == (
        "proxydefaults resource already defined - only one global entry is supported"
    )
    assert created("Mesh", resource("x")) == 'mesh resource name must be "mesh"'
    assert created("Mesh", resource("mesh"), resource("mesh", "other")) == (
        "mesh resource already defined - only one mesh entry is supported"
    )


def test_intentions_are_unique_by_destination_and_keep_it() -> None:
    assert created("ServiceIntentions", intentions("b", "web"), intentions("a", "db")) is None
    assert created("ServiceIntentions", intentions("b", "web"), intentions("a", "web")) == (
        "an existing ServiceIntentions resource has `spec.destination.name: web`"
    )
    assert updated("ServiceIntentions", intentions("a", "web"), intentions("a", "db")) == (
        "spec.destination.name and spec.destination.namespace are immutable fields for ServiceIntentions"
    )


def test_an_update_that_leaves_the_spec_alone_is_allowed_however_the_spec_is_judged() -> None:
    invalid = resource("web", splits=[{"weight": 1}])
    released = {**invalid, "metadata": {**invalid["metadata"], "finalizers": []}}
    assert created("ServiceSplitter", invalid) is not None
    assert updated("ServiceSplitter", invalid, released) is None
