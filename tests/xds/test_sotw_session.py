"""The state-of-the-world session: every response is all of a type."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pellucid.xds.shared import SharedResource
from pellucid.xds.sotw import SotwRequest, SotwResponse, SotwSession
from pellucid.xds.subscription import MAX_NAMES, WILDCARD, Refusal, TooManyNames
from pellucid.xds.types import ResourceType
from tests.xds.configuration import CLUSTER, ENDPOINT, LISTENER, ROUTE, Configuration, holding, referred
from tests.xds.test_delta_session_laws import NAMES, contents


class Proxy:
    """A script's view of one stream: `ask`, `take` or `refuse`, and look at what comes."""

    def __init__(self, **types: Any) -> None:
        self.configuration = Configuration(holding(**types))
        self.session = SotwSession()
        self.configuration.tell(self.session)
        self.last: dict[ResourceType, SotwResponse] = {}
        self.names: dict[ResourceType, tuple[str, ...]] = {}

    def become(self, **types: Any) -> list[str]:
        self.configuration.become(holding(**types))
        return self.sent()

    def ask(self, resource_type: ResourceType, *names: str, version: str = "") -> list[str]:
        self.names[resource_type] = names
        last = self.last.get(resource_type)
        nonce, version = ("", version) if last is None else (last.nonce, last.version)
        self.session.receive(SotwRequest(str(resource_type), names, version, nonce))
        return self.sent()

    def take(self, resource_type: ResourceType) -> list[str]:
        return self.ask(resource_type, *self.names[resource_type])

    def refuse(self, resource_type: ResourceType) -> Refusal | None:
        last = self.last[resource_type]
        return self.session.receive(
            SotwRequest(str(resource_type), self.names[resource_type], "", last.nonce, error="no")
        )

    def sent(self) -> list[str]:
        lines = []
        while (response := self.session.next_response(self.configuration)) is not None:
            self.last[response.type] = response
            resources = (f"{each.name}={each.version}" for each in response.resources)
            lines.append(" ".join([response.type.name, *resources]))
        return lines


def fresh(**types: Any) -> Proxy:
    """A proxy that has taken all of a configuration."""
    proxy = Proxy(**types)
    proxy.ask(CLUSTER)
    proxy.ask(ENDPOINT, *types.get("endpoint", ()))
    proxy.ask(LISTENER)
    while any(proxy.take(resource_type) for resource_type in list(proxy.last)):
        pass
    return proxy


def test_a_response_holds_everything_asked_for() -> None:
    proxy = Proxy(cluster={"web": 1, "api": 1}, endpoint={"web": 1, "api": 1})

    assert proxy.ask(CLUSTER) == ["CLUSTER web=v1 api=v1"]
    assert proxy.ask(ENDPOINT, "web", "unknown") == ["ENDPOINT web=v1"]


def test_what_was_taken_is_not_sent_again() -> None:
    proxy = fresh(cluster={"web": 1, "api": 1})

    assert proxy.sent() == []
    assert proxy.become(cluster={"web": 1, "api": 2}) == ["CLUSTER web=v1 api=v2"]


def test_while_a_response_is_under_way_changes_gather_to_the_newest() -> None:
    proxy = Proxy(cluster={"web": 1})
    proxy.ask(CLUSTER)
    for version in range(2, 9):
        assert proxy.become(cluster={"web": version}) == []

    assert proxy.take(CLUSTER) == ["CLUSTER web=v8"]


def test_asking_for_other_names_is_answered() -> None:
    proxy = fresh(endpoint={"web": 1, "api": 1})

    assert proxy.ask(ENDPOINT, "web") == ["ENDPOINT web=v1"]
    assert proxy.configuration.joined == {(ENDPOINT, "web")}


def test_types_that_are_only_had_by_name_have_no_wildcard_of_the_old_kind() -> None:
    assert Proxy(endpoint={"web": 1}).ask(ENDPOINT) == ["ENDPOINT"]
    assert Proxy(endpoint={"web": 1}).ask(ENDPOINT, WILDCARD) == ["ENDPOINT web=v1"]


def test_answers_to_other_responses_and_other_types_change_nothing() -> None:
    proxy = Proxy(cluster={"web": 1})
    proxy.ask(CLUSTER)
    proxy.become(cluster={"web": 2})

    assert proxy.session.receive(SotwRequest(str(CLUSTER), nonce="99", error="no")) is None
    assert proxy.session.receive(SotwRequest("unknown")) is None
    assert proxy.sent() == []


def test_a_refused_version_is_not_sent_again_and_a_new_one_is() -> None:
    proxy = Proxy(listener={"out": 1})
    proxy.ask(LISTENER)
    version = proxy.last[LISTENER].version

    assert proxy.refuse(LISTENER) == Refusal(version, "no")
    assert proxy.sent() == []
    assert proxy.session.refusals() == {(LISTENER, WILDCARD): Refusal(version, "no")}
    assert proxy.become(listener={"out": 2}) == ["LISTENER out=v2"]
    assert proxy.take(LISTENER) == []
    assert proxy.session.refusals() == {}


def test_a_cluster_is_left_out_only_after_listeners_have_let_go_of_it() -> None:
    proxy = fresh(cluster={"web": 1, "api": 1}, listener={"out": 1})

    assert proxy.become(cluster={"api": 1}, listener={"out": 2}) == ["LISTENER out=v2"]
    assert proxy.take(LISTENER) == ["CLUSTER api=v1"]


def test_endpoints_are_sent_again_behind_clusters() -> None:
    proxy = fresh(cluster={"web": 1}, endpoint={"web": 1})

    assert proxy.become(cluster={"web": 2}, endpoint={"web": 1}) == ["CLUSTER web=v2", "ENDPOINT web=v1"]


def test_what_cannot_be_built_stays_in_as_it_was_sent() -> None:
    proxy = fresh(cluster={"web": 1, "api": 1})
    proxy.configuration.fail(CLUSTER, "web")

    assert proxy.become(cluster={"web": 2, "api": 2}) == ["CLUSTER web=v1 api=v2"]


def test_what_a_proxy_that_comes_back_may_have_is_not_left_out_because_it_cannot_be_built() -> None:
    proxy = Proxy(cluster={"web": 1})
    proxy.configuration.fail(CLUSTER, "web")

    assert proxy.ask(CLUSTER, version="from before") == []
    proxy.configuration.heal()
    assert proxy.sent() == ["CLUSTER web=v1"]


def test_a_proxy_that_comes_back_with_the_version_of_now_is_sent_nothing() -> None:
    version = fresh(cluster={"web": 1}).last[CLUSTER].version

    assert Proxy(cluster={"web": 1}).ask(CLUSTER, version=version) == []


def test_no_stream_may_ask_for_names_without_end() -> None:
    names = tuple(str(number) for number in range(MAX_NAMES + 1))

    with pytest.raises(TooManyNames, match="65536 names"):
        SotwSession().receive(SotwRequest(str(ENDPOINT), names))


class AnyClient(RuleBasedStateMachine):
    """A client that takes or refuses, asks for other names, and any configuration."""

    def __init__(self) -> None:
        super().__init__()
        self.configuration = Configuration()
        self.session = SotwSession()
        self.configuration.tell(self.session)
        self.to_client: deque[SotwResponse] = deque()
        self.names: dict[ResourceType, tuple[str, ...]] = {}
        self.taken: dict[ResourceType, SotwResponse] = {}
        self.nonces: dict[ResourceType, str] = {}
        self.refused: set[tuple[ResourceType, str, tuple[str, ...]]] = set()

    @initialize(content=contents())
    def begin(self, content: dict[ResourceType, dict[str, SharedResource]]) -> None:
        self.configuration.become(content)
        for resource_type in (CLUSTER, LISTENER):
            self.ask(resource_type, ())
        self.ask(ENDPOINT, tuple(NAMES[ENDPOINT]))

    @rule(content=contents())
    def configure(self, content: dict[ResourceType, dict[str, SharedResource]]) -> None:
        self.configuration.become(content)
        self.pump()

    @rule(resource_type=st.sampled_from([ENDPOINT, ROUTE]), data=st.data())
    def ask_for(self, resource_type: ResourceType, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(NAMES[resource_type]), min_size=1, unique=True))
        self.ask(resource_type, tuple(names))

    @rule(refuse=st.booleans())
    @precondition(lambda self: self.to_client)
    def response_arrives(self, refuse: bool) -> None:
        response = self.to_client.popleft()
        self.nonces[response.type] = response.nonce
        if not refuse:
            self.taken[response.type] = response
            clusters = {each.name for each in self.taken.get(CLUSTER, response).resources}
            used = {
                n
                for t in (LISTENER, ROUTE)
                if t in self.taken
                for each in self.taken[t].resources
                for n in referred(each)
            }
            if response.type is CLUSTER and not self.refused:
                assert used <= clusters, "clusters were left out under the traffic for them"
        else:
            self.refused.add((response.type, response.version, self.names[response.type]))
        self.ask(response.type, self.names[response.type], error="no" if refuse else None)

    def ask(self, resource_type: ResourceType, names: tuple[str, ...], error: str | None = None) -> None:
        self.names[resource_type] = names
        nonce = self.nonces.get(resource_type, "")
        self.session.receive(SotwRequest(str(resource_type), names, "", nonce, error))
        self.pump()

    def pump(self) -> None:
        while (response := self.session.next_response(self.configuration)) is not None:
            assert response.type not in {each.type for each in self.to_client}, "two under way"
            self.to_client.append(response)

    def teardown(self) -> None:
        while self.to_client:
            self.response_arrives(refuse=False)
        refusals = self.session.refusals()
        for resource_type, names in self.names.items():
            if not refusals:
                there = self.configuration.content.get(resource_type, {})
                wanted = [r for n, r in there.items() if not names or n in names]
                assert sorted(self.taken[resource_type].resources, key=repr) == sorted(wanted, key=repr)


AnyClient.TestCase.settings = settings(stateful_step_count=30)
TestAnyClient = AnyClient.TestCase
