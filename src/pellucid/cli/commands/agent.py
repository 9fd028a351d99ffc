"""`agent`: run an agent in this process.

Flags are one more source of configuration, read after the files; `-hcl` fragments come last.
Source: Consul 1.10 command/agent; agent/config/flags.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.cli.command import Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from pellucid.agent.configuration import AgentConfiguration

PORT_FLAGS = {
    "dns-port": "dns",
    "grpc-port": "grpc",
    "http-port": "http",
    "https-port": "https",
    "xds-port": "xds",
    "server-port": "server",
    "serf-lan-port": "serf_lan",
    "serf-wan-port": "serf_wan",
}
RENAMED = {
    "advertise": "advertise_addr",
    "advertise-wan": "advertise_addr_wan",
    "bind": "bind_addr",
    "check_output_max_size": "check_output_max_size",
    "client": "client_addr",
    "join": "start_join",
    "join-wan": "start_join_wan",
    "node": "node_name",
    "primary-gateway": "primary_gateways",
    "recursor": "recursors",
    "rejoin": "rejoin_after_leave",
    "serf-lan-bind": "serf_lan",
    "serf-wan-bind": "serf_wan",
    "syslog": "enable_syslog",
}
NOT_KEYS = frozenset({"config-dir", "config-file", "config-format", "dev", "hcl", "allow-write-http-from"})


def _run(invocation: Invocation) -> int:
    from pellucid.agent.configuration_sources import ConfigurationError

    if invocation.arguments:
        raise CommandFailed(f"==> Unexpected extra arguments: {list(invocation.arguments)}")
    try:
        configuration = configuration_of(invocation)
    except ConfigurationError as error:
        raise CommandFailed(f"==> {error}") from None
    # After the configuration is known to be good: the rooms of an agent take a second to import.
    from pellucid.agent.process import run

    return run(configuration, reread=lambda: configuration_of(invocation))


def configuration_of(invocation: Invocation) -> AgentConfiguration:
    """Read the files that the flags name, and the flags. Raises ConfigurationError."""
    from pellucid.agent.configuration_loading import load_configuration

    flags = invocation.flags
    return load_configuration(
        flags.list("config-file"),
        flags=keys_of(invocation),
        fragments=flags.list("hcl"),
        dev=flags.boolean("dev"),
        config_format=flags.text("config-format"),
    )


def keys_of(invocation: Invocation) -> dict[str, Any]:
    """The flags that were given, as the keys that a configuration file would spell them with."""
    keys: dict[str, Any] = {}
    ports: dict[str, int] = {}
    for flag in AGENT.flags:
        if flag.name in NOT_KEYS or not invocation.flags.given(flag.name):
            continue
        value = invocation.flags.value(flag.name)
        if flag.name in PORT_FLAGS:
            ports[PORT_FLAGS[flag.name]] = invocation.flags.integer(flag.name)
        else:
            keys[RENAMED.get(flag.name, flag.name.replace("-", "_"))] = value
    if ports:
        keys["ports"] = ports
    if sources := invocation.flags.list("allow-write-http-from"):
        keys["http_config"] = {"allow_write_http_from": list(sources)}
    return keys


def _unused(name: str, kind: Any = "text") -> Flag:
    return Flag(name, "Accepted; has no effect (the agent says why at start).", kind=kind)


AGENT = Command(
    usage="agent [options]",
    about=(
        "Runs an agent until it is told to stop. It keeps the catalog, the configuration entries and the "
        "intentions, serves the HTTP API, xDS for proxies and DNS, runs health checks and signs "
        "certificates.\n\n"
        "    $ {program} agent -dev\n"
        "    $ {program} agent -server -data-dir=/var/lib/pellucid -config-dir=/etc/pellucid.d\n\n"
        "Without -client it listens on loopback only. SIGHUP reloads, SIGTERM and SIGINT stop it."
    ),
    run=_run,
    flags=(
        Flag("advertise", "The address that other machines reach this node by.", placeholder="address"),
        _unused("advertise-wan"),
        Flag(
            "allow-write-http-from",
            "A network that may write over HTTP; repeatable.",
            "list",
            placeholder="cidr",
        ),
        Flag("alt-domain", "A second DNS domain to answer for."),
        Flag("bind", "The address this node is known by when -advertise is absent.", placeholder="address"),
        _unused("bootstrap", "boolean"),
        _unused("bootstrap-expect", "integer"),
        _unused("check_output_max_size", "integer"),
        Flag(
            "client",
            "Where HTTP, DNS and xDS listen: addresses, separated by spaces.",
            placeholder="addresses",
        ),
        Flag(
            "config-dir",
            "A directory of .hcl and .json files to read; repeatable.",
            "list",
            into="config-file",
            placeholder="directory",
        ),
        Flag(
            "config-file",
            "A configuration file or directory to read; repeatable.",
            "list",
            placeholder="file",
        ),
        Flag("config-format", "The format of files with other names.", placeholder="hcl|json"),
        Flag("data-dir", "Where the agent keeps its state.", placeholder="directory"),
        Flag("datacenter", "The datacenter's name.", placeholder="name"),
        Flag(
            "default-query-time",
            "How long a blocking query waits at most by default.",
            placeholder="duration",
        ),
        Flag(
            "dev",
            "Keep everything in memory, listen on loopback, serve xDS and the web page.",
            kind="boolean",
        ),
        _unused("disable-host-node-id", "boolean"),
        _unused("disable-keyring-file", "boolean"),
        Flag("dns-port", "The DNS port; -1 for none.", kind="integer", placeholder="port"),
        Flag("domain", "The DNS domain to answer for.", placeholder="name"),
        Flag("enable-local-script-checks", "Run check scripts that files define.", kind="boolean"),
        Flag("enable-script-checks", "Run check scripts, also those registered over HTTP.", kind="boolean"),
        _unused("encrypt"),
        Flag("grpc-port", "The xDS port; -1 for none.", kind="integer", placeholder="port"),
        Flag(
            "hcl",
            "A piece of configuration, read after everything else; repeatable.",
            "list",
            placeholder="HCL",
        ),
        Flag("http-port", "The HTTP port; -1 for none.", kind="integer", placeholder="port"),
        Flag("https-port", "The HTTPS port; -1 for none.", kind="integer", placeholder="port"),
        _unused("join", "list"),
        _unused("join-wan", "list"),
        Flag("log-file", "A file to log to instead of standard output.", placeholder="file"),
        Flag("log-json", "Log in JSON.", kind="boolean"),
        Flag("log-level", "The least severe messages to log.", placeholder="trace|debug|info|warn|err"),
        _unused("log-rotate-bytes", "integer"),
        _unused("log-rotate-duration"),
        _unused("log-rotate-max-files", "integer"),
        Flag(
            "max-query-time",
            "The longest that a client may make a blocking query wait.",
            placeholder="duration",
        ),
        Flag("node", "This node's name; the host's name when absent.", placeholder="name"),
        Flag("node-id", "This node's ID; made and kept when absent.", placeholder="UUID"),
        Flag(
            "node-meta", "Metadata of this node; repeatable.", "pairs", placeholder="key:value", separator=":"
        ),
        Flag("pid-file", "A file to keep the process ID in.", placeholder="file"),
        _unused("primary-gateway", "list"),
        _unused("protocol", "integer"),
        _unused("raft-protocol", "integer"),
        Flag("recursor", "A DNS server to ask about other names; repeatable.", "list", placeholder="address"),
        _unused("rejoin", "boolean"),
        _unused("retry-interval"),
        _unused("retry-interval-wan"),
        _unused("retry-join", "list"),
        _unused("retry-join-wan", "list"),
        _unused("retry-max", "integer"),
        _unused("retry-max-wan", "integer"),
        _unused("segment"),
        _unused("serf-lan-allowed-cidrs", "list"),
        _unused("serf-lan-bind"),
        _unused("serf-lan-port", "integer"),
        _unused("serf-wan-allowed-cidrs", "list"),
        _unused("serf-wan-bind"),
        _unused("serf-wan-port", "integer"),
        Flag("server", "Serve the mesh (every agent here does).", kind="boolean"),
        _unused("server-port", "integer"),
        _unused("syslog", "boolean"),
        Flag("ui", "Serve the web page.", kind="boolean"),
        Flag("ui-content-path", "The path of the web page.", placeholder="path"),
        _unused("ui-dir"),
        Flag("xds-port", "The same as -grpc-port.", kind="integer", placeholder="port"),
    ),
    takes_client=False,
)
