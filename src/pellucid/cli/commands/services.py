"""`services register` and `deregister`: services of the local agent, from files or flags.

Files hold service definitions as in the agent's configuration (`service { ... }`, HCL or JSON).
Source: Consul 1.10 command/services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.cli.command import Attempt, Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model.definitions import ServiceDefinition


CREDENTIAL_HEADER = "x-pellucid-workload-credential"


def _register(invocation: Invocation) -> int:
    from pellucid.model.encoding import json_object

    flags = invocation.flags
    described = any(flags.given(flag.name) for flag in REGISTER.flags)
    if not invocation.arguments and not described:
        raise CommandFailed("Service registration requires at least one argument or flags.")
    if invocation.arguments and flags.given("id"):
        raise CommandFailed("Service registration requires arguments or -id, not both.")
    if invocation.arguments:
        services = [json_object(service) for service in _services_in(invocation.arguments)]
    else:
        services = [_service_of_flags(invocation)]
    credential_file = flags.text("credential-file")
    if credential_file and len(services) != 1:
        raise CommandFailed("Error: -credential-file is for one service; register one at a time")
    client = invocation.client()
    for service in services:
        with Attempt(f'Error registering service "{service["Name"]}"'):
            query = invocation.scope() | ({"pellucid-credential": "new"} if credential_file else {})
            answer = client.ask("PUT", "/v1/agent/service/register", query, service)
        if credential_file:
            _keep_credential(credential_file, answer.headers.get(CREDENTIAL_HEADER, ""))
        invocation.output(f"Registered service: {service['Name']}")
    return 0


def _keep_credential(file: str, credential: str) -> None:
    """Write the workload's credential to a file that only its owner can read. Raises CommandFailed."""
    from pathlib import Path

    from pellucid.foundation.private_file import write_private

    if not credential:
        raise CommandFailed("Error: the service is registered, but the agent gave no credential for it")
    try:
        write_private(Path(file), f"{credential}\n".encode())
    except OSError as error:
        raise CommandFailed(
            f"Error: the service is registered, but its credential cannot be kept in {file}: {error.strerror}"
        ) from None


def _deregister(invocation: Invocation) -> int:
    identifier = invocation.flags.text("id")
    if not invocation.arguments and not identifier:
        raise CommandFailed("Service deregistration requires at least one argument or -id.")
    if invocation.arguments and identifier:
        raise CommandFailed("Service deregistration requires arguments or -id, not both.")
    identifiers = [identifier] if identifier else []
    identifiers += [service.id or service.name for service in _services_in(invocation.arguments)]
    client = invocation.client()
    for identifier in identifiers:
        with Attempt(f'Error deregistering service "{identifier}"'):
            client.put(f"/v1/agent/service/deregister/{identifier}", query=invocation.scope())
        invocation.output(f"Deregistered service: {identifier}")
    return 0


def _services_in(files: Sequence[str]) -> tuple[ServiceDefinition, ...]:
    """Every service that the files define. Raises CommandFailed naming the file and the fault."""
    if not files:
        return ()
    from pellucid.agent.configuration_sources import ConfigurationError, load, read_sources

    try:
        keys = load(read_sources(files)).keys
    except ConfigurationError as error:
        raise CommandFailed(f"Error: {error}") from None
    services = (keys.service or ()) + (keys.services or ())
    if not services:
        raise CommandFailed(f"Error: no service is defined in {', '.join(files)}")
    for number, service in enumerate(services):
        if not service.name:
            raise CommandFailed(f'Error: services[{number}] has no name; give it one: name = "web"')
    return services


def _service_of_flags(invocation: Invocation) -> dict[str, Any]:
    flags = invocation.flags
    if not flags.text("name"):
        raise CommandFailed("Error: -name is required to register a service with flags")
    tagged = {name: _tagged_address(name, text) for name, text in flags.pairs("tagged-address").items()}
    described = {
        "Kind": flags.text("kind"),
        "ID": flags.text("id"),
        "Name": flags.text("name"),
        "Address": flags.text("address"),
        "Port": flags.integer("port"),
        "Tags": list(flags.list("tag")),
        "Meta": flags.pairs("meta"),
        "TaggedAddresses": tagged,
    }
    return {key: value for key, value in described.items() if value}


def _tagged_address(name: str, text: str) -> dict[str, Any]:
    """The address and port of `-tagged-address name=address:port`. Raises CommandFailed."""
    address, separator, port = text.rpartition(":")
    if not separator or not address or not port.isdigit():
        raise CommandFailed(
            f"Error: -tagged-address {name}={text}: give an address and a port: name=10.0.0.1:80"
        )
    return {"Address": address.strip("[]"), "Port": int(port)}


REGISTER = Command(
    usage="services register [options] [FILE...]",
    about=(
        "Registers services with the local agent, as the files or the flags describe them. A service stays "
        "until it is deregistered.\n\n"
        "    $ {program} services register web.hcl\n"
        "    $ {program} services register -name=web -port=8080 -tag=v1"
    ),
    run=_register,
    flags=(
        Flag("address", "The service's address; the node's own when absent."),
        Flag(
            "credential-file",
            "Where to keep a new credential for the service's sidecar. A sidecar on another machine than the "
            "agent shows it as its token: connect envoy -token-file.",
            placeholder="file",
        ),
        Flag("id", "The instance's ID; the name when absent.", placeholder="ID"),
        Flag("kind", "The kind of proxy or gateway this is; none for an ordinary service."),
        Flag("meta", "Metadata; repeatable.", kind="pairs", placeholder="key=value"),
        Flag("name", "The service's name."),
        Flag("port", "The port the service listens on.", kind="integer", placeholder="port"),
        Flag("tag", "A tag; repeatable.", kind="list"),
        Flag("tagged-address", "A further address; repeatable.", "pairs", placeholder="name=address:port"),
    ),
    takes_server=True,
    takes_namespace=True,
)
DEREGISTER = Command(
    usage="services deregister [options] [FILE...]",
    about=(
        "Removes services from the local agent: the one that -id names, or those that the files define.\n\n"
        "    $ {program} services deregister -id web"
    ),
    run=_deregister,
    flags=(Flag("id", "The ID of the service to remove.", placeholder="ID"),),
    takes_server=True,
    takes_namespace=True,
)
