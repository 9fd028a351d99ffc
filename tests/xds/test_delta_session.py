"""The delta session, case by case: what comes in, and what goes out for it."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.xds.delta import DeltaResponse, DeltaSession
from pellucid.xds.subscription import GONE, MAX_NAMES, DeltaRequest, Refusal, TooManyNames
from pellucid.xds.types import ResourceType
from tests.xds.configuration import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    ROUTE,
    SECRET,
    Configuration,
    holding,
)


class Proxy:
    """A script's view of one stream: `ask`, `take` or `refuse`, and look at what comes."""

    def __init__(self, **types: Any) -> None:
        self.configuration = Configuration(holding(**types))
        self.last: dict[ResourceType, str] = {}
        self.reconnect()

    def reconnect(self) -> None:
        self.session = DeltaSession()
        self.configuration.tell(self.session)

    def become(self, **types: Any) -> list[str]:
        self.configuration.become(holding(**types))
        return self.sent()

    def ask(self, resource_type: ResourceType, *names: str, **request: Any) -> list[str]:
        self.session.receive(DeltaRequest(str(resource_type), names, **request))
        return self.sent()

    def take(self, resource_type: ResourceType) -> list[str]:
        return self.ask(resource_type, nonce=self.last[resource_type])

    def refuse(self, resource_type: ResourceType, message: str = "no") -> list[str]:
        return self.ask(resource_type, nonce=self.last[resource_type], error=message)

    def sent(self) -> list[str]:
        """What goes out now, as `CLUSTER +web=v1 -api`."""
        lines = []
        while (response := self.session.next_response(self.configuration)) is not None:
            self.last[response.type] = response.nonce
            lines.append(shown(response))
        return lines

    def settle(self) -> None:
        """Take everything until nothing comes."""
        while any(self.take(resource_type) for resource_type in list(self.last)):
            pass


def shown(response: DeltaResponse) -> str:
    upserts = [f"+{each.name}={each.version}" for each in response.resources]
    return " ".join([response.type.name, *upserts, *(f"-{name}" for name in response.removed)])


def fresh(**types: Any) -> Proxy:
    """A proxy that has taken all of a configuration."""
    proxy = Proxy(**types)
    proxy.ask(CLUSTER)
    proxy.ask(ENDPOINT, *types.get("endpoint", ()))
    proxy.ask(LISTENER)
    proxy.ask(ROUTE, *types.get("route", ()))
    proxy.settle()
    return proxy


# What is asked for


def test_a_first_request_without_names_is_for_all_clusters() -> None:
    proxy = Proxy(cluster={"web": 1, "api": 1})

    assert proxy.ask(CLUSTER) == ["CLUSTER +web=v1 +api=v1"]


def test_the_first_response_of_a_wildcard_comes_even_if_it_is_empty() -> None:
    proxy = Proxy()

    assert proxy.ask(CLUSTER) == ["CLUSTER"]
    assert proxy.take(CLUSTER) == []


def test_types_that_are_only_had_by_name_have_no_wildcard_of_the_old_kind() -> None:
    proxy = Proxy(endpoint={"web": 1}, secret={"leaf": 1})

    assert proxy.ask(ENDPOINT) == []
    assert proxy.ask(SECRET) == []


def test_a_star_is_for_all() -> None:
    proxy = Proxy(endpoint={"web": 1})

    assert proxy.ask(ENDPOINT, "*") == ["ENDPOINT +web=v1"]


def test_of_named_types_only_the_names_are_sent() -> None:
    proxy = Proxy(endpoint={"web": 1, "api": 1})

    assert proxy.ask(ENDPOINT, "web") == ["ENDPOINT +web=v1"]
    assert proxy.become(endpoint={"web": 1, "api": 2}) == []


def test_a_name_that_does_not_exist_is_answered_as_removed() -> None:
    proxy = Proxy()

    assert proxy.ask(ENDPOINT, "unknown") == ["ENDPOINT -unknown"]
    assert proxy.take(ENDPOINT) == []


def test_a_name_that_comes_to_exist_is_sent_then() -> None:
    proxy = Proxy()
    proxy.ask(ENDPOINT, "web")
    proxy.take(ENDPOINT)

    assert proxy.become(endpoint={"web": 1}) == ["ENDPOINT +web=v1"]


def test_a_name_asked_for_again_is_sent_again() -> None:
    proxy = Proxy(endpoint={"web": 1})
    proxy.ask(ENDPOINT, "web")
    proxy.take(ENDPOINT)

    assert proxy.ask(ENDPOINT, "web") == ["ENDPOINT +web=v1"]


def test_a_name_let_go_of_is_not_heard_of_again() -> None:
    proxy = Proxy(endpoint={"web": 1})
    proxy.ask(ENDPOINT, "web")
    proxy.take(ENDPOINT)

    assert proxy.ask(ENDPOINT, unsubscribe=("web",)) == []
    assert proxy.become(endpoint={"web": 2}) == []
    assert not proxy.configuration.joined


def test_a_name_let_go_of_while_under_way_is_sent_anew_when_asked_for_again() -> None:
    proxy = Proxy(endpoint={"web": 1})
    proxy.ask(ENDPOINT, "web")
    proxy.ask(ENDPOINT, unsubscribe=("web",))
    assert proxy.ask(ENDPOINT, "web") == []

    assert proxy.take(ENDPOINT) == ["ENDPOINT +web=v1"]


@pytest.mark.parametrize(("exists", "answer"), [(True, "LISTENER +out=v1"), (False, "LISTENER -out")])
def test_letting_go_of_a_name_under_a_wildcard_tells_whether_it_is_still_there(
    exists: bool, answer: str
) -> None:
    proxy = Proxy(listener={"out": 1} if exists else {})
    proxy.ask(LISTENER)
    proxy.ask(LISTENER, "out")
    proxy.settle()

    assert proxy.ask(LISTENER, unsubscribe=("out",)) == [answer]


def test_letting_go_of_the_wildcard_keeps_the_names() -> None:
    proxy = Proxy(cluster={"web": 1, "api": 1})
    proxy.ask(CLUSTER, "*", "web")
    proxy.take(CLUSTER)

    assert proxy.ask(CLUSTER, unsubscribe=("*",)) == []
    assert proxy.become(cluster={"web": 2, "api": 2}) == ["CLUSTER +web=v2"]


def test_other_types_are_passed_over() -> None:
    proxy = Proxy(cluster={"web": 1})

    proxy.session.receive(DeltaRequest("type.googleapis.com/envoy.service.runtime.v3.Runtime"))

    assert proxy.sent() == []


def test_an_answer_to_something_else_changes_nothing() -> None:
    proxy = Proxy(cluster={"web": 1})
    proxy.ask(CLUSTER)
    proxy.become(cluster={"web": 2})

    assert proxy.ask(CLUSTER, nonce="00000099") == []
    assert proxy.ask(CLUSTER, nonce="00000099", error="no") == []
    assert proxy.take(CLUSTER) == ["CLUSTER +web=v2"]


def test_no_stream_may_ask_for_names_without_end() -> None:
    proxy = Proxy()
    names = tuple(str(number) for number in range(MAX_NAMES + 1))

    with pytest.raises(TooManyNames, match="65536 names"):
        proxy.session.receive(DeltaRequest(str(ENDPOINT), names))


# What is sent when something changes


def test_only_what_changed_is_sent() -> None:
    proxy = fresh(cluster={"web": 1, "api": 1})

    assert proxy.become(cluster={"web": 1, "api": 2}) == ["CLUSTER +api=v2"]


def test_while_a_response_is_under_way_changes_gather_to_the_newest() -> None:
    proxy = Proxy(endpoint={"web": 1, "api": 1})
    proxy.ask(ENDPOINT, "web", "api")
    for version in range(2, 10):
        assert proxy.become(endpoint={"web": version, "api": 1}) == []

    assert proxy.take(ENDPOINT) == ["ENDPOINT +web=v9"]


def test_a_change_undone_before_it_was_sent_is_not_sent() -> None:
    proxy = Proxy(endpoint={"web": 1})
    proxy.ask(ENDPOINT, "web")
    proxy.become(endpoint={"web": 2})
    proxy.become(endpoint={"web": 1})

    assert proxy.take(ENDPOINT) == []
    assert proxy.session.settled


# Order


def test_listeners_wait_until_new_clusters_and_their_endpoints_are_taken() -> None:
    proxy = Proxy(cluster={"web": 1}, endpoint={"web": 1}, listener={"out": 1})
    proxy.ask(CLUSTER)
    proxy.ask(ENDPOINT, "web")

    assert proxy.ask(LISTENER) == []
    assert proxy.take(CLUSTER) == []
    assert proxy.take(ENDPOINT) == ["LISTENER +out=v1"]


def test_listeners_do_not_wait_for_news_of_endpoints_that_are_there() -> None:
    proxy = fresh(cluster={"web": 1}, endpoint={"web": 1}, listener={"out": 1})
    proxy.become(cluster={"web": 1}, endpoint={"web": 2}, listener={"out": 1})

    sent = proxy.become(cluster={"web": 1}, endpoint={"web": 3}, listener={"out": 2})

    assert sent == ["LISTENER +out=v2"]


def test_clusters_are_removed_after_listeners_have_let_go_of_them() -> None:
    proxy = fresh(cluster={"web": 1}, endpoint={"web": 1}, listener={"out": 1})

    assert proxy.become(cluster={}, endpoint={}, listener={"out": 2}) == ["LISTENER +out=v2"]
    assert proxy.take(LISTENER) == ["CLUSTER -web"]
    assert proxy.take(CLUSTER) == ["ENDPOINT -web"]


def test_a_cluster_in_use_stays_though_the_proxy_asks_for_it_by_name() -> None:
    proxy = fresh(cluster={"web": 1}, listener={"out": 1})
    proxy.become(cluster={}, listener={"out": 2})

    assert proxy.ask(CLUSTER, "web") == []
    assert proxy.take(LISTENER) == ["CLUSTER -web"]


def test_a_cluster_stays_while_a_refused_listener_leaves_the_one_that_uses_it() -> None:
    proxy = fresh(cluster={"web": 1}, listener={"out": 1})
    proxy.become(listener={"out": 2})

    assert proxy.refuse(LISTENER) == []
    assert proxy.become(listener={"out": 3}) == ["LISTENER +out=v3"]
    assert proxy.take(LISTENER) == ["CLUSTER -web"]


def test_a_cluster_stays_while_the_listener_that_lets_go_of_it_cannot_be_built() -> None:
    proxy = fresh(cluster={"web": 1}, listener={"out": 1})
    proxy.configuration.fail(LISTENER, "out")

    assert proxy.become(listener={"out": 2}) == []
    proxy.configuration.heal()
    assert proxy.sent() == ["LISTENER +out=v2"]
    assert proxy.take(LISTENER) == ["CLUSTER -web"]


def test_a_cluster_stays_while_it_is_not_known_which_listeners_there_are() -> None:
    proxy = fresh(cluster={"web": 1}, listener={"out": 1})
    proxy.configuration.stop_deriving(LISTENER)

    assert proxy.become() == []
    proxy.configuration.heal()
    assert proxy.sent() == ["LISTENER -out"]
    assert proxy.take(LISTENER) == ["CLUSTER -web"]


def test_a_proxy_that_comes_back_keeps_clusters_until_its_listeners_are_up_to_date() -> None:
    proxy = Proxy(listener={"out": 2})

    assert proxy.ask(CLUSTER, initial_versions={"web": "v1"}) == ["CLUSTER"]
    assert proxy.take(CLUSTER) == []
    assert proxy.ask(LISTENER, initial_versions={"out": "v1"}) == ["LISTENER +out=v2"]
    assert proxy.take(LISTENER) == ["CLUSTER -web"]


def test_endpoints_are_sent_again_right_behind_their_cluster() -> None:
    proxy = fresh(cluster={"web": 1, "api": 1}, endpoint={"web": 1, "api": 1})

    assert proxy.become(cluster={"web": 2, "api": 1}, endpoint={"web": 1, "api": 1}) == [
        "CLUSTER +web=v2",
        "ENDPOINT +web=v1",
    ]


def test_endpoints_of_clusters_sent_to_a_proxy_that_comes_back_are_sent_though_it_has_them() -> None:
    proxy = Proxy(cluster={"web": 2, "api": 1}, endpoint={"web": 1, "api": 1})
    proxy.ask(CLUSTER, initial_versions={"web": "v1", "api": "v1"})

    sent = proxy.ask(ENDPOINT, "web", "api", initial_versions={"web": "v1", "api": "v1"})

    assert sent == ["ENDPOINT +web=v1"]


def test_endpoints_under_way_when_their_cluster_is_sent_are_sent_once_more() -> None:
    proxy = fresh(cluster={"web": 1}, endpoint={"web": 1})
    proxy.become(cluster={"web": 1}, endpoint={"web": 2})

    assert proxy.become(cluster={"web": 2}, endpoint={"web": 2}) == ["CLUSTER +web=v2"]
    assert proxy.take(ENDPOINT) == ["ENDPOINT +web=v2"]
    assert proxy.take(ENDPOINT) == []


# Refusals


def test_a_refused_version_is_kept_in_mind_and_not_sent_again() -> None:
    proxy = Proxy(listener={"out": 1})
    proxy.ask(LISTENER)

    refusal = proxy.session.receive(DeltaRequest(str(LISTENER), nonce=proxy.last[LISTENER], error="bad port"))

    assert refusal == Refusal("v1", "bad port")
    assert proxy.sent() == []
    assert proxy.session.refusals() == {(LISTENER, "out"): Refusal("v1", "bad port")}
    assert not proxy.session.settled


def test_a_new_version_is_sent_and_clears_the_refusal() -> None:
    proxy = Proxy(listener={"out": 1})
    proxy.ask(LISTENER)
    proxy.refuse(LISTENER)

    assert proxy.become(listener={"out": 2}) == ["LISTENER +out=v2"]
    proxy.take(LISTENER)
    assert proxy.session.refusals() == {}


def test_of_several_only_those_that_envoy_names_are_refused() -> None:
    proxy = Proxy(listener={"out": 1, "out.two": 1})
    proxy.ask(LISTENER)

    sent = proxy.refuse(LISTENER, "Error adding/updating listener(s) out.two: bad port")

    assert sent == ["LISTENER +out=v1"]
    assert list(proxy.session.refusals()) == [(LISTENER, "out.two")]


def test_the_version_before_a_refused_one_is_sent_because_the_proxy_may_have_taken_the_refused_one() -> None:
    proxy = fresh(listener={"out": 1})
    proxy.become(listener={"out": 2})
    proxy.refuse(LISTENER)

    assert proxy.become(listener={"out": 1}) == ["LISTENER +out=v1"]


def test_a_refused_version_stays_refused_though_it_was_let_go_of_while_under_way() -> None:
    proxy = Proxy(listener={"out": 1})
    proxy.ask(LISTENER)
    proxy.ask(LISTENER, unsubscribe=("out",))

    assert proxy.refuse(LISTENER) == []
    assert proxy.session.refusals() == {(LISTENER, "out"): Refusal("v1", "no")}


def test_a_refused_removal_is_not_tried_again() -> None:
    proxy = fresh(listener={"out": 1})
    assert proxy.become(listener={}) == ["LISTENER -out"]

    assert proxy.refuse(LISTENER) == []
    assert proxy.session.refusals() == {(LISTENER, "out"): Refusal(GONE, "no")}


def test_a_refused_version_is_sent_to_a_proxy_that_asks_for_it_by_name() -> None:
    proxy = Proxy(endpoint={"web": 1})
    proxy.ask(ENDPOINT, "web")
    proxy.refuse(ENDPOINT)

    assert proxy.ask(ENDPOINT, "web") == ["ENDPOINT +web=v1"]


# What cannot be derived


def test_nothing_is_said_until_the_resources_are_known() -> None:
    proxy = Proxy(cluster={"web": 1})
    proxy.configuration.stop_deriving(CLUSTER)

    assert proxy.ask(CLUSTER, initial_versions={"web": "v1"}) == []
    proxy.configuration.heal()
    assert proxy.sent() == ["CLUSTER"]


def test_listeners_wait_while_it_is_not_known_which_clusters_there_are() -> None:
    proxy = fresh(listener={"out": 1})
    proxy.configuration.stop_deriving(CLUSTER)

    assert proxy.become(cluster={"web": 1}, listener={"out": 2}) == []
    proxy.configuration.heal()
    assert proxy.sent() == ["CLUSTER +web=v1"]
    assert proxy.take(CLUSTER) == ["LISTENER +out=v2"]


def test_a_name_is_not_said_to_be_gone_while_it_is_not_known_what_there_is() -> None:
    proxy = fresh(endpoint={"web": 1})
    proxy.configuration.stop_deriving(ENDPOINT)

    assert proxy.ask(ENDPOINT, "api") == []
    assert proxy.become(endpoint={"web": 1, "api": 1}) == []
    proxy.configuration.heal()
    assert proxy.sent() == ["ENDPOINT +api=v1"]


def test_a_resource_that_cannot_be_built_is_left_as_it_is_and_holds_up_no_other() -> None:
    proxy = fresh(endpoint={"web": 1, "api": 1})
    proxy.configuration.fail(ENDPOINT, "web")

    assert proxy.become(endpoint={"web": 2, "api": 2}) == ["ENDPOINT +api=v2"]


def test_known_resources_go_on_changing_while_the_list_of_them_cannot_be_derived() -> None:
    proxy = fresh(endpoint={"web": 1})
    proxy.configuration.stop_deriving(ENDPOINT)

    assert proxy.become(endpoint={"web": 2}) == ["ENDPOINT +web=v2"]


# Coming back


def test_a_proxy_that_comes_back_is_sent_only_what_it_lacks() -> None:
    proxy = Proxy(cluster={"web": 1, "api": 1, "new": 1}, endpoint={"web": 1, "api": 2})

    assert proxy.ask(CLUSTER, initial_versions={"web": "v1", "api": "v1"}) == ["CLUSTER +new=v1"]
    assert proxy.ask(ENDPOINT, "web", "api", initial_versions={"web": "v1", "api": "v1"}) == [
        "ENDPOINT +api=v2"
    ]


def test_what_a_proxy_that_comes_back_should_no_longer_have_is_removed() -> None:
    proxy = Proxy(listener={})

    assert proxy.ask(LISTENER, initial_versions={"out": "v1"}) == ["LISTENER -out"]
