"""What the controller keeps in the catalog: compared, written and read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pellucid.kube.controllers.endpoints.catalog import (
    Held,
    InstanceKey,
    Registration,
    difference,
    is_shown_as,
    registration_body,
    registrations_of_node,
)
from pellucid.model.checks import CheckStatus
from pellucid.model.services import MeshGatewayConfig, Service
from tests.kube.controllers.endpoints.pods import pod, registered, service

instances = st.builds(
    Registration,
    service=st.builds(
        lambda node, name, port, uid: Service(
            node=node,
            id=f"web-1-{name}",
            name=name,
            port=port,
            meta={"pod-name": "web-1", "k8s-namespace": "default", "pod-uid": uid},
        ),
        st.sampled_from(("n1", "n2")),
        st.sampled_from(("a", "b", "c")),
        st.integers(1, 3),
        st.sampled_from(("u1", "u2")),
    ),
    node_address=st.just("192.0.2.1"),
    status=st.sampled_from((CheckStatus.PASSING, CheckStatus.CRITICAL)),
    output=st.just(""),
)
catalogs = st.lists(instances, unique_by=lambda one: one.key)


def by_key(many: list[Registration]) -> dict[InstanceKey, Registration]:
    return {one.key: one for one in many}


@given(desired=catalogs, found=catalogs)
def test_the_difference_applied_gives_what_is_desired(
    desired: list[Registration], found: list[Registration]
) -> None:
    what = difference(desired, found)
    catalog = by_key(found) | by_key(list(what.registers))
    for key in what.deregisters:
        del catalog[key]
    assert catalog == by_key(desired)


@given(catalogs)
def test_what_is_as_desired_needs_no_write(desired: list[Registration]) -> None:
    assert not difference(desired, desired)


@given(desired=catalogs, found=catalogs)
def test_nothing_is_written_twice_or_in_vain(desired: list[Registration], found: list[Registration]) -> None:
    what = difference(desired, found)
    there = by_key(found)
    assert all(there.get(one.key) != one for one in what.registers)
    assert not {one.key for one in what.registers} & set(what.deregisters)


@given(st.lists(catalogs))
def test_what_is_held_is_found_by_pod_and_by_service(writes: list[list[Registration]]) -> None:
    held = Held()
    model: dict[InstanceKey, Registration] = {}
    for some in writes:
        for one in some:
            held.put(one)
            model[one.key] = one
        for key in list(model)[::2]:
            held.drop(key)
            del model[key]
    assert by_key(list(held.of_pod(("default", "web-1")))) == model
    for name in ("a", "b", "c"):
        expected = {"default"} if any(one.service.name == name for one in model.values()) else set()
        assert held.namespaces_of(name) == expected


def test_settings_that_come_from_configuration_entries_are_no_difference() -> None:
    _, sidecar = registered(pod(), service())
    completed = replace(
        sidecar.service.proxy,
        mode="transparent",
        config={"protocol": "http"},
        mesh_gateway=MeshGatewayConfig("local"),
    )
    assert is_shown_as(sidecar, replace(sidecar, service=replace(sidecar.service, proxy=completed)))


def test_settings_of_the_registrations_own_are() -> None:
    _, sidecar = registered(pod(is_redirected=True), service())
    for changed in ({"mode": "direct"}, {"local_service_port": 1}, {"destination_service_id": "other"}):
        proxy = replace(sidecar.service.proxy, **changed)
        assert not is_shown_as(sidecar, replace(sidecar, service=replace(sidecar.service, proxy=proxy)))


def test_the_readiness_check_is_part_of_the_registration() -> None:
    instance, _ = registered(pod(is_ready=True), service())
    assert registration_body(instance)["Checks"] == [
        {
            "CheckID": "default/web-1-web/kubernetes-readiness",
            "Name": "Kubernetes Readiness Check",
            "Type": "kubernetes-readiness",
            "Status": "passing",
            "Output": "Kubernetes health checks passing",
            "ServiceID": "web-1-web",
        }
    ]


def test_what_others_registered_is_left_alone() -> None:
    others = {"ID": "db", "Service": "db", "Address": "", "Port": 1, "Meta": {"managed-by": "me"}}
    unmarked = {**others, "Meta": None}
    node = {"Node": "n1-virtual", "Address": "192.0.2.1"}
    assert list(registrations_of_node(node, [others, unmarked], [])) == []
