"""The rules of service-router, service-splitter and service-resolver entries."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model.config_entries import (
    ConfigEntryError,
    ServiceRouter,
    ServiceSplitter,
    decode_config_entry,
    normalize,
    validate,
)


def accept(data: dict[str, Any]) -> None:
    validate(normalize(decode_config_entry(data)))


def refusal_of(data: dict[str, Any]) -> str:
    with pytest.raises(ConfigEntryError) as refusal:
        accept(data)
    return str(refusal.value)


def router(*routes: dict[str, Any]) -> dict[str, Any]:
    return {"Kind": "service-router", "Name": "web", "Routes": list(routes)}


def matching(**http: Any) -> dict[str, Any]:
    return {"Match": {"HTTP": http}}


def splitter(*splits: dict[str, Any]) -> dict[str, Any]:
    return {"Kind": "service-splitter", "Name": "web", "Splits": list(splits)}


def resolver(**fields: Any) -> dict[str, Any]:
    return {"Kind": "service-resolver", "Name": "web", **fields}


def balancer(**fields: Any) -> dict[str, Any]:
    return resolver(LoadBalancer=fields)


def hashing(**fields: Any) -> dict[str, Any]:
    return balancer(Policy="ring_hash", HashPolicies=[{"SourceIP": True}, fields])


@pytest.mark.parametrize(
    "routes",
    [
        [],
        [{}],
        [{"Match": {}}],
        [matching(PathExact="/", Methods=["get", "POST"])],
        [{**matching(PathPrefix="/a"), "Destination": {"PrefixRewrite": "/b"}}],
        [matching(Header=[{"Name": "x", "Present": True}, {"Name": "y", "Suffix": "z", "Invert": True}])],
    ],
)
def test_routers_that_are_accepted(routes: list[dict[str, Any]]) -> None:
    accept(router(*routes))


def test_a_routers_methods_are_upper_cased() -> None:
    entry = normalize(decode_config_entry(router(matching(Methods=["get"]))))
    assert isinstance(entry, ServiceRouter)
    route = entry.routes[0]
    assert route.match is not None
    assert route.match.http is not None
    assert route.match.http.methods == ("GET",)


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (matching(PathExact="a"), """Route[1] PathExact doesn't start with '/': "a\""""),
        (matching(PathPrefix="a"), """Route[1] PathPrefix doesn't start with '/': "a\""""),
        (
            matching(PathExact="/a", PathRegex=".*"),
            "Route[1] should only contain at most one of PathExact, PathPrefix, or PathRegex",
        ),
        (
            matching(Header=[{"Name": "a", "Exact": "b"}, {"Exact": "b"}]),
            "Route[1] Header[1] missing required Name field",
        ),
        (
            matching(Header=[{"Name": "a"}]),
            "Route[1] Header[0] should only contain one of Present, Exact, Prefix, Suffix, or Regex",
        ),
        (
            matching(Header=[{"Name": "a", "Exact": "b", "Regex": "c"}]),
            "Route[1] Header[0] should only contain one of Present, Exact, Prefix, Suffix, or Regex",
        ),
        (matching(QueryParam=[{"Exact": "b"}]), "Route[1] QueryParam[0] missing required Name field"),
        (
            matching(QueryParam=[{"Name": "a", "Present": True, "Exact": "b"}]),
            "Route[1] QueryParam[0] should only contain one of Present, Exact, or Regex",
        ),
        (matching(Methods=["FETCH"]), 'Route[1] Methods contains an invalid method "FETCH"'),
        (matching(Methods=["get", "GET"]), 'Route[1] Methods contains "GET" more than once'),
        (
            {"Destination": {"PrefixRewrite": "/"}},
            "Route[1] cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix",
        ),
    ],
)
def test_routes_that_are_refused(route: dict[str, Any], text: str) -> None:
    assert refusal_of(router({}, route)) == text


@pytest.mark.parametrize(
    "weights", [[100], ["50", 50], [0, 100], [33.33, 33.33, 33.34], [0.004, 100], [99.999]]
)
def test_weights_that_make_up_a_hundred_after_rounding(weights: list[Any]) -> None:
    accept(splitter(*({"Weight": weight, "Service": str(n)} for n, weight in enumerate(weights))))


def test_weights_are_rounded_to_hundredths_halves_away_from_zero() -> None:
    entry = normalize(
        decode_config_entry(splitter({"Weight": 12.125}, {"Weight": 0.004}, {"Weight": -0.125}))
    )
    assert isinstance(entry, ServiceSplitter)
    assert [split.weight for split in entry.splits] == [12.13, 0.0, -0.13]


@pytest.mark.parametrize(
    ("splits", "text"),
    [
        ([], "no splits configured"),
        ([{"Weight": 50}], "the sum of all split weights must be 100, not 50.000000"),
        (
            [{"Weight": 33.333, "Service": name} for name in "abc"],
            "the sum of all split weights must be 100, not 99.990000",
        ),
        (
            [{"Weight": 50, "ServiceSubset": "v1"}, {"Weight": 50, "Service": "web", "ServiceSubset": "v1"}],
            'split destination occurs more than once: service="web", subset="v1", namespace=""',
        ),
    ],
)
def test_splitters_that_are_refused(splits: list[dict[str, Any]], text: str) -> None:
    assert refusal_of(splitter(*splits)) == text


SUBSETS = {"v1": {"Filter": "Service.Meta.version == v1"}}
SUBSET_RULE = (
    "must be 63 characters or fewer, begin or end with lower case alphanumeric characters, and "
    "contain lower case alphanumeric characters or '-' in between"
)


@pytest.mark.parametrize(
    "entry",
    [
        resolver(),
        resolver(Subsets=SUBSETS, DefaultSubset="v1", ConnectTimeout="15s"),
        resolver(Redirect={"Datacenter": "dc2"}),
        resolver(Redirect={"Service": "other", "ServiceSubset": "anything"}),
        resolver(Failover={"*": {"Datacenters": ["dc2"]}}),
        resolver(Failover={"*": {"Service": "other", "ServiceSubset": "anything"}}),
        balancer(Policy="ring_hash", RingHashConfig={"MinimumRingSize": 1}),
        balancer(Policy="least_request", LeastRequestConfig={"ChoiceCount": 2}),
        hashing(Field="cookie", FieldValue="id", CookieConfig={"Session": True}),
        hashing(Field="header", FieldValue="x-user", Terminal=True),
    ],
)
def test_resolvers_that_are_accepted(entry: dict[str, Any]) -> None:
    accept(entry)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (resolver(DefaultSubset="x"), 'DefaultSubset "x" is not a valid subset'),
        (resolver(Subsets={"": {}}), "Subset defined with empty name"),
        (resolver(Subsets={"V1": {}}), f'Subset "V1" is invalid: {SUBSET_RULE}'),
        (
            resolver(Subsets={"a" * 64: {}}),
            f'Subset "{"a" * 64}" is invalid: must be non-empty and 63 characters or fewer',
        ),
        (
            resolver(Redirect={"Service": "a"}, Failover={"*": {"Service": "b"}}),
            "Redirect and Failover cannot both be set",
        ),
        (resolver(Redirect={}), "Redirect is empty"),
        (
            resolver(Redirect={"ServiceSubset": "v1"}),
            "Redirect.ServiceSubset defined without Redirect.Service",
        ),
        (resolver(Redirect={"Namespace": "x"}), "Redirect.Namespace defined without Redirect.Service"),
        (
            resolver(Subsets=SUBSETS, Redirect={"Service": "web", "ServiceSubset": "v9"}),
            'Redirect.ServiceSubset "v9" is not a valid subset of "web"',
        ),
        (resolver(Failover={"x": {"Service": "b"}}), 'Bad Failover["x"]: not a valid subset'),
        (
            resolver(Failover={"*": {}}),
            'Bad Failover["*"] one of Service, ServiceSubset, Namespace, or Datacenters is required',
        ),
        (
            resolver(Failover={"*": {"Service": "web", "ServiceSubset": "y"}}),
            'Bad Failover["*"].ServiceSubset "y" is not a valid subset of "web"',
        ),
        (
            resolver(Failover={"*": {"Datacenters": ["dc2", ""]}}),
            'Bad Failover["*"].Datacenters: found empty datacenter',
        ),
        (resolver(ConnectTimeout="-1s"), "Bad ConnectTimeout '-1s', must be >= 0"),
        (balancer(Policy="x"), 'Bad LoadBalancer policy: "x" is not supported'),
        (
            balancer(Policy="maglev", RingHashConfig={}),
            "Bad LoadBalancer configuration. RingHashConfig specified for incompatible load balancing policy "
            '"maglev"',
        ),
        (
            balancer(LeastRequestConfig={}),
            "Bad LoadBalancer configuration. LeastRequestConfig specified for incompatible load balancing "
            'policy ""',
        ),
        (
            balancer(Policy="random", HashPolicies=[{"SourceIP": True}]),
            'Bad LoadBalancer configuration: HashPolicies specified for non-hash-based Policy: "random"',
        ),
        (hashing(Field="body"), 'Bad LoadBalancer HashPolicy[1]: "body" is not a supported field'),
        (
            hashing(Field="header", SourceIP=True),
            "Bad LoadBalancer HashPolicy[1]: A single hash policy cannot hash both a source address and "
            'a "header"',
        ),
        (
            hashing(FieldValue="x", SourceIP=True),
            "Bad LoadBalancer HashPolicy[1]: A FieldValue cannot be specified when hashing SourceIP",
        ),
        (
            hashing(Field="header"),
            'Bad LoadBalancer HashPolicy[1]: Field "header" was specified without a FieldValue',
        ),
        (hashing(FieldValue="x"), "Bad LoadBalancer HashPolicy[1]: FieldValue requires a Field to apply to"),
        (
            hashing(Field="header", FieldValue="x", CookieConfig={}),
            'Bad LoadBalancer HashPolicy[1]: cookie_config provided for "header"',
        ),
        (
            hashing(Field="cookie", FieldValue="x", CookieConfig={"Session": True, "TTL": "1s"}),
            "Bad LoadBalancer HashPolicy[1]: a session cookie cannot have an associated TTL",
        ),
    ],
)
def test_resolvers_that_are_refused(entry: dict[str, Any], text: str) -> None:
    assert refusal_of(entry) == text


@pytest.mark.parametrize("kind", ["service-router", "service-splitter", "service-resolver"])
def test_a_name_is_required(kind: str) -> None:
    assert refusal_of({"Kind": kind}) == "Name is required"
