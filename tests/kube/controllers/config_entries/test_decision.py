"""What to do about a custom resource, by what the server has."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.kube.controllers.config_entries.conversion import entry_of, shown_entry
from pellucid.kube.controllers.config_entries.decision import (
    Condition,
    Decision,
    condition_of,
    decide,
    decide_leaving,
    status_patch,
)
from pellucid.kube.controllers.config_entries.kinds import BY_NAME
from pellucid.model.config_entries import ConfigEntry, to_json_object
from tests.kube.controllers.config_entries.test_validation import VALID

ALL = pytest.mark.parametrize("kind", sorted(VALID))


def ours(protocol: str = "http", datacenter: str = "dc1") -> ConfigEntry:
    return entry_of(BY_NAME["ServiceDefaults"], "web", {"protocol": protocol}, datacenter)


def by_hand(protocol: str = "http") -> ConfigEntry:
    return shown_entry({"Kind": "service-defaults", "Name": "web", "Protocol": protocol})


def decided(found: ConfigEntry | None, *, migrates: bool = False) -> Decision:
    return decide(ours(), found, migrates=migrates)


class TestDecision:
    def test_what_is_not_there_is_written(self) -> None:
        assert decided(None) == Decision(write=True)

    def test_what_is_ours_and_the_same_is_left_alone(self) -> None:
        assert decided(ours()) == Decision()

    def test_what_is_ours_and_different_is_overwritten(self) -> None:
        assert decided(ours("tcp")) == Decision(write=True, is_update=True)

    def test_what_somebody_wrote_by_hand_is_not_touched(self) -> None:
        decision = decided(by_hand())
        assert not decision.write
        assert decision.condition == Condition(
            "False", "ExternallyManagedConfigError", "config entry already exists in Consul"
        )

    def test_what_another_cluster_wrote_is_not_touched(self) -> None:
        assert decided(ours(datacenter="dc2")).condition.message == (
            'config entry managed in different datacenter: "dc2"'
        )

    def test_a_migration_takes_over_what_says_the_same(self) -> None:
        assert decided(by_hand(), migrates=True) == Decision(write=True, is_update=True)

    def test_a_migration_of_what_says_something_else_fails_and_shows_both(self) -> None:
        decision = decided(by_hand("tcp"), migrates=True)
        assert not decision.write
        assert (decision.condition.status, decision.condition.reason) == ("False", "MigrationFailedError")
        assert decision.condition.message.startswith(
            "migration failed: Kubernetes resource does not match existing Consul config entry: consul={"
        )

    @pytest.mark.parametrize(
        ("found", "deletes"),
        [(None, False), (by_hand(), False), (ours(datacenter="dc2"), False), (ours("tcp"), True)],
    )
    def test_only_an_entry_of_ours_goes_with_its_resource(
        self, found: ConfigEntry | None, deletes: bool
    ) -> None:
        assert decide_leaving(found, "dc1").delete is deletes


class TestConversion:
    @ALL
    def test_an_entry_read_back_is_the_same(self, kind: str) -> None:
        entry = entry_of(BY_NAME[kind], BY_NAME[kind].only_name or "web", VALID[kind], "dc1")
        shown = shown_entry({**to_json_object(entry), "CreateIndex": 1, "ModifyIndex": 2})
        assert decide(entry, shown, migrates=False) == Decision()

    @ALL
    def test_every_entry_is_marked_as_this_clusters(self, kind: str) -> None:
        entry = entry_of(BY_NAME[kind], "web", VALID[kind], "dc1")
        assert entry.meta == {
            "external-source": "kubernetes",
            "consul.hashicorp.com/source-datacenter": "dc1",
        }

    def test_a_bare_number_counts_nanoseconds(self) -> None:
        resolver = BY_NAME["ServiceResolver"]
        as_number = entry_of(resolver, "web", {"connectTimeout": 5_000_000_000}, "dc1")
        assert as_number == entry_of(resolver, "web", {"connectTimeout": "5s"}, "dc1")

    def test_the_order_of_intentions_does_not_matter(self) -> None:
        sources = [{"name": name, "action": "allow"} for name in "abc"]
        kind = BY_NAME["ServiceIntentions"]
        one, other = (
            entry_of(kind, "web", {"destination": {"name": "web"}, "sources": order}, "dc1")
            for order in (sources, sources[::-1])
        )
        assert decide(one, other, migrates=False) == Decision()


SYNCED_AT_TEN: dict[str, Any] = {
    "conditions": [{"type": "Synced", "status": "True", "lastTransitionTime": "2021-07-08T10:00:00Z"}]
}


class TestStatus:
    def test_the_time_of_transition_stays_while_the_status_does(self) -> None:
        same = status_patch(SYNCED_AT_TEN, Condition("True"), "2021-07-08T11:00:00Z", synced_now=True)
        assert same["conditions"][0]["lastTransitionTime"] == "2021-07-08T10:00:00Z"
        assert same["lastSyncedTime"] == "2021-07-08T11:00:00Z"

    def test_and_changes_with_it(self) -> None:
        condition = Condition("False", "ConsulAgentError", "no")
        changed = status_patch(SYNCED_AT_TEN, condition, "2021-07-08T11:00:00Z", synced_now=False)
        assert changed["conditions"][0]["lastTransitionTime"] == "2021-07-08T11:00:00Z"
        assert condition_of(changed) == condition
        assert "lastSyncedTime" not in changed

    def test_a_resource_without_a_status_has_no_condition(self) -> None:
        assert condition_of(None) is condition_of({}) is None
