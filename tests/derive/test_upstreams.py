"""The settings of inferred upstreams, shared by every caller that says nothing of its own."""

from __future__ import annotations

from pellucid.derive.effective import effective_proxy, service_protocol
from pellucid.derive.upstreams import caller_upstream_config, inferred_settings
from pellucid.model.config_entries import ProxyDefaults, ServiceDefaults, UpstreamConfig
from pellucid.model.config_entries.shared import UpstreamConfiguration
from pellucid.model.services import Proxy
from pellucid.state.mesh_tables import CONFIG_ENTRIES
from pellucid.state.tables import Put
from tests.derive.mesh_world import NODE, MeshWorld, sidecar


def test_an_inferred_upstream_is_spoken_to_in_its_own_protocol() -> None:
    world = MeshWorld()
    world.commit(Put(CONFIG_ENTRIES, ServiceDefaults(name="db", protocol="grpc")))
    assert world.ask(inferred_settings, "db", None, "").protocol == "grpc"
    assert world.ask(service_protocol, "db") == "grpc"


def test_a_caller_overrides_one_upstream_and_defaults_the_rest() -> None:
    world = MeshWorld()
    upstreams = UpstreamConfiguration(
        overrides=(UpstreamConfig(name="db", connect_timeout_ms=7_000),),
        defaults=UpstreamConfig(connect_timeout_ms=3_000),
    )
    world.commit(Put(CONFIG_ENTRIES, ServiceDefaults(name="web", upstream_config=upstreams)))
    caller = world.ask(caller_upstream_config, "web")
    assert world.ask(inferred_settings, "db", caller, "").connect_timeout_ms == 7_000
    assert world.ask(inferred_settings, "api", caller, "").connect_timeout_ms == 3_000


def test_callers_without_settings_share_one_memo() -> None:
    world = MeshWorld()
    callers = [world.ask(caller_upstream_config, name) for name in ("a", "b", "c")]
    before = world.engine.counts.evaluated
    for caller in callers:
        world.ask(inferred_settings, "db", caller, "")
    first_pass = world.engine.counts.evaluated - before
    for caller in callers:
        world.ask(inferred_settings, "db", caller, "")
    assert world.engine.counts.evaluated - before == first_pass


def test_a_proxy_takes_its_mode_from_the_defaults_until_it_says_otherwise() -> None:
    world = MeshWorld()
    world.commit(sidecar("web"), Put(CONFIG_ENTRIES, ProxyDefaults(name="global", mode="transparent")))
    assert world.ask(effective_proxy, NODE, "web-sidecar-proxy").is_transparent
    world.commit(sidecar("web", proxy=Proxy(destination_service_name="web", mode="direct")))
    assert not world.ask(effective_proxy, NODE, "web-sidecar-proxy").is_transparent


def test_a_proxy_that_is_not_registered_has_no_settings() -> None:
    assert MeshWorld().ask(effective_proxy, NODE, "nobody") is None
