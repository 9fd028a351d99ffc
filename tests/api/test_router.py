from __future__ import annotations

import pytest

from pellucid.api.endpoints import ENDPOINTS
from pellucid.api.router import Endpoint, Redirect, Router, methods_allowed


def router(*patterns: str) -> Router[str]:
    return Router(Endpoint(pattern, ("GET",), pattern) for pattern in patterns)


def handler_at(routes: Router[str], path: str) -> str | None:
    found = routes.find(path)
    assert not isinstance(found, Redirect)
    return found.handler if found else None


def test_an_exact_pattern_wins_over_a_prefix() -> None:
    routes = router("/v1/agent/service/", "/v1/agent/service/register")
    assert handler_at(routes, "/v1/agent/service/register") == "/v1/agent/service/register"
    assert handler_at(routes, "/v1/agent/service/web") == "/v1/agent/service/"


def test_the_longest_prefix_wins() -> None:
    routes = router("/v1/", "/v1/acl/policy/", "/v1/acl/policy/name/")
    assert handler_at(routes, "/v1/acl/policy/name/x") == "/v1/acl/policy/name/"
    assert handler_at(routes, "/v1/acl/policy/x") == "/v1/acl/policy/"
    assert handler_at(routes, "/v1/else") == "/v1/"


def test_a_prefix_matches_itself_and_any_depth_below() -> None:
    routes = router("/v1/config/")
    assert handler_at(routes, "/v1/config/") == "/v1/config/"
    assert handler_at(routes, "/v1/config/kind/name/with/slashes") == "/v1/config/"


def test_an_unknown_path_is_nowhere() -> None:
    assert router("/v1/agent/self").find("/v1/agent/selfish") is None


def test_a_prefix_without_its_slash_is_redirected() -> None:
    assert router("/v1/health/service/").find("/v1/health/service") == Redirect("/v1/health/service/")


def test_an_exact_pattern_is_not_redirected_to_the_prefix_of_its_name() -> None:
    assert handler_at(router("/v1/config", "/v1/config/"), "/v1/config") == "/v1/config"


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/v1//catalog/nodes", "/v1/catalog/nodes"),
        ("/v1/./catalog/nodes", "/v1/catalog/nodes"),
        ("/v1/kv/../catalog/nodes", "/v1/catalog/nodes"),
        ("/../../v1/catalog/nodes", "/v1/catalog/nodes"),
        ("//v1/catalog/nodes/", "/v1/catalog/nodes/"),
    ],
)
def test_an_unclean_path_is_redirected_to_the_clean_one(path: str, clean: str) -> None:
    assert router("/v1/catalog/nodes").find(path) == Redirect(clean)


def test_a_pattern_cannot_be_defined_twice() -> None:
    with pytest.raises(ValueError, match="/v1/x is defined twice"):
        router("/v1/x", "/v1/x")


def test_allow_lists_options_before_the_methods_unless_the_endpoint_answers_them_itself() -> None:
    assert methods_allowed(Endpoint("/x", ("GET", "PUT"), "")) == "OPTIONS,GET,PUT"
    assert methods_allowed(Endpoint("/x", ("GET",), "", answers_options=True)) == "GET"


def test_every_endpoint_of_the_table_can_be_found() -> None:
    routes = Router(ENDPOINTS)
    for endpoint in ENDPOINTS:
        assert routes.find(endpoint.pattern) is endpoint
