"""Custom kinds with real kubectl: rules in CEL, defaults, lists that are maps, versions, names."""

# ruff: noqa: E501 - messages are easier to compare in one piece

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from tests.localkube.http.served import Served

Object = dict[str, Any]

SPEC: Object = {
    "type": "object",
    "x-kubernetes-validations": [
        {"rule": "self.least <= self.most", "message": "least must not be above most"},
        {
            "rule": "!has(self.owner) || self.owner.startsWith('team-')",
            "messageExpression": "'owner must begin with team-, not ' + self.owner",
            "reason": "FieldValueForbidden",
            "fieldPath": ".owner",
        },
    ],
    "properties": {
        "least": {"type": "integer", "default": 1},
        "most": {"type": "integer", "default": 5},
        "owner": {"type": "string"},
        "class": {
            "type": "string",
            "default": "small",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "Value is immutable"}],
        },
        "port": {"x-kubernetes-int-or-string": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "replicas": {"type": "integer", "default": 0},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "size": {
                        "type": "integer",
                        "default": 3,
                        "x-kubernetes-validations": [{"rule": "self >= oldSelf"}],
                    },
                },
            },
        },
    },
}


def definition(spec: Object = SPEC, **names: Any) -> Object:
    status = {
        "type": "object",
        "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}},
    }
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    version = {
        "served": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
        "additionalPrinterColumns": [
            {"name": "Class", "type": "string", "jsonPath": ".spec.class"},
            {"name": "Most", "type": "integer", "jsonPath": ".spec.most", "priority": 1},
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.get('plural', 'gadgets')}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {
                "plural": "gadgets",
                "singular": "gadget",
                "kind": "Gadget",
                "shortNames": ["gd"],
                "categories": ["all"],
                **names,
            },
            "versions": [
                {"name": "v1", "storage": True, **version},
                {"name": "v1beta1", "storage": False, **version},
            ],
        },
    }


def gadget(name: str = "g", version: str = "v1", **spec: Any) -> Object:
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Gadget",
        "metadata": {"name": name},
        "spec": spec,
    }


def text(value: Object) -> str:
    return msgspec.json.encode(value).decode()


@pytest.fixture
async def served(served: Served) -> Served:
    await served.kubectl("create", "-f", "-", stdin=text(definition()))
    await served.kubectl("wait", "--for=condition=Established", "crd/gadgets.example.com")
    return served


async def refusal(served: Served, value: Object) -> str:
    code, _, errors = await served.try_kubectl("apply", "-f", "-", stdin=text(value))
    assert code == 1
    return errors.strip()


async def test_rules_are_kept_in_their_own_words(served: Served) -> None:
    assert await refusal(served, gadget(least=9)) == (
        'The Gadget "g" is invalid: spec: Invalid value: "object": least must not be above most'
    )
    assert await refusal(served, gadget(owner="me")) == (
        'The Gadget "g" is invalid: spec.owner: Forbidden: owner must begin with team-, not me'
    )
    assert await refusal(served, gadget(least="x")) == (
        'The Gadget "g" is invalid: \n'
        '* spec.least: Invalid value: "string": spec.least in body must be of type integer: "string"\n'
        '* <nil>: Invalid value: "null": some validation rules were not checked because the object was invalid; '
        "correct the existing errors to complete validation"
    )


async def test_rules_about_changes_compare_with_what_was(served: Served) -> None:
    parts = [{"name": "a", "size": 5}, {"name": "b", "size": 7}]
    await served.kubectl("apply", "-f", "-", stdin=text(gadget(parts=parts)))
    changed = gadget(**{"class": "large"})
    assert await refusal(served, changed) == (
        'The Gadget "g" is invalid: spec.class: Invalid value: "string": Value is immutable'
    )
    turned = [{"name": "b", "size": 6}, {"name": "a", "size": 6}]
    assert await refusal(served, gadget(parts=turned)) == (
        'The Gadget "g" is invalid: spec.parts[0].size: Invalid value: "integer": failed rule: self >= oldSelf'
    )


async def test_defaults_are_filled_in_at_every_depth_and_unknown_fields_go(served: Served) -> None:
    given = gadget(parts=[{"name": "a"}], port="http", free={"any": ["thing"]})
    await served.kubectl("apply", "-f", "-", stdin=text(given))
    found = msgspec.json.decode(await served.kubectl("get", "gadget", "g", "-o", "json"))["spec"]
    assert (found["class"], found["least"], found["parts"]) == ("small", 1, [{"name": "a", "size": 3}])
    assert (found["port"], found["free"]) == ("http", {"any": ["thing"]})
    code, _, errors = await served.try_kubectl("apply", "-f", "-", stdin=text(gadget(colour="red")))
    assert code == 1
    assert 'strict decoding error: unknown field "spec.colour"' in errors


async def test_elements_of_a_list_that_is_a_map_belong_to_who_applies_them(served: Served) -> None:
    one = gadget(parts=[{"name": "a", "size": 1}])
    other = gadget(parts=[{"name": "b", "size": 2}])
    for manager, value in (("one", one), ("two", other)):
        arguments = ("apply", "--server-side", f"--field-manager={manager}", "-f", "-")
        await served.kubectl(*arguments, stdin=text(value))
    listed = await served.kubectl("get", "gd", "g", "-o", "jsonpath={.spec.parts[*].name}")
    assert listed == "a b"
    taken = gadget(parts=[{"name": "a", "size": 9}])
    code, _, errors = await served.try_kubectl(
        "apply", "--server-side", "--field-manager=two", "-f", "-", stdin=text(taken)
    )
    assert code == 1
    assert 'conflict with "one": .spec.parts[name="a"].size' in errors


async def test_one_object_is_seen_in_every_version(served: Served) -> None:
    await served.kubectl("apply", "-f", "-", stdin=text(gadget(version="v1beta1")))
    for version in ("v1", "v1beta1"):
        found = await served.kubectl("get", f"gadgets.{version}.example.com", "g", "-o", "yaml")
        assert f"apiVersion: example.com/{version}\n" in found


async def test_columns_short_names_categories_and_scale(served: Served) -> None:
    await served.kubectl("apply", "-f", "-", stdin=text(gadget()))
    lines = (await served.kubectl("get", "gd")).splitlines()
    assert [line.split() for line in lines] == [["NAME", "CLASS"], ["g", "small"]]
    assert (await served.kubectl("get", "gd", "-o", "wide")).split()[:3] == ["NAME", "CLASS", "MOST"]
    assert "gadget.example.com/g" in await served.kubectl("get", "all", "-o", "name")
    await served.kubectl("scale", "gadget", "g", "--replicas=4")
    assert await served.kubectl("get", "gd", "g", "-o", "jsonpath={.spec.replicas}") == "4"
    assert "least" in await served.kubectl("explain", "gadget.spec")


async def test_fields_that_a_definition_says_can_be_selected_by(served: Served) -> None:
    other = definition(plural="gizmos", singular="gizmo", kind="Gizmo", shortNames=[])
    for version in other["spec"]["versions"]:
        version["selectableFields"] = [{"jsonPath": ".spec.class"}]
    await served.kubectl("create", "-f", "-", stdin=text(other))
    for name, size in (("a", "small"), ("b", "large")):
        await served.kubectl(
            "create", "-f", "-", stdin=text({**gadget(name, **{"class": size}), "kind": "Gizmo"})
        )
    found = await served.kubectl("get", "gizmos", "--field-selector=spec.class=large", "-o", "name")
    assert found == "gizmo.example.com/b\n"


async def test_names_that_are_taken_are_not_served(served: Served) -> None:
    other = definition(plural="gizmos", singular="gizmo", kind="Gadget", shortNames=[])
    await served.kubectl("create", "-f", "-", stdin=text(other))
    path = "jsonpath={range .status.conditions[*]}{.type}={.status}/{.reason} {end}"
    assert await served.kubectl("get", "crd", "gizmos.example.com", "-o", path) == (
        "NamesAccepted=False/KindConflict Established=False/NotAccepted "
    )
    code, _, errors = await served.try_kubectl("get", "gizmos")
    assert code == 1
    assert 'the server doesn\'t have a resource type "gizmos"' in errors


async def test_a_definition_goes_with_its_objects_once_nothing_holds_them(served: Served) -> None:
    held = gadget("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    for value in (gadget("free"), held):
        await served.kubectl("create", "-f", "-", stdin=text(value))
    await served.kubectl("delete", "crd", "gadgets.example.com", "--wait=false")
    assert await served.kubectl("get", "gadgets", "-o", "name") == "gadget.example.com/held\n"
    state = "jsonpath={.status.conditions[?(@.type=='Terminating')].reason}"
    assert await served.kubectl("get", "crd", "gadgets.example.com", "-o", state) == (
        "InstanceDeletionInProgress"
    )
    _, _, errors = await served.try_kubectl("create", "-f", "-", stdin=text(gadget("new")))
    assert "create not allowed while custom resource definition is terminating" in errors
    let_go = '{"metadata":{"finalizers":null}}'
    await served.kubectl("patch", "gadget", "held", "--type=merge", "-p", let_go)
    await served.kubectl("wait", "--for=delete", "crd/gadgets.example.com")
    assert await served.kubectl("get", "crd", "-o", "name") == ""


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("self.least <", "compilation failed: ERROR: <input>:1:13: Syntax error: mismatched input '<EOF>'"),
        ("self.nothing == 1", "compilation failed: ERROR: <input>:1:5: undefined field 'nothing'"),
        ("huge(self)", "compilation failed: ERROR: <input>:1:1: undeclared reference to 'huge'"),
        ("other == 1", "compilation failed: ERROR: <input>:1:1: undeclared reference to 'other'"),
    ],
)
async def test_a_rule_that_is_none_refuses_the_definition(served: Served, rule: str, said: str) -> None:
    spec = copy.deepcopy(SPEC)
    spec["x-kubernetes-validations"] = [{"rule": rule}]
    other = definition(spec, plural="gizmos", singular="gizmo", kind="Gizmo", shortNames=[])
    other["spec"]["versions"].pop()
    code, _, errors = await served.try_kubectl("create", "-f", "-", stdin=text(other))
    assert code == 1
    place = "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
    assert f'{place}: Invalid value: apiextensions.ValidationRule{{Rule:"{rule}", ' in errors
    assert said in errors


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            {"properties": {"a": {}}},
            "properties[a].type: Required value: must not be empty for specified object",
        ),
        ({"properties": {"a": {"type": "text"}}}, 'properties[a].type: Unsupported value: "text"'),
        ({"properties": {"a": {"type": "array"}}}, "properties[a].items: Required value: must be specified"),
        (
            {"properties": {"a": {"type": "integer", "default": "x"}}},
            'properties[a].default: Invalid value: "string"',
        ),
        (
            {"properties": {"a": {"type": "string", "pattern": "("}}},
            'properties[a].pattern: Invalid value: "(": must be a valid regular expression',
        ),
    ],
)
async def test_a_schema_that_is_not_structural_refuses_the_definition(
    served: Served, schema: Object, said: str
) -> None:
    other = definition({"type": "object", **schema}, plural="gizmos", singular="gizmo", kind="Gizmo")
    code, _, errors = await served.try_kubectl("create", "-f", "-", stdin=text(other))
    assert code == 1
    assert f"spec.versions[0].schema.openAPIV3Schema.properties[spec].{said}" in errors
