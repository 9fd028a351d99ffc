"""`validate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Result

Cli = Callable[..., Result]


def test_a_valid_directory(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.hcl").write_text('data_dir = "/x"\nserver = true\n')
    (tmp_path / "b.json").write_text('{"datacenter": "dc2"}')
    (tmp_path / "notes.txt").write_text("not read")
    assert cli("validate", str(tmp_path)) == Result(0, "Configuration is valid!\n", "")
    assert cli("validate", "-quiet", str(tmp_path)) == Result(0, "", "")


def test_keys_without_effect_are_pointed_out(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.hcl").write_text('data_dir = "/x"\nserver = true\nautopilot { min_quorum = 3 }')
    result = cli("validate", str(tmp_path))
    assert (result.code, result.out) == (0, "Configuration is valid!\n")
    assert result.err.startswith(f"{tmp_path / 'a.hcl'}: autopilot has no effect: ")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("server = true", "data_dir cannot be empty"),
        ('data_dirr = "/x"', 'invalid config key data_dirr (line 1: did you mean "data_dir"?)'),
        ('data_dir = "/x" ports { http = 99999 }', "ports.http: invalid port number: 99999"),
        ("acl { enabled = true }", "acl.enabled = true is refused"),
        (
            'data_dir = "/x" service { name = "web" check { http = "x" } }',
            'service "web" in the configuration files: Invalid check: Interval must be > 0',
        ),
        (
            'data_dir = "/x" config_entries { bootstrap { kind = "service-defaults" } }',
            "Name is required",
        ),
        ("server = ", "At 1:"),
    ],
)
def test_what_is_wrong_is_said(cli: Cli, tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "a.hcl").write_text(content)
    result = cli("validate", str(tmp_path / "a.hcl"))
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Config validation failed: ")
    assert text in result.err


def test_a_missing_path_is_named(cli: Cli, tmp_path: Path) -> None:
    result = cli("validate", str(tmp_path / "none"))
    assert result.err == (
        f"Config validation failed: config: Open failed on {tmp_path / 'none'}: no such file or directory\n"
    )


def test_validate_needs_a_path(cli: Cli) -> None:
    assert cli("validate") == Result(1, "", "Must specify at least one config file or directory\n")
