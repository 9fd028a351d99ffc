"""What the API promises of every object, whatever its kind."""

from __future__ import annotations

import asyncio

import pytest

from pellucid.localkube.api.admission import WriteOptions
from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
)
from tests.localkube.api.cluster import config_map, deployment, pod, resources_with_default_namespace


@pytest.fixture
async def resources() -> Resources:
    return await resources_with_default_namespace()


async def test_an_object_is_found_as_it_was_made_with_an_identity(resources: Resources) -> None:
    made = await resources.create(CONFIG_MAPS, "default", config_map("c", key="value"))
    assert made == await resources.get(CONFIG_MAPS, "default", "c")
    assert made["data"] == {"key": "value"}
    assert made["metadata"]["uid"]
    assert made["metadata"]["namespace"] == "default"
    assert int(made["metadata"]["resourceVersion"]) == resources.revision


async def test_a_missing_object_is_named_in_the_answer(resources: Resources) -> None:
    with pytest.raises(ApiError) as refusal:
        await resources.get(DEPLOYMENTS, "default", "x")
    assert refusal.value.code == 404
    assert refusal.value.message == 'deployments.apps "x" not found'


async def test_a_name_can_be_taken_once(resources: Resources) -> None:
    await resources.create(CONFIG_MAPS, "default", config_map("c"))
    with pytest.raises(ApiError, match='configmaps "c" already exists'):
        await resources.create(CONFIG_MAPS, "default", config_map("c"))


async def test_nothing_is_made_in_a_namespace_that_is_not_there(resources: Resources) -> None:
    with pytest.raises(ApiError, match='namespaces "n" not found') as refusal:
        await resources.create(CONFIG_MAPS, "n", config_map("c"))
    assert refusal.value.code == 404


async def test_a_generated_name_starts_with_what_was_asked_for(resources: Resources) -> None:
    made = await resources.create(CONFIG_MAPS, "default", {"metadata": {"generateName": "web-"}})
    assert made["metadata"]["name"].startswith("web-")
    assert len(made["metadata"]["name"]) == len("web-") + 5


async def test_a_write_with_an_old_version_conflicts(resources: Resources) -> None:
    old = await resources.create(CONFIG_MAPS, "default", config_map("c", key="1"))
    await resources.update(CONFIG_MAPS, "default", {**old, "data": {"key": "2"}})
    with pytest.raises(ApiError, match="the object has been modified") as refusal:
        await resources.update(CONFIG_MAPS, "default", {**old, "data": {"key": "3"}})
    assert refusal.value.reason == "Conflict"
    assert (await resources.get(CONFIG_MAPS, "default", "c"))["data"] == {"key": "2"}


async def test_patches_that_name_no_version_all_take_effect(resources: Resources) -> None:
    await resources.create(CONFIG_MAPS, "default", config_map("c"))
    patches = [{"data": {f"key-{n}": "x"}} for n in range(20)]
    await asyncio.gather(*(resources.patch(CONFIG_MAPS, "default", "c", patch) for patch in patches))
    assert len((await resources.get(CONFIG_MAPS, "default", "c"))["data"]) == 20


async def test_a_write_that_changes_nothing_is_no_event(resources: Resources) -> None:
    made = await resources.create(CONFIG_MAPS, "default", config_map("c", key="1"))
    again = await resources.patch(CONFIG_MAPS, "default", "c", {"data": {"key": "1"}})
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_dry_run_answers_and_stores_nothing(resources: Resources) -> None:
    made = await resources.create(CONFIG_MAPS, "default", config_map("c"), options=WriteOptions(dry_run=True))
    assert made["metadata"]["uid"]
    with pytest.raises(ApiError, match="not found"):
        await resources.get(CONFIG_MAPS, "default", "c")


async def test_generation_counts_changes_of_the_intent_only(resources: Resources) -> None:
    await resources.create(DEPLOYMENTS, "default", deployment("d"))
    await resources.patch(DEPLOYMENTS, "default", "d", {"metadata": {"labels": {"a": "b"}}})
    scaled = await resources.patch(DEPLOYMENTS, "default", "d", {"spec": {"replicas": 3}})
    told = {**scaled, "status": {"replicas": 3}}
    after = await resources.update(DEPLOYMENTS, "default", told, subresource="status")
    assert after["metadata"]["generation"] == 2
    assert after["status"] == {"replicas": 3}


async def test_the_main_path_leaves_status_and_the_status_path_leaves_the_rest(resources: Resources) -> None:
    made = await resources.create(DEPLOYMENTS, "default", deployment("d"))
    both = {**made, "spec": {**made["spec"], "replicas": 5}, "status": {"replicas": 9}}
    by_status = await resources.update(DEPLOYMENTS, "default", both, subresource="status")
    assert (by_status["spec"]["replicas"], by_status["status"]["replicas"]) == (1, 9)
    del both["metadata"]["resourceVersion"]
    by_main = await resources.update(DEPLOYMENTS, "default", {**both, "status": {"replicas": 1}})
    assert (by_main["spec"]["replicas"], by_main["status"]["replicas"]) == (5, 9)


async def test_finalizers_keep_a_deleted_object_until_they_are_gone(resources: Resources) -> None:
    held = {"metadata": {"name": "c", "finalizers": ["example.com/held"]}}
    await resources.create(CONFIG_MAPS, "default", held)
    removal = await resources.remove(CONFIG_MAPS, "default", "c")
    assert not removal.gone
    assert removal.object["metadata"]["deletionTimestamp"]
    await resources.patch(CONFIG_MAPS, "default", "c", {"metadata": {"finalizers": None}})
    assert resources.peek(CONFIG_MAPS, "default", "c") is None


async def test_a_pod_on_a_node_waits_for_its_kubelet(resources: Resources) -> None:
    await resources.create(PODS, "default", pod("p", nodeName="n"))
    assert not (await resources.remove(PODS, "default", "p")).gone
    deleted = await resources.get(PODS, "default", "p")
    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 30
    assert (await resources.remove(PODS, "default", "p", grace_seconds=0)).gone


async def test_a_deletion_that_means_another_object_is_refused(resources: Resources) -> None:
    await resources.create(CONFIG_MAPS, "default", config_map("c"))
    with pytest.raises(ApiError, match="UID in precondition: other"):
        await resources.delete(CONFIG_MAPS, "default", "c", uid="other")


async def test_a_namespace_ends_when_its_own_finalizer_is_taken_away(resources: Resources) -> None:
    await resources.create(NAMESPACES, "", {"metadata": {"name": "n"}})
    await resources.delete(NAMESPACES, "", "n")
    ending = await resources.get(NAMESPACES, "", "n")
    assert ending["status"]["phase"] == "Terminating"
    with pytest.raises(ApiError, match="because it is being terminated"):
        await resources.create(CONFIG_MAPS, "n", config_map("c"))
    await resources.update(NAMESPACES, "", {**ending, "spec": {}}, subresource="finalize")
    assert resources.peek(NAMESPACES, "", "n") is None


async def test_lists_are_narrowed_by_labels_and_fields(resources: Resources) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "y"}), ("c", {})):
        await resources.create(CONFIG_MAPS, "default", {"metadata": {"name": name, "labels": labels}})

    async def names(**selectors: str) -> list[str]:
        found = await resources.list(CONFIG_MAPS, "default", **selectors)
        return [one["metadata"]["name"] for one in found]

    assert await names() == ["a", "b", "c"]
    assert await names(label_selector="app=x") == ["a"]
    assert await names(label_selector="app!=x") == ["b", "c"]
    assert await names(label_selector="app in (x, y)") == ["a", "b"]
    assert await names(label_selector="!app") == ["c"]
    assert await names(label_selector="app,app notin (y)") == ["a"]
    assert await names(field_selector="metadata.name=b") == ["b"]
    with pytest.raises(ApiError, match=r"field label not supported: spec.x"):
        await names(field_selector="spec.x=1")


async def test_unknown_fields_are_refused_told_or_dropped(resources: Resources) -> None:
    manifest = {**pod("p"), "foo": 1}
    strict = WriteOptions(validation="Strict")
    with pytest.raises(ApiError, match='strict decoding error: unknown field "foo"'):
        await resources.create(PODS, "default", manifest, options=strict)
    warn = WriteOptions(validation="Warn")
    made = await resources.create(PODS, "default", manifest, options=warn)
    assert warn.warnings == ['unknown field "foo"']
    assert "foo" not in made


async def test_a_value_of_the_wrong_type_is_named(resources: Resources) -> None:
    wrong = deployment("d")
    wrong["spec"]["replicas"] = "three"
    with pytest.raises(ApiError) as refusal:
        await resources.create(DEPLOYMENTS, "default", wrong)
    assert refusal.value.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into '
        "Go struct field DeploymentSpec.spec.replicas of type int32"
    )


async def test_every_broken_rule_is_a_cause_with_its_field(resources: Resources) -> None:
    wrong = deployment("d", replicas=-1)
    wrong["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    del wrong["spec"]["template"]["spec"]["containers"][0]["image"]
    with pytest.raises(ApiError) as refusal:
        await resources.create(DEPLOYMENTS, "default", wrong)
    fields = {cause["field"] for cause in refusal.value.details["causes"]}
    assert refusal.value.code == 422
    assert fields == {
        "spec.replicas",
        "spec.template.metadata.labels",
        "spec.template.spec.containers[0].image",
    }


async def test_a_selector_cannot_change(resources: Resources) -> None:
    await resources.create(DEPLOYMENTS, "default", deployment("d"))
    labels = {"app": "other"}
    change = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    with pytest.raises(ApiError, match=r"spec.selector: Invalid value: .*: field is immutable"):
        await resources.patch(DEPLOYMENTS, "default", "d", change)


async def test_a_pod_gets_what_it_left_out_and_its_token(resources: Resources) -> None:
    made = await resources.create(PODS, "default", pod("p", image="busybox"))
    container = made["spec"]["containers"][0]
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["spec"]["restartPolicy"] == "Always"
    assert container["imagePullPolicy"] == "Always"
    assert container["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert made["spec"]["volumes"][0]["name"] == container["volumeMounts"][0]["name"]


async def test_a_pod_without_its_service_account_is_refused(resources: Resources) -> None:
    with pytest.raises(ApiError, match='serviceaccount "ghost" not found') as refusal:
        await resources.create(PODS, "default", pod("p", serviceAccountName="ghost"))
    assert refusal.value.code == 403


async def test_services_get_addresses_of_their_own(resources: Resources) -> None:
    def service(name: str, **spec: object) -> dict[str, object]:
        return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}

    made = await asyncio.gather(*(resources.create(SERVICES, "default", service(f"s{n}")) for n in range(10)))
    assert len({one["spec"]["clusterIP"] for one in made}) == 10
    exposed = await resources.create(SERVICES, "default", service("np", type="NodePort"))
    assert exposed["spec"]["ports"][0]["nodePort"] >= 30000
    assert exposed["spec"]["ports"][0]["targetPort"] == 80
    taken = made[0]["spec"]["clusterIP"]
    with pytest.raises(ApiError, match="provided IP is already allocated"):
        await resources.create(SERVICES, "default", service("again", clusterIP=taken))


async def test_secret_text_is_kept_as_data(resources: Resources) -> None:
    made = await resources.create(
        SECRETS, "default", {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    )
    assert made["data"] == {"password": "aHVudGVyMg=="}
    assert made["type"] == "Opaque"
    assert "stringData" not in made


async def test_a_node_comes_with_the_status_its_kubelet_gives_it(resources: Resources) -> None:
    made = await resources.create(NODES, "", {"metadata": {"name": "n"}, "status": {"phase": "Running"}})
    assert made["status"] == {"phase": "Running"}
