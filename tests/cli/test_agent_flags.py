"""`agent`: every flag is a configuration key, and the last source."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from pellucid.agent.configuration import AgentConfiguration
from pellucid.agent.configuration_keys import ConfigurationFile
from pellucid.agent.configuration_sources import Source, load
from pellucid.cli.command import Invocation, Terminal
from pellucid.cli.commands.agent import AGENT, NOT_KEYS, configuration_of, keys_of
from pellucid.cli.go_flags import parse

SAMPLES = {"boolean": "true", "integer": "7", "pairs": "a:b"}


def invocation_of(*words: str) -> Invocation:
    flags, rest = parse(AGENT.all_flags(), words)
    return Invocation("pellucid", flags, rest, {}, Terminal(StringIO(), StringIO(), StringIO()))


def configured(*words: str) -> AgentConfiguration:
    return configuration_of(invocation_of(*words))


@pytest.mark.parametrize(
    "flag", [flag for flag in AGENT.flags if flag.name not in NOT_KEYS], ids=lambda f: f.name
)
def test_every_flag_is_a_key_of_configuration_files(flag) -> None:  # type: ignore[no-untyped-def]
    sample = SAMPLES.get(flag.kind, "3s" if "time" in flag.name else "1.2.3.4")
    keys = keys_of(invocation_of(f"-{flag.name}={sample}"))
    assert keys
    loaded = load([Source("the flags", keys)])
    assert loaded.warnings or loaded.keys != ConfigurationFile()


def test_a_dev_agent_keeps_nothing_and_listens_on_loopback() -> None:
    configuration = configured("-dev", "-node=n1")
    assert (configuration.node_name, configuration.data_dir, configuration.dev_mode) == ("n1", "", True)
    assert configuration.advertise_address == "127.0.0.1"
    listeners = configuration.listeners
    assert [str(address) for address in listeners.http + listeners.grpc + listeners.dns] == [
        "127.0.0.1:8500",
        "127.0.0.1:8502",
        "127.0.0.1:8600",
    ]


def test_flags_beat_files_and_fragments_beat_flags(tmp_path: Path) -> None:
    (tmp_path / "a.hcl").write_text('datacenter = "file" node_name = "file" log_level = "warn"')
    configuration = configured(
        "-dev",
        f"-config-file={tmp_path}/a.hcl",
        "-datacenter=flag",
        "-node=flag",
        "-hcl",
        'node_name = "hcl"',
    )
    assert (configuration.datacenter, configuration.node_name) == ("flag", "hcl")
    assert configuration.logging.level == "WARN"


def test_files_and_directories_are_read_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "x.hcl").write_text('node_name = "directory"')
    (tmp_path / "file.hcl").write_text('node_name = "file"')
    directory, file = f"-config-dir={tmp_path}/dir", f"-config-file={tmp_path}/file.hcl"
    assert configured("-dev", directory, file).node_name == "file"
    assert configured("-dev", file, directory).node_name == "directory"


def test_lists_of_files_and_flags_are_joined(tmp_path: Path) -> None:
    (tmp_path / "a.hcl").write_text('recursors = ["1.1.1.1"] node_meta { a = "1" }')
    configuration = configured(
        "-dev", f"-config-file={tmp_path}/a.hcl", "-recursor=2.2.2.2", "-recursor=3.3.3.3", "-node-meta=b:2"
    )
    assert configuration.dns.recursors == ("1.1.1.1", "2.2.2.2", "3.3.3.3")
    assert configuration.node_meta == {"a": "1", "b": "2"}


def test_flags_without_effect_are_accepted_and_pointed_out() -> None:
    configuration = configured("-dev", "-retry-join=10.0.0.1", "-server-port=8300")
    assert [line.partition(" has no effect")[0] for line in configuration.warnings] == [
        "the flags: retry_join",
        "the flags: ports.server",
    ]
