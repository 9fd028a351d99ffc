"""`run`: one program, unmodified, inside the mesh, and nothing left of it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.cli.command import Command, CommandFailed, Invocation, UsageFailed
from pellucid.cli.exclusion_flags import EXCLUSION_FLAGS, exclusions
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from pellucid.dataplane.run.agent_api import AgentAddress
    from pellucid.dataplane.run.settings import WorkloadSettings

FAILED = 125


def _run(invocation: Invocation) -> int:
    import asyncio

    from pellucid.dataplane.redirect_settings import InvalidSettingError
    from pellucid.dataplane.run.supervisor import run_workload

    if not invocation.arguments:
        raise UsageFailed("A command to run must be given after --.", FAILED)
    try:
        settings = settings_of(invocation)
    except InvalidSettingError as error:
        raise CommandFailed(f"Error: {error}", FAILED) from None
    except CommandFailed as failure:
        raise CommandFailed(failure.text, FAILED) from None
    return asyncio.run(run_workload(settings))


def settings_of(invocation: Invocation) -> WorkloadSettings:
    """What flags and environment ask for. Raises InvalidSettingError and CommandFailed."""
    from pellucid.dataplane.redirect_settings import parse_port
    from pellucid.dataplane.run.settings import WorkloadSettings, parse_upstream, service_name_of

    flags = invocation.flags
    return WorkloadSettings(
        command=invocation.arguments,
        service=flags.text("service") or service_name_of(invocation.arguments[0]),
        service_id=flags.text("id"),
        port=parse_port("-port", flags.text("port")) if flags.text("port") else 0,
        upstreams=tuple(parse_upstream(text) for text in flags.list("upstream")),
        protocol=flags.text("protocol"),
        tags=flags.list("tag"),
        user=flags.text("user"),
        **exclusions(flags),
        agent=_agent(invocation),
        xds_address=flags.text("grpc-addr") or invocation.environment.get("CONSUL_GRPC_ADDR", ""),
        xds_ca_file=flags.text("ca-file") or invocation.environment.get("CONSUL_CACERT", ""),
        dns_address=flags.text("dns-addr"),
        domain=flags.text("domain"),
        envoy_binary=flags.text("envoy-binary") or None,
        envoy_arguments=flags.list("envoy-argument"),
        uplink=flags.boolean("uplink"),
        hosts=_hosts(invocation),
    )


def _agent(invocation: Invocation) -> AgentAddress:
    from dataclasses import asdict

    from pellucid.cli.http_settings import SettingsError, http_settings
    from pellucid.dataplane.run.agent_api import AgentAddress

    try:
        return AgentAddress(**asdict(http_settings(invocation.flags, invocation.environment)))
    except SettingsError as error:
        raise CommandFailed(f"Error: {error}") from None


def _hosts(invocation: Invocation) -> dict[str, str]:
    """The names of -host, each with its address. Raises CommandFailed for one without an IP address."""
    import ipaddress

    hosts = invocation.flags.pairs("host")
    for name, address in hosts.items():
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise CommandFailed(f"Error: -host {name}={address}: give an IP address") from None
    return hosts


RUN = Command(
    usage="run [options] -- COMMAND [ARGUMENTS...]",
    about=(
        "Runs a program inside the mesh: in a network namespace of its own, with a sidecar proxy that all of "
        "its connections go through, registered as a service. The program itself needs no change and "
        "notices nothing. When it ends, however it ends, nothing of this is left.\n\n"
        "    $ {program} run -service=hello -port=8080 -- ./hello-server\n"
        "    $ {program} run -- curl http://hello.virtual.consul\n\n"
        "Its exit code is the program's; 125 when the program could not be brought into the mesh, 126 when "
        "it cannot be executed, 127 when it is not found. Works as root, and without where the kernel lets "
        "users make namespaces."
    ),
    run=_run,
    flags=(
        Flag("dns-addr", "The agent's DNS, when not where the agent says.", placeholder="address:port"),
        Flag("domain", "The mesh's DNS domain.", default="consul", placeholder="name"),
        Flag("envoy-argument", "A further argument for Envoy; repeatable.", kind="list"),
        Flag("envoy-binary", "Envoy's binary; without it, the one in PATH or the packaged one."),
        *EXCLUSION_FLAGS,
        Flag(
            "grpc-addr",
            "The xDS server, when not where the agent says. CONSUL_GRPC_ADDR.",
            placeholder="address",
        ),
        Flag("host", "A further name to resolve; repeatable.", "pairs", placeholder="name=address"),
        Flag("id", "The instance's ID; made from the name when absent.", placeholder="ID"),
        Flag("port", "The port the program listens on; none when it only dials.", placeholder="port"),
        Flag("protocol", "What the service speaks: tcp, http, http2 or grpc.", placeholder="protocol"),
        Flag("service", "The service's name; the program's own when absent.", placeholder="name"),
        Flag("tag", "A tag of the service; repeatable.", kind="list"),
        Flag(
            "uplink",
            "Let the program reach what is outside the mesh; -uplink=false does not.",
            "boolean",
            True,
        ),
        Flag(
            "upstream", "A service at a local port; repeatable.", "list", placeholder="name:port[:datacenter]"
        ),
        Flag("user", "Who runs the program; the caller when absent.", placeholder="name|uid[:gid]"),
    ),
    runs_program=True,
)
