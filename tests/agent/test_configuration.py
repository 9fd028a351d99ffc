"""What an agent is told to be: defaults, contradictions, and what a reload changes."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from pellucid.agent import configuration as configuration_module
from pellucid.agent.configuration import AgentConfiguration, Kubernetes, reloaded
from pellucid.agent.configuration_loading import load_configuration
from pellucid.agent.configuration_sources import ConfigurationError
from pellucid.agent.host import Host, this_host
from pellucid.agent.listen_addresses import ListenAddress
from pellucid.model.durations import SECOND

HOST = Host("machine", (("eth0", "10.0.0.5"), ("eth1", "203.0.113.9")))


def configured(text: str = "", *, dev: bool = False, host: Host = HOST) -> AgentConfiguration:
    """The configuration that a fragment (with a data directory, unless `dev`) comes to on `host`."""
    flags = {} if dev else {"data_dir": "/data", "server": True}
    return load_configuration(flags=flags, fragments=[text], dev=dev, host=host)


def fault(text: str, *, host: Host = HOST) -> str:
    with pytest.raises(ConfigurationError) as caught:
        configured(text, host=host)
    return str(caught.value)


def listening(addresses: tuple[ListenAddress, ...]) -> list[str]:
    return [str(address) for address in addresses]


def test_the_defaults_are_consuls() -> None:
    configuration = configured()
    assert configuration.datacenter == "dc1"
    assert (configuration.node_name, configuration.advertise_address) == ("machine", "10.0.0.5")
    assert listening(configuration.listeners.http) == ["127.0.0.1:8500"]
    assert listening(configuration.listeners.dns) == ["127.0.0.1:8600"]
    assert configuration.listeners.https == configuration.listeners.grpc == ()
    assert (configuration.ports.sidecar_min, configuration.ports.sidecar_max) == (21000, 21255)
    assert configuration.http.default_query_time == 300 * SECOND
    assert (configuration.logging.level, configuration.dns.domain) == ("INFO", "consul")
    assert configuration.warnings == ()


def test_dev_keeps_nothing_serves_xds_and_the_web_page_and_says_more() -> None:
    configuration = configured(dev=True)
    assert (configuration.data_dir, configuration.dev_mode) == ("", True)
    assert listening(configuration.listeners.grpc) == ["127.0.0.1:8502"]
    assert configuration.advertise_address == "127.0.0.1"
    assert (configuration.ui.enabled, configuration.logging.level) == (True, "DEBUG")


def test_without_dev_there_must_be_a_place_for_data() -> None:
    with pytest.raises(ConfigurationError, match="data_dir cannot be empty; give -data-dir, or -dev"):
        load_configuration(host=HOST)


def test_nothing_listens_off_loopback_unless_told() -> None:
    listeners = configured('ports { https = 8501 grpc = 8502 } cert_file = "c" key_file = "k"').listeners
    for name in listeners.__struct_fields__:
        assert all(address.is_local for address in getattr(listeners, name))


def test_client_addr_may_list_addresses_and_each_server_may_have_its_own() -> None:
    listeners = configured(
        'client_addr = "127.0.0.1 ::1" ports { grpc = 8502 } '
        'addresses { http = "10.0.0.5 unix:///run/http.sock" }'
    ).listeners
    assert listening(listeners.http) == ["10.0.0.5:8500", "unix:///run/http.sock"]
    assert listening(listeners.grpc) == ["127.0.0.1:8502", "[::1]:8502"]
    assert not listeners.http[0].is_local


def test_a_port_of_minus_one_or_zero_is_off() -> None:
    listeners = configured("ports { http = -1 dns = 0 }").listeners
    assert listeners.http == listeners.dns == ()


def test_dns_for_the_mesh_is_beside_dns_unless_told() -> None:
    assert listening(configured("ports { dns = 53 }").listeners.mesh_dns) == ["127.0.0.1:54"]
    assert listening(configured("pellucid { mesh_dns_port = 5353 }").listeners.mesh_dns) == ["127.0.0.1:5353"]
    assert configured("ports { dns = -1 }").listeners.mesh_dns == ()
    assert configured("pellucid { mesh_dns_port = -1 }").listeners.mesh_dns == ()


def test_xds_may_have_a_unix_socket_of_its_own() -> None:
    listeners = configured('pellucid { xds_socket = "/run/xds.sock" }').listeners
    assert listening(listeners.grpc) == ["unix:///run/xds.sock"]


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("{{ GetPrivateIP }}", "10.0.0.5"),
        ('{{ GetInterfaceIP \\"eth1\\" }}', "203.0.113.9"),
        ("{{GetPrivateIPs}}", "10.0.0.5"),
    ],
)
def test_addresses_may_be_templates(template: str, address: str) -> None:
    assert configured(f'bind_addr = "{template}"').advertise_address == address


def test_without_a_private_address_loopback_is_advertised() -> None:
    assert configured(host=Host("machine")).advertise_address == "127.0.0.1"


@pytest.mark.parametrize("key", ["advertise_addr", "advertise_addr_ipv4", "bind_addr"])
def test_an_address_that_is_given_is_advertised(key: str) -> None:
    assert configured(f'{key} = "10.9.9.9"').advertise_address == "10.9.9.9"


def test_domains_are_lower_case_without_the_final_dot() -> None:
    dns = configured('domain = "Mesh.Example." alt_domain = "consul."').dns
    assert (dns.domain, dns.alt_domain) == ("mesh.example", "consul")


def test_service_ttls_are_durations_by_name() -> None:
    dns = configured('dns_config { service_ttl { "*" = "5s" "web" = "0" } }').dns
    assert dns.service_ttl == {"*": 5 * SECOND, "web": 0}


def test_script_checks_from_files_need_less_permission_than_those_over_http() -> None:
    local = configured("enable_local_script_checks = true").checks
    assert (local.enable_local_scripts, local.enable_scripts) == (True, False)
    everything = configured("enable_script_checks = true").checks
    assert (everything.enable_local_scripts, everything.enable_scripts) == (True, True)


def test_definitions_come_from_all_four_keys() -> None:
    configuration = configured(
        'service { name = "a" } services = [{ name = "b" }] '
        'check { name = "c" ttl = "1m" } checks = [{ name = "d" ttl = "1m" }]'
    )
    assert [service.name for service in configuration.service_definitions] == ["a", "b"]
    assert [check.name for check in configuration.check_definitions] == ["c", "d"]


def test_bootstrap_entries_are_kept_as_written() -> None:
    entries = configured(
        'config_entries { bootstrap { kind = "proxy-defaults" name = "global" config { a = "b" } } }'
    ).bootstrap_config_entries
    assert entries == ({"kind": "proxy-defaults", "name": "global", "config": {"a": "b"}},)


def test_a_connection_without_intention_is_allowed_unless_told() -> None:
    assert configured().connect.intention_default == "allow"
    assert configured('pellucid { intention_default = "deny" }').connect.intention_default == "deny"


def test_an_agent_that_is_no_server_serves_all_the_same_and_says_so() -> None:
    configuration = configured("server = false")
    assert configuration.warnings == ("this agent serves the mesh by itself, as if started with -server",)


def test_an_agent_without_a_mesh_there_is_not() -> None:
    assert configured("connect { enabled = true }").warnings == ()
    assert configured("connect { enabled = false }").warnings == (
        "connect.enabled = false has no effect: the mesh is what this agent is for",
    )


def kubernetes(settings: str = "", beside: str = "") -> str:
    return f'pellucid {{ kubernetes {{ enabled = true token_audience = "mesh" {settings} }} }} {beside}'


def test_an_agent_as_a_pod_has_a_certificate_of_its_own_and_is_written_to_from_its_own_machine() -> None:
    names = 'server_names = ["mesh-server.mesh.svc", "10.1.2.3"]'
    settings = f'registrars = ["mesh/injector"] ca_config_map = "server-ca" {names}'
    configuration = configured(kubernetes(settings, "ports { https = 8501 }"))
    assert listening(configuration.listeners.https) == ["127.0.0.1:8501"]
    assert [str(network) for network in configuration.http.allow_write_from] == ["127.0.0.0/8", "::1/128"]
    assert configuration.kubernetes == Kubernetes(
        enabled=True,
        token_audience="mesh",
        registrars=("mesh/injector",),
        ca_config_map="server-ca",
        server_names=("mesh-server.mesh.svc", "10.1.2.3"),
    )


def test_who_may_write_to_an_agent_as_a_pod_can_be_said() -> None:
    configuration = configured(kubernetes(beside='http_config { allow_write_http_from = ["10.0.0.0/8"] }'))
    assert [str(network) for network in configuration.http.allow_write_from] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pellucid { kubernetes { enabled = true } }", "pellucid.kubernetes.token_audience cannot be empty"),
        (kubernetes('registrars = ["injector"]'), '"injector" is no service account; write it as namespace/'),
        (kubernetes('server_names = ["a b"]'), 'server_names: "a b" is no DNS name and no IP address'),
        (kubernetes('registrar = ["a/b"]'), 'did you mean "registrars"?'),
        (
            kubernetes('ca_config_map = "ca"', 'cert_file = "c" key_file = "k"'),
            "pellucid.kubernetes.ca_config_map would publish the server's own authority",
        ),
        (
            kubernetes("", 'verify_incoming = true ca_file = "c"'),
            "verify_incoming needs cert_file and key_file",
        ),
        ('datacenter = "dc 1"', 'datacenter cannot be "dc 1". Please use only [a-z0-9-_]'),
        ('datacenter = ""', "datacenter cannot be empty"),
        ('node_name = " "', "node_name cannot be empty"),
        ('node_id = "n1"', 'node_id "n1" is no UUID; leave it out to have one made'),
        ('recursors = ["10.0.0.1", "bogus"]', 'recursors: recursor "bogus" is not an IP address'),
        (
            'http_config { allow_write_http_from = ["lan"] }',
            "http_config.allow_write_http_from: 'lan' does not appear to be an IPv4 or IPv6 network",
        ),
        ('bind_addr = "10.0.0.1 10.0.0.2"', "bind_addr cannot contain multiple addresses: 10.0.0.1 10.0.0.2"),
        ('bind_addr = "localhost"', "bind_addr: invalid ip address: localhost"),
        ('client_addr = "nowhere"', "client_addr: invalid ip address: nowhere"),
        ('addresses { https = "unix:///x" }', "addresses.https: cannot use a unix socket: unix:///x"),
        ('addresses { dns = "unix:///x" }', "addresses.dns: cannot use a unix socket: unix:///x"),
        ('advertise_addr = "0.0.0.0"', "advertise_addr cannot be 0.0.0.0, :: or [::]"),
        ('bind_addr = "{{ GetPublicIP }}"', "bind_addr: cannot expand {{ GetPublicIP }}; known are"),
        ('bind_addr = "{{ GetInterfaceIP \\"wlan\\" }}"', "finds no address on this machine"),
        ("ports { http = 65536 }", "ports.http: invalid port number: 65536; use 1 to 65535, or -1 for off"),
        ("pellucid { mesh_dns_port = 65536 }", "pellucid.mesh_dns_port: invalid port number: 65536"),
        ("ports { dns = 8500 }", "http address 127.0.0.1:8500 is already configured for dns"),
        (
            "ports { sidecar_min_port = 5 sidecar_max_port = 4 }",
            "ports.sidecar_min_port 5 must be less than ports.sidecar_max_port 4",
        ),
        ("verify_incoming = true", "verify_incoming needs ca_file or ca_path"),
        ('cert_file = "c"', "cert_file and key_file go together; only one of them is set"),
        ("ports { https = 8501 }", "ports.https needs cert_file and key_file"),
        ('log_level = "loud"', "Invalid log level: loud. Valid log levels are: TRACE DEBUG INFO WARN ERROR"),
        ('connect { ca_provider = "vault" }', 'connect.ca_provider must be "consul", the built-in one'),
        ('dns_config { service_ttl { web = "soon" } }', "dns_config.service_ttl.web: "),
        ('pellucid { intention_default = "maybe" }', 'must be "allow" or "deny", not "maybe"'),
        ("service { port = 1 }", "services[0] has no name"),
        (
            'service { name = "a" } service { name = "b" id = "a" }',
            'service "a" is defined 2 times; give each its own id',
        ),
        ("server = false bootstrap = true", "'bootstrap = true' requires 'server = true'"),
        ("server = false bootstrap_expect = 3", "'bootstrap_expect > 0' requires 'server = true'"),
        ("bootstrap = true bootstrap_expect = 3", "are mutually exclusive"),
    ],
)
def test_what_cannot_be_is_refused_with_the_key_and_the_value(text: str, message: str) -> None:
    assert message in fault(text)


def test_several_private_addresses_need_a_choice() -> None:
    host = Host("machine", (("eth0", "10.0.0.5"), ("eth1", "192.168.0.5")))
    assert fault("", host=host) == (
        "Multiple private IPv4 addresses found. Please configure one with 'bind' and/or 'advertise': "
        "10.0.0.5, 192.168.0.5"
    )
    assert configured('bind_addr = "10.0.0.5"', host=host).advertise_address == "10.0.0.5"


def test_a_reload_takes_what_can_change_while_running_and_warns_of_the_rest(tmp_path: Path) -> None:
    running = configured('node_name = "a"')
    wanted = configured(
        'node_name = "b" log_level = "warn" service { name = "web" } ports { http = 1234 } retry_join = ["x"]'
    )
    result = reloaded(running, wanted)
    assert (result.node_name, result.listeners) == (running.node_name, running.listeners)
    assert (result.logging, result.service_definitions) == (wanted.logging, wanted.service_definitions)
    assert result.warnings == (
        *wanted.warnings,
        "node_name has changed and takes effect at the next start",
        "listeners has changed and takes effect at the next start",
    )


def test_a_reload_without_changes_is_the_same_configuration() -> None:
    assert reloaded(configured(), configured()) == configured()


def test_a_configuration_is_immutable() -> None:
    with pytest.raises(AttributeError):
        configured().node_name = "other"  # type: ignore[misc]
    assert isinstance(configured(), msgspec.Struct)


def test_this_machine_has_a_name_and_no_loopback_among_its_addresses() -> None:
    host = this_host()
    assert host.name
    assert all(not address.startswith("127.") for _, address in host.addresses)


def test_every_part_of_a_configuration_is_acted_on() -> None:
    """A part that no module of the agent reads belongs among the keys without effect."""
    room = Path(configuration_module.__file__).parent
    read = {
        node.attr
        for file in room.rglob("*.py")
        if not file.name.startswith("configuration")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
    }
    own = [value for value in vars(configuration_module).values() if isinstance(value, type)]
    parts = {
        name
        for value in own
        if value.__module__ == configuration_module.__name__
        for name in getattr(value, "__struct_fields__", ())
    }
    assert parts - read == set()
