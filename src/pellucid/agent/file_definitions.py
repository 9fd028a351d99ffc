"""What configuration files define: services, checks and first config entries, as changes to the log.

A reload brings the log in line with the files: what they define is registered, what they no longer define
is taken back. Registrations made over HTTP stay where a data directory keeps them, and go with a reload
where none does, as with Consul.
"""

from __future__ import annotations

from collections.abc import Iterable

from pellucid.agent.configuration import AgentConfiguration
from pellucid.agent.configuration_sources import ConfigurationError
from pellucid.api.registrations import (
    agent_service,
    check_added,
    check_removed,
    deregistered,
    forgotten,
    ports_in_use,
    registered,
)
from pellucid.model.checks import CheckDefinition
from pellucid.model.config_entries import ConfigEntryError, decode_config_entry, normalize, validate
from pellucid.model.decoding import DecodeError
from pellucid.model.services import Origin
from pellucid.rules.checks import check_definition, check_error
from pellucid.rules.registration import Registration, register
from pellucid.rules.service_definition import RegistrationError
from pellucid.rules.sidecar import SidecarPorts
from pellucid.state.mesh_tables import CHECK_DEFINITIONS, CONFIG_ENTRIES, SERVICES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change, Put

SCRIPTS_DISABLED = (
    "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or "
    "'enable_local_script_checks' to true"
)


def defined_changes(configuration: AgentConfiguration, state: Snapshot) -> tuple[Change, ...]:
    """The changes that make what the files define hold. Raises ConfigurationError."""
    changes: list[Change] = []
    for registration in _registrations(configuration, state):
        changes += registered(state, registration, replace_checks=True)
    for definition in _checks(configuration):
        service = agent_service(state, configuration.node_name, definition.service_id)
        changes += check_added(state, definition, service)
    changes += _first_entries(configuration, state)
    return tuple(changes)


def undefined_changes(configuration: AgentConfiguration, state: Snapshot) -> tuple[Change, ...]:
    """The changes that take back what the files no longer define."""
    node = configuration.node_name
    kept = {service_id for r in _registrations(configuration, state) for service_id in _ids(r)}
    changes: list[Change] = [] if configuration.data_dir else [*forgotten(state, node)]
    for stored in state.rows(SERVICES, "node", node):
        if stored.value.origin is Origin.FILE and stored.value.id not in kept:
            changes += deregistered(state, node, stored.value.id)
    checks = {check.check_id for check in _checks(configuration)}
    for stored_check in state.rows(CHECK_DEFINITIONS, "node", node):
        definition = stored_check.value
        if not definition.service_id and definition.check_id not in checks:
            changes += check_removed(node, definition.check_id)
    return tuple(changes)


def _registrations(configuration: AgentConfiguration, state: Snapshot) -> Iterable[Registration]:
    taken = ports_in_use(state, configuration.node_name)
    for definition in configuration.service_definitions:
        try:
            registration = register(
                definition,
                node=configuration.node_name,
                ports_in_use=taken,
                origin=Origin.FILE,
                sidecar_ports=SidecarPorts(configuration.ports.sidecar_min, configuration.ports.sidecar_max),
            )
        except RegistrationError as error:
            name = definition.name or definition.id
            raise ConfigurationError(f'service "{name}" in the configuration files: {error}') from error
        _refuse_scripts(configuration, (*registration.checks, *registration.sidecar_checks))
        for service in filter(None, (registration.service, registration.sidecar)):
            taken[service.id] = service.port
        yield registration


def _checks(configuration: AgentConfiguration) -> tuple[CheckDefinition, ...]:
    found = []
    for given in configuration.check_definitions:
        if not given.name:
            raise ConfigurationError("a check in the configuration files: Missing check name")
        if fault := check_error(given):
            raise ConfigurationError(f'check "{given.name}" in the configuration files: {fault}')
        found.append(
            check_definition(
                given,
                node=configuration.node_name,
                check_id=given.name,
                name=given.name,
                service_id=given.service_id,
            )
        )
    _refuse_scripts(configuration, found)
    return tuple(found)


def _first_entries(configuration: AgentConfiguration, state: Snapshot) -> list[Change]:
    changes: list[Change] = []
    for written in configuration.bootstrap_config_entries:
        try:
            entry = normalize(decode_config_entry(written))
            validate(entry)
        except (DecodeError, ConfigEntryError) as error:
            raise ConfigurationError(f"config_entries.bootstrap: {error}") from error
        if state.get(CONFIG_ENTRIES, (entry.kind, entry.name)) is None:
            changes.append(Put(CONFIG_ENTRIES, entry))
    return changes


def _refuse_scripts(configuration: AgentConfiguration, checks: Iterable[CheckDefinition]) -> None:
    allowed = configuration.checks.enable_scripts or configuration.checks.enable_local_scripts
    if not allowed and any(check.script_args for check in checks):
        raise ConfigurationError(SCRIPTS_DISABLED)


def _ids(registration: Registration) -> tuple[str, ...]:
    sidecar = (registration.sidecar.id,) if registration.sidecar else ()
    return (registration.service.id, *sidecar)
