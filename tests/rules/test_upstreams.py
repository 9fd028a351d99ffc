"""Which upstreams a service has, and with what settings."""

from __future__ import annotations

import pytest
from hypothesis import given

from pellucid.model.config_entries import ConfigEntry, ProxyDefaults, ServiceDefaults
from pellucid.model.intentions import Intention
from pellucid.model.services import Proxy, Upstream
from pellucid.rules.chain_graph import EntrySet
from pellucid.rules.effective import effective_proxy
from pellucid.rules.intentions import NO_ACLS, DefaultPolicy, decide, default_policy, view_of
from pellucid.rules.upstreams import EffectiveUpstream, InferredUpstreams, effective_upstreams, infer
from tests.rules.entries import HTTP_BY_DEFAULT, entries, entry
from tests.rules.intention_cases import NAMES, any_intentions, intentions

CATALOG = ("web", "api", "db", "consul")
DENY_BY_ACL = default_policy(acls_enabled=True, acl_default_policy="deny")


@pytest.mark.parametrize(
    ("rows", "default", "upstreams"),
    [
        ((), NO_ACLS, ("api", "db")),
        ((), DENY_BY_ACL, ()),
        (("* -> * deny",), NO_ACLS, ()),
        (("* -> * deny", "web -> db allow"), NO_ACLS, ("db",)),
        (("web -> * allow", "* -> db deny"), NO_ACLS, ("api",)),
        (("* -> * allow",), DENY_BY_ACL, ("api", "db")),
        (("* -> * deny", "web -> db judge"), NO_ACLS, ("db",)),
        (("web -> db deny",), NO_ACLS, ("api",)),
        (("* -> * deny", "* -> api allow"), NO_ACLS, ("api",)),
    ],
)
def test_upstreams_inferred_for_web(
    rows: tuple[str, ...], default: DefaultPolicy, upstreams: tuple[str, ...]
) -> None:
    assert infer("web", CATALOG, view_of(intentions(*rows), default)).reachable == upstreams


@given(any_intentions())
def test_every_other_service_is_reachable_or_refused_as_decided(rows: tuple[Intention, ...]) -> None:
    view = view_of(rows)
    for source in NAMES:
        inferred = infer(source, CATALOG, view)
        others = {name for name in NAMES if name != source}
        reachable = {name for name in others if decide(source, name, view).is_reachable}
        assert set(inferred.reachable) == reachable
        assert set(inferred.refused) == others - reachable


def upstreams_of_web(
    registration: Proxy, inferred: InferredUpstreams, mesh: EntrySet
) -> tuple[EffectiveUpstream, ...]:
    proxy_defaults = mesh.find("proxy-defaults", "global")
    assert proxy_defaults is None or isinstance(proxy_defaults, ProxyDefaults)

    def defaults_of(name: str) -> ServiceDefaults | None:
        found: ConfigEntry | None = mesh.find("service-defaults", name)
        assert found is None or isinstance(found, ServiceDefaults)
        return found

    proxy = effective_proxy(
        registration,
        proxy_defaults=proxy_defaults,
        service_defaults=defaults_of("web"),
        defaults_of=defaults_of,
    )
    return effective_upstreams(
        proxy,
        inferred,
        datacenter="dc1",
        proxy_defaults=proxy_defaults,
        service_defaults=defaults_of("web"),
        defaults_of=defaults_of,
    )


TRANSPARENT = Proxy(mode="transparent")


def test_inferred_upstream_is_spoken_to_in_its_own_protocol() -> None:
    mesh = entries(HTTP_BY_DEFAULT, entry("service-defaults", "db", Protocol="grpc"))
    api, db = upstreams_of_web(TRANSPARENT, InferredUpstreams(("api", "db")), mesh)
    assert (api.settings.protocol, db.settings.protocol) == ("http", "grpc")


def test_overrides_apply_to_inferred_upstreams_before_defaults() -> None:
    web = entry(
        "service-defaults",
        "web",
        UpstreamConfig={
            "Defaults": {"ConnectTimeoutMs": 3000, "Limits": {"MaxConnections": 10}},
            "Overrides": [{"Name": "db", "ConnectTimeoutMs": 7000}],
        },
    )
    api, db = upstreams_of_web(TRANSPARENT, InferredUpstreams(("api", "db")), entries(web))
    assert (api.settings.connect_timeout_ms, db.settings.connect_timeout_ms) == (3000, 7000)
    assert api.settings.limits == db.settings.limits is not None


def test_explicit_upstream_that_is_inferred_too_appears_once() -> None:
    registered = Upstream(destination_name="db", local_bind_port=1234)
    (db,) = upstreams_of_web(
        Proxy(mode="transparent", upstreams=(registered,)), InferredUpstreams(("db",)), entries()
    )
    assert db.registration is not None
    assert (db.is_inferred, db.is_refused) == (True, False)


def test_explicit_upstream_that_intentions_refuse_is_kept_and_refused() -> None:
    registered = Upstream(destination_name="db", local_bind_port=1234)
    (db,) = upstreams_of_web(
        Proxy(mode="transparent", upstreams=(registered,)), InferredUpstreams((), ("db",)), entries()
    )
    assert (db.is_inferred, db.is_refused) == (False, True)


def test_upstream_in_another_datacenter_stands_beside_the_inferred_one() -> None:
    registered = Upstream(destination_name="db", datacenter="dc2", local_bind_port=1234)
    there, here = upstreams_of_web(
        Proxy(mode="transparent", upstreams=(registered,)), InferredUpstreams(("db",)), entries()
    )
    assert (there.datacenter, there.is_inferred) == ("dc2", False)
    assert (here.datacenter, here.is_inferred) == ("", True)


def test_proxy_that_is_not_transparent_has_what_it_registers_and_no_more() -> None:
    registered = Upstream(destination_name="db", datacenter="dc1", local_bind_port=1234)
    (db,) = upstreams_of_web(Proxy(upstreams=(registered,)), InferredUpstreams(), entries())
    assert (db.name, db.datacenter, db.is_inferred, db.is_refused) == ("db", "", False, False)


def test_inferred_upstream_takes_the_proxys_mesh_gateway() -> None:
    mesh = entries(entry("proxy-defaults", "global", Mode="transparent", MeshGateway={"Mode": "local"}))
    (db,) = upstreams_of_web(Proxy(), InferredUpstreams(("db",)), mesh)
    assert db.mesh_gateway == "local"
