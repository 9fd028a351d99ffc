"""`connect envoy`: start Envoy as the proxy of a registered service, or print what it would start with.

The bootstrap may hold a token, so it reaches Envoy through a named pipe that only its owner can read, and
never through an argument or a file that stays. Gateways are refused: this mesh has none.

One difference from Consul: without -grpc-addr, xDS is looked for on the host of the HTTP address, since a
workload here talks to the server itself.
Source: Consul 1.10 command/connect/envoy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from pellucid.cli.client_errors import ClientError
from pellucid.cli.command import Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from pellucid.cli.http_settings import HttpSettings
    from pellucid.dataplane.envoy_settings import BootstrapSettings, XdsServer

    AgentJson = dict[str, Any]

DEFAULT_ENVOY_VERSION = "1.40.0"
GATEWAY_FLAGS = ("gateway", "mesh-gateway", "register", "expose-servers")


def _run(invocation: Invocation) -> int:
    from pellucid.cli.bootstrap_pipe import offer
    from pellucid.dataplane.envoy_binary import EnvoyMissingError, envoy_command, find_envoy
    from pellucid.dataplane.envoy_bootstrap import build_bootstrap, render_bootstrap
    from pellucid.dataplane.redirect_settings import InvalidSettingError

    flags = invocation.flags
    if any(flags.given(name) for name in GATEWAY_FLAGS):
        raise CommandFailed("Gateways are not part of this mesh; use -sidecar-for or -proxy-id")
    proxy_id = _proxy_id(invocation)
    try:
        service = invocation.client().get(f"/v1/agent/service/{proxy_id}")
    except ClientError as error:
        raise CommandFailed(f"failed fetch proxy config from local agent: {error}") from None
    if service.get("Kind") != "connect-proxy":
        raise CommandFailed("service is not a Connect proxy or gateway")
    try:
        bootstrap = build_bootstrap(_settings(invocation, proxy_id, service), invocation.environment)
        if flags.boolean("bootstrap"):
            invocation.terminal.stdout.write(render_bootstrap(bootstrap))
            return 0
        binary = find_envoy(flags.text("envoy-binary") or None)
    except InvalidSettingError as error:
        raise CommandFailed(f"failed parsing Proxy.Config: {error}") from None
    except EnvoyMissingError as error:
        raise CommandFailed(str(error)) from None
    pipe = offer(render_bootstrap(bootstrap), "bootstrap.json")
    return _become(envoy_command(binary, pipe, invocation.arguments))


def _become(command: list[str]) -> NoReturn:
    """Put `command` in this process's place."""
    os.execv(command[0], command)  # noqa: S606 - that is what the command is for


def _proxy_id(invocation: Invocation) -> str:
    """The proxy that -proxy-id names, or the one sidecar of the service that -sidecar-for names."""
    flags, environment = invocation.flags, invocation.environment
    if proxy_id := flags.text("proxy-id") or environment.get("CONNECT_PROXY_ID", ""):
        return proxy_id
    sidecar_for = _sidecar_for(invocation)
    if not sidecar_for:
        raise CommandFailed("No proxy ID specified. One of -proxy-id, -sidecar-for, or -gateway is required")
    try:
        services = invocation.client().get("/v1/agent/services")
    except ClientError as error:
        raise CommandFailed(f"Failed looking up sidecar proxy info for {sidecar_for}: {error}") from None
    sidecars: list[str] = sorted(
        service["ID"]
        for service in services.values()
        if service.get("Kind") == "connect-proxy"
        and service["Proxy"].get("DestinationServiceID", "").lower() == sidecar_for.lower()
    )
    if not sidecars:
        raise CommandFailed(f"No sidecar proxy registered for {sidecar_for}")
    if len(sidecars) > 1:
        raise CommandFailed(
            f"More than one sidecar proxy registered for {sidecar_for}.\n"
            f"    Start proxy with -proxy-id and one of the following IDs: {', '.join(sidecars)}"
        )
    return sidecars[0]


def _sidecar_for(invocation: Invocation) -> str:
    return invocation.flags.text("sidecar-for") or invocation.environment.get("CONNECT_SIDECAR_FOR", "")


def _settings(invocation: Invocation, proxy_id: str, service: AgentJson) -> BootstrapSettings:
    """What the bootstrap is made of. Raises InvalidSettingError and CommandFailed."""
    from pellucid.cli.http_settings import http_settings
    from pellucid.dataplane.envoy_settings import (
        BootstrapConfig,
        BootstrapSettings,
        bootstrap_config,
        parse_internet_address,
    )
    from pellucid.dataplane.redirect_settings import parse_port

    flags = invocation.flags
    proxy = service["Proxy"]
    settings = http_settings(flags, invocation.environment)
    backend = flags.text("prometheus-backend-port")
    destination = proxy.get("DestinationServiceName", "")
    return BootstrapSettings(
        proxy_id=proxy_id,
        proxy_cluster=destination or _sidecar_for(invocation) or proxy_id,
        proxy_source_service=destination,
        datacenter=service.get("Datacenter", ""),
        namespace=flags.text("namespace"),
        token=settings.token,
        xds=_xds_server(invocation, settings),
        envoy_version=flags.text("envoy-version") or _version_of_envoy(flags.text("envoy-binary")),
        admin=parse_internet_address("-admin-bind", flags.text("admin-bind"), _resolve),
        admin_access_log_path=flags.text("admin-access-log-path"),
        prometheus_backend_port=parse_port("-prometheus-backend-port", backend) if backend else None,
        prometheus_scrape_path=flags.text("prometheus-scrape-path"),
        omit_deprecated_tags=flags.boolean("omit-deprecated-tags"),
        config=BootstrapConfig()
        if flags.boolean("no-central-config")
        else bootstrap_config(proxy.get("Config") or {}),
    )


def _xds_server(invocation: Invocation, settings: HttpSettings) -> XdsServer:
    """Where xDS is: as told, else on the HTTP address's host at the port that the agent reports."""
    from pellucid.dataplane.envoy_settings import XdsServer, parse_xds_address

    told = invocation.flags.text("grpc-addr") or invocation.environment.get("CONSUL_GRPC_ADDR", "")
    if not told:
        host = "127.0.0.1" if settings.scheme == "unix" else settings.address.rpartition(":")[0]
        told = f"{host}:{_xds_port(invocation)}"
    address, asks_for_tls = parse_xds_address(told, _resolve)
    if not (asks_for_tls or settings.scheme == "https"):
        return XdsServer(address)
    return XdsServer(address, _authority(invocation, settings), settings.tls_server_name or None)


def _xds_port(invocation: Invocation) -> int:
    from pellucid.dataplane.envoy_settings import DEFAULT_XDS_PORT

    try:
        agent = invocation.client().get("/v1/agent/self")
    except ClientError as error:
        raise CommandFailed(f"failed fetch agent configuration: {error}") from None
    reported = (agent.get("xDS") or {}).get("Port") or (agent.get("DebugConfig") or {}).get("GRPCPort")
    return reported if isinstance(reported, int) and reported > 0 else DEFAULT_XDS_PORT


def _authority(invocation: Invocation, settings: HttpSettings) -> str:
    """The certificates (PEM) that the xDS server's must be signed by: -ca-file's, else the mesh's roots."""
    if settings.ca_file:
        try:
            with open(settings.ca_file, encoding="utf-8") as stream:
                return stream.read()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"Error loading CA file {settings.ca_file}: {error}") from None
    try:
        roots = invocation.client().get("/v1/agent/connect/ca/roots")["Roots"]
    except ClientError as error:
        raise CommandFailed(f"failed fetch mesh CA roots: {error}") from None
    return "".join(root["RootCert"] for root in roots)


def _version_of_envoy(binary: str) -> str:
    """The version of the Envoy that would run; a bootstrap can be printed where there is none."""
    from pellucid.dataplane.envoy_binary import EnvoyMissingError, envoy_version, find_envoy

    try:
        return envoy_version(find_envoy(binary or None))
    except (EnvoyMissingError, OSError):
        return DEFAULT_ENVOY_VERSION


def _resolve(host: str) -> str:
    import socket

    return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])


GATEWAY = "Accepted for Consul's sake and refused: this mesh has no gateways."
ENVOY = Command(
    usage="connect envoy [options] [-- envoy-arguments...]",
    about=(
        "Starts Envoy as the sidecar proxy of a registered service. The proxy is found by the service "
        "(-sidecar-for) or named itself (-proxy-id). With -bootstrap, prints the configuration that Envoy "
        "would start with and starts nothing.\n\n"
        "    $ {program} connect envoy -sidecar-for web\n"
        "    $ {program} connect envoy -sidecar-for web -bootstrap > bootstrap.json\n"
        "    $ {program} connect envoy -sidecar-for web -- -l debug"
    ),
    run=_run,
    flags=(
        Flag("admin-access-log-path", "Where Envoy's admin requests are logged.", default="/dev/null"),
        Flag(
            "admin-bind",
            "Where Envoy's admin listens.",
            default="localhost:19000",
            placeholder="address:port",
        ),
        Flag("bootstrap", "Print the bootstrap as JSON and do not start Envoy.", kind="boolean"),
        Flag("envoy-binary", "Envoy's binary; without it, the one in PATH or the packaged one."),
        Flag("envoy-version", "The version to tell the server; without it, what the binary says."),
        Flag(
            "grpc-addr",
            "The xDS server's address: host:port, https://host:port or unix:///path. CONSUL_GRPC_ADDR.",
            placeholder="address",
        ),
        Flag("no-central-config", "Do not look at the proxy's registered Config.", kind="boolean"),
        Flag("omit-deprecated-tags", "Leave out statistics tags older than Consul 1.9.", kind="boolean"),
        Flag("prometheus-backend-port", "Scrape this port instead of Envoy's admin.", placeholder="port"),
        Flag("prometheus-scrape-path", "The path that metrics are scraped from.", default="/metrics"),
        Flag("proxy-id", "The proxy's own service ID. CONNECT_PROXY_ID.", placeholder="ID"),
        Flag(
            "sidecar-for",
            "The ID of the service whose one sidecar to start. CONNECT_SIDECAR_FOR.",
            placeholder="ID",
        ),
        Flag("address", GATEWAY),
        Flag("bind-address", GATEWAY, kind="list"),
        Flag("deregister-after-critical", GATEWAY),
        Flag("expose-servers", GATEWAY, kind="boolean"),
        Flag("gateway", GATEWAY),
        Flag("mesh-gateway", GATEWAY, kind="boolean"),
        Flag("register", GATEWAY, kind="boolean"),
        Flag("service", GATEWAY),
        Flag("wan-address", GATEWAY),
    ),
    takes_namespace=True,
)
