"""`service-router`: which requests to a service go where, first match first.

Source: Consul 1.10 docs, "Service Router"; agent/structs/config_entry_discoverychain.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec
from msgspec.structs import replace

from pellucid.model.config_entries.shared import (
    HTTPHeaderMatch,
    require,
    upper_cased,
    validate_headers,
    validate_meta,
    validate_methods,
    validate_paths,
)
from pellucid.model.durations import Duration
from pellucid.model.wire import AlwaysWritten, UInt32


class HTTPQueryMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition on one query parameter; exactly one of the three matchers is set."""

    name: AlwaysWritten[str] = ""
    present: bool = False
    exact: str = ""
    regex: str = ""


class RouteHTTPMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Conditions on a request; all of them must hold, and one of `methods` if any are given."""

    path_exact: str = ""
    path_prefix: str = ""
    path_regex: str = ""
    header: tuple[HTTPHeaderMatch, ...] = ()
    query_param: tuple[HTTPQueryMatch, ...] = ()
    methods: tuple[str, ...] = ()


class RouteMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a route applies to; without `http`, everything."""

    http: RouteHTTPMatch | None = None


class RouteDestination(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a route leads. An empty `service` is the router's own; `request_timeout` includes retries."""

    request_timeout: Duration = 0
    service: str = ""
    service_subset: str = ""
    namespace: str = ""
    prefix_rewrite: str = ""
    num_retries: UInt32 = 0
    retry_on_connect_failure: bool = False
    retry_on_status_codes: tuple[UInt32, ...] = ()


class ServiceRoute(msgspec.Struct, frozen=True, omit_defaults=True):
    """One route; without a match it takes everything, without a destination it stays at home."""

    match: RouteMatch | None = None
    destination: RouteDestination | None = None


class ServiceRouter(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="service-router"):
    """Routes for requests to the service called `name`."""

    kind: ClassVar[Literal["service-router"]] = "service-router"

    name: AlwaysWritten[str] = ""
    routes: AlwaysWritten[tuple[ServiceRoute, ...]] = ()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    def normalized(self) -> ServiceRouter:
        """With methods in upper case."""
        return replace(self, routes=tuple(map(_normalized, self.routes)))

    def validate(self) -> None:
        """Raises ConfigEntryError naming the first route that is wrong."""
        require(bool(self.name), "Name is required")
        validate_meta(self.meta)
        for index, route in enumerate(self.routes):
            _validate_route(route, f"Route[{index}]")


def _normalized(route: ServiceRoute) -> ServiceRoute:
    if route.match is None or route.match.http is None:
        return route
    http = replace(route.match.http, methods=upper_cased(route.match.http.methods))
    return replace(route, match=RouteMatch(http))


def _validate_route(route: ServiceRoute, at: str) -> None:
    http = route.match.http if route.match and route.match.http else RouteHTTPMatch()
    validate_paths(http, at, " ")
    validate_headers(http.header, f"{at} ")
    for index, parameter in enumerate(http.query_param):
        where = f"{at} QueryParam[{index}]"
        require(bool(parameter.name), f"{where} missing required Name field")
        matchers = (parameter.present, parameter.exact, parameter.regex)
        require(sum(map(bool, matchers)) == 1, f"{where} should only contain one of Present, Exact, or Regex")
    validate_methods(http.methods, f"{at} ")
    rewrites = route.destination is not None and bool(route.destination.prefix_rewrite)
    require(
        not rewrites or bool(http.path_exact or http.path_prefix),
        f"{at} cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix",
    )
