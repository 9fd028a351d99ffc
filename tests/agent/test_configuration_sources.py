"""Reading configuration: files, directories, merging, unknown keys, keys without effect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.agent.configuration_keys import REFUSED, WITHOUT_EFFECT, ConfigurationFile
from pellucid.agent.configuration_sources import (
    ConfigurationError,
    Loaded,
    Source,
    load,
    merged,
    read_sources,
)
from pellucid.model.wire import fields_of

HONOURED = {field.name for field in fields_of(ConfigurationFile)}

CONSUL_KEYS = """
acl addresses advertise_addr advertise_addr_ipv4 advertise_addr_ipv6 advertise_addr_wan
advertise_reconnect_timeout alt_domain auto_config auto_encrypt autopilot bind_addr bootstrap
bootstrap_expect ca_file ca_path cache cert_file check check_output_max_size check_update_interval checks
client_addr config_entries connect data_dir datacenter default_query_time disable_anonymous_signature
disable_coordinates disable_host_node_id disable_http_unprintable_char_filter disable_keyring_file
disable_remote_exec disable_update_check discard_check_output discovery_max_stale dns_config domain
enable_agent_tls_for_checks enable_central_service_config enable_debug enable_local_script_checks
enable_script_checks enable_syslog encrypt encrypt_verify_incoming encrypt_verify_outgoing gossip_lan
gossip_wan http_config key_file leave_on_terminate limits log_file log_json log_level log_rotate_bytes
log_rotate_duration log_rotate_max_files max_query_time node_id node_meta node_name performance pid_file
ports primary_datacenter primary_gateways primary_gateways_interval protocol raft_protocol
raft_snapshot_interval raft_snapshot_threshold raft_trailing_logs reconnect_timeout reconnect_timeout_wan
recursors rejoin_after_leave retry_interval retry_interval_wan retry_join retry_join_wan retry_max
retry_max_wan rpc segment segments serf_lan serf_lan_allowed_cidrs serf_wan serf_wan_allowed_cidrs server
server_name service services session_ttl_min skip_leave_on_interrupt start_join start_join_wan
syslog_facility telemetry tls_cipher_suites tls_min_version tls_prefer_server_cipher_suites
translate_wan_addrs ui ui_config ui_content_path ui_dir unix_sockets use_streaming_backend
verify_incoming verify_incoming_https verify_incoming_rpc verify_outgoing verify_server_hostname watches
"""


def loaded(*texts: str) -> Loaded:
    return load([Source(f"{number}.hcl", text) for number, text in enumerate(texts)])


def fault(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(text)
    return str(caught.value)


@pytest.mark.parametrize("key", CONSUL_KEYS.split())
def test_every_key_of_consul_is_known(key: str) -> None:
    assert (key in HONOURED) != (key in WITHOUT_EFFECT)


def test_every_key_without_effect_has_a_reason() -> None:
    assert all(WITHOUT_EFFECT.values())
    assert not HONOURED & WITHOUT_EFFECT.keys()


@pytest.mark.parametrize("path", sorted(WITHOUT_EFFECT))
def test_a_key_without_effect_changes_nothing_but_is_pointed_out(path: str) -> None:
    written: object = "whatever"
    for key in reversed(path.split(".", 1)):
        written = {key: written}
    assert isinstance(written, dict)
    result = load([Source("a.hcl", written)])
    assert [line.partition(":")[0] for line in result.warnings] == ["a.hcl"]
    assert f" {path} has no effect: " in result.warnings[0]


def test_hcl_and_json_say_the_same() -> None:
    hcl = 'ports { http = 1 } node_meta { a = "b" } recursors = ["1.1.1.1"] service { name = "web" }'
    json = (
        '{"ports": {"http": 1}, "node_meta": {"a": "b"}, "recursors": ["1.1.1.1"],'
        ' "service": {"name": "web"}}'
    )
    assert loaded(hcl).keys == loaded(json).keys


def test_of_two_sources_the_later_scalar_wins() -> None:
    keys = loaded('datacenter = "a" node_name = "n"', 'datacenter = "b"').keys
    assert (keys.datacenter, keys.node_name) == ("b", "n")


def test_lists_append_maps_merge_and_blocks_merge_key_by_key() -> None:
    keys = loaded(
        'recursors = ["a"] node_meta { x = "1" y = "1" } ports { http = 1 dns = 1 } service { name = "a" }',
        'recursors = ["b"] node_meta { y = "2" } ports { dns = 2 } service { name = "b" }',
    ).keys
    assert keys.recursors == ("a", "b")
    assert keys.node_meta == {"x": "1", "y": "2"}
    assert keys.ports is not None
    assert (keys.ports.http, keys.ports.dns) == (1, 2)
    assert [service.name for service in keys.service or ()] == ["a", "b"]


sources = st.builds(
    ConfigurationFile,
    datacenter=st.none() | st.sampled_from("ab"),
    recursors=st.none() | st.lists(st.sampled_from("ab")).map(tuple),
    node_meta=st.none() | st.dictionaries(st.sampled_from("xy"), st.sampled_from("12")),
)


@given(sources, sources, sources)
def test_merging_is_associative(
    first: ConfigurationFile, second: ConfigurationFile, third: ConfigurationFile
) -> None:
    assert merged(merged(first, second), third) == merged(first, merged(second, third))


@given(sources)
def test_an_empty_source_changes_nothing(keys: ConfigurationFile) -> None:
    assert merged(keys, ConfigurationFile()) == merged(ConfigurationFile(), keys) == keys


def test_unknown_keys_are_all_named_with_their_line_and_the_nearest_key() -> None:
    assert fault('datacentre = "x"\nports {\n  htp = 1\n}\n') == (
        "failed to parse 0.hcl: 2 errors occurred:\n"
        '\t* invalid config key datacentre (line 1: did you mean "datacenter"?)\n'
        '\t* invalid config key ports.htp (line 3: did you mean "http"?)'
    )


def test_an_unknown_key_deep_in_a_service_is_named_by_its_path() -> None:
    text = fault('service { name = "web" connect { sidecar_service { prt = 1 } } }')
    assert "invalid config key service[0].connect.sidecar_service.prt" in text


def test_a_value_of_the_wrong_type_is_named() -> None:
    assert "'ports.http'" in fault('ports { http = "x" }')
    assert "'dns_config.node_ttl'" in fault('dns_config { node_ttl = "soon" }')


def test_malformed_text_is_named_with_its_place() -> None:
    assert re.match(r"failed to parse 0\.hcl: At 1:\d+: ", fault("ports {"))
    assert re.match(r"failed to parse 0\.hcl: At 2:\d+: ", fault('{"a": 1,\n]}'))


@pytest.mark.parametrize(
    "written", ["acl { enabled = true }", '{"acl": {"enabled": "true"}}', "acl { enabled = 1 }"]
)
def test_acls_are_refused_rather_than_forgotten(written: str) -> None:
    text = fault(written)
    assert text.startswith("0.hcl: acl.enabled = true is refused: ")
    assert REFUSED["acl.enabled"] in text


def test_acls_that_are_off_have_no_effect() -> None:
    assert loaded('acl { enabled = false default_policy = "deny" }').warnings


def test_a_directory_is_read_in_the_order_of_names_and_only_what_is_configuration(tmp_path: Path) -> None:
    for name in ("b.hcl", "a.json", "c.txt", "d.hcl~"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "e.hcl").write_text("")
    assert [Path(source.name).name for source in read_sources([str(tmp_path)])] == ["a.json", "b.hcl"]
    everything = read_sources([str(tmp_path)], "hcl")
    assert [Path(source.name).name for source in everything] == ["a.json", "b.hcl", "c.txt", "d.hcl~"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.hcl").write_bytes(b'datacenter = "\xe9"')
    with pytest.raises(ConfigurationError, match=r"latin\.hcl is not UTF-8 text"):
        read_sources([str(tmp_path)])
    with pytest.raises(ConfigurationError, match="Open failed on /none: no such file or directory"):
        read_sources(["/none"])
    with pytest.raises(ConfigurationError, match="-config-format must be one of hcl, json, not 'yaml'"):
        read_sources([], "yaml")


def test_a_file_beyond_ten_megabytes_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "big.hcl").open("wb") as file:
        file.truncate(10 * 1024 * 1024 + 1)
    with pytest.raises(ConfigurationError, match=r"larger than 10485760 bytes"):
        read_sources([str(tmp_path / "big.hcl")])
