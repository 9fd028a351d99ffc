"""What configuration files define comes into the log, and goes when they no longer define it."""

from __future__ import annotations

import pytest

from pellucid.agent.configuration import AgentConfiguration
from pellucid.agent.configuration_sources import ConfigurationError
from pellucid.agent.file_definitions import defined_changes, undefined_changes
from pellucid.api.registrations import registered
from pellucid.model.config_entries import ServiceDefaults
from pellucid.model.definitions import (
    CheckRegistration,
    CheckType,
    ConnectDefinition,
    ServiceDefinition,
    SidecarServiceDefinition,
)
from pellucid.model.durations import MINUTE
from pellucid.rules.registration import register
from pellucid.state.mesh_tables import CHECKS, CONFIG_ENTRIES, SERVICES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Put

SIDECAR = ConnectDefinition(sidecar_service=SidecarServiceDefinition())


def configured(data_dir: str = "", **fields: object) -> AgentConfiguration:
    return AgentConfiguration("n1", "127.0.0.1", data_dir=data_dir, **fields)  # type: ignore[arg-type]


def started(configuration: AgentConfiguration, state: Snapshot | None = None) -> Snapshot:
    state = state or Snapshot()
    return state.apply(defined_changes(configuration, state))[0]


def reloaded(configuration: AgentConfiguration, state: Snapshot) -> Snapshot:
    gone = undefined_changes(configuration, state)
    return state.apply((*gone, *defined_changes(configuration, state)))[0]


def services(state: Snapshot) -> list[str]:
    return [stored.value.id for stored in state.all(SERVICES)]


def test_services_come_with_their_sidecars_on_different_ports() -> None:
    state = started(
        configured(
            service_definitions=(
                ServiceDefinition(name="web", port=80, connect=SIDECAR),
                ServiceDefinition(name="db", port=5432, connect=SIDECAR),
            )
        )
    )
    assert services(state) == ["db", "db-sidecar-proxy", "web", "web-sidecar-proxy"]
    ports = {stored.value.port for stored in state.all(SERVICES) if not stored.value.is_typical}
    assert ports == {21000, 21001}


def test_a_reload_takes_back_what_is_no_longer_defined() -> None:
    state = started(
        configured(service_definitions=(ServiceDefinition(name="web", connect=SIDECAR, port=80),))
    )
    state = reloaded(configured(service_definitions=(ServiceDefinition(name="db", port=5432),)), state)
    assert services(state) == ["db"]


def test_a_reload_changes_nothing_when_nothing_changed() -> None:
    configuration = configured(
        data_dir="/kept", service_definitions=(ServiceDefinition(name="web", port=80, connect=SIDECAR),)
    )
    state = started(configuration)
    assert reloaded(configuration, state) is state


@pytest.mark.parametrize(("data_dir", "left"), [("", []), ("/kept", ["web"])])
def test_registrations_over_http_go_with_a_reload_where_nothing_keeps_them(
    data_dir: str, left: list[str]
) -> None:
    registration = register(ServiceDefinition(name="web", port=80), node="n1", ports_in_use={})
    state = Snapshot().apply(registered(Snapshot(), registration))[0]
    assert services(reloaded(configured(data_dir), state)) == left


def test_checks_of_the_node_come_and_go() -> None:
    check = CheckRegistration(name="disk", ttl=MINUTE)
    state = started(configured(check_definitions=(check,)))
    assert [stored.value.check_id for stored in state.all(CHECKS)] == ["disk"]
    assert reloaded(configured(), state).all(CHECKS) == ()


def test_first_config_entries_are_written_only_where_there_are_none() -> None:
    written = {"Kind": "service-defaults", "Name": "web", "Protocol": "http"}
    configuration = configured(bootstrap_config_entries=(written,))
    state = started(configuration)
    assert [stored.value.protocol for stored in state.all(CONFIG_ENTRIES)] == ["http"]  # type: ignore[union-attr]
    changed = state.apply([Put(CONFIG_ENTRIES, ServiceDefaults(name="web", protocol="grpc"))])[0]
    assert started(configuration, changed) is changed


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"service_definitions": (ServiceDefinition(name="web", address="0.0.0.0"),)},
            'service "web" in the configuration files: Invalid service address',
        ),
        (
            {"check_definitions": (CheckRegistration(name="disk"),)},
            'check "disk" in the configuration files: TTL must be > 0 for TTL checks',
        ),
        (
            {"check_definitions": (CheckRegistration(ttl=MINUTE),)},
            "a check in the configuration files: Missing check name",
        ),
        (
            {"bootstrap_config_entries": ({"Kind": "service-defaults", "Nmae": "web"},)},
            'config_entries.bootstrap: 1 error occurred:\n\t* invalid config key "Nmae"\n\n',
        ),
        (
            {
                "service_definitions": (
                    ServiceDefinition(name="web", check=CheckType(args=("true",), interval=MINUTE)),
                )
            },
            "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or "
            "'enable_local_script_checks' to true",
        ),
    ],
)
def test_a_faulty_definition_is_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        defined_changes(configured(**fields), Snapshot())
    assert str(error.value) == message
