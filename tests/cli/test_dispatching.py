"""Which stream gets what, and which code comes back: the rules of Consul's command line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pellucid.cli.command_table import TABLE, Entry, Group
from tests.cli.conftest import Result

Cli = Callable[..., Result]
OWN_GRAMMAR = {"helm"}
"""Commands that read their words by rules of their own."""
COMMANDS = sorted(
    name for name, entry in TABLE.items() if isinstance(entry, Entry) and name not in OWN_GRAMMAR
)
GROUPS = sorted(name for name, entry in TABLE.items() if isinstance(entry, Group))


def test_no_arguments_show_the_top_help_on_stderr_and_exit_127(cli: Cli) -> None:
    result = cli()
    assert (result.code, result.out) == (127, "")
    assert result.err.startswith("Usage: pellucid [--version] [--help] <command> [<args>]\n")


def test_an_unknown_command_does_the_same(cli: Cli) -> None:
    assert cli("teleport") == cli()


@pytest.mark.parametrize("word", ["-h", "-help", "--help"])
def test_help_that_is_asked_for_goes_to_stdout_and_exits_0(cli: Cli, word: str) -> None:
    result = cli(word)
    assert (result.code, result.err) == (0, "")
    assert "Available commands are:" in result.out


@pytest.mark.parametrize("word", ["-v", "-version", "--version", "version"])
def test_version_has_four_spellings(cli: Cli, word: str) -> None:
    result = cli(word)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("pellucid v")


def test_through_a_link_named_consul_help_and_version_say_consul(cli: Cli) -> None:
    assert cli("version", program="consul").out.startswith("Consul v1.10.0\nRevision ")
    assert cli("-h", program="consul").out.startswith("Usage: consul ")
    assert "$ consul config write" in cli("config", "-h", program="consul").out


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_alone_shows_its_help_on_stderr_and_exits_1(cli: Cli, name: str) -> None:
    result = cli(*name.split())
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"Usage: pellucid {name} <subcommand>")
    assert cli(*name.split(), "zzz") == result


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cli: Cli, name: str) -> None:
    result = cli(*name.split(), "-h")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: pellucid {name}")
    assert not re.search(r"\{\w+\}", result.out), "a placeholder was left"
    assert result == cli(*name.split(), "--help") == cli(*name.split(), "-help")


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_flag_is_named_above_the_usage(cli: Cli, name: str) -> None:
    result = cli(*name.split(), "-bogus")
    assert result.out == ""
    assert result.err.startswith(f"flag provided but not defined: -bogus\nUsage: pellucid {name}")
    assert result.code == (2 if name in ("intention check", "intention match") else 1)


def test_a_command_with_a_grammar_of_its_own_gets_every_word(cli: Cli) -> None:
    result = cli("helm", "-n", "shop", "get", "values", "--help")
    assert (result.code, result.err) == (0, "")
    assert "helm get values RELEASE_NAME [flags]" in result.out


def test_help_is_shown_wherever_the_word_stands(cli: Cli) -> None:
    assert cli("config", "write", "file.hcl", "-h").code == 0


def test_words_after_a_double_dash_never_ask_for_help(cli: Cli) -> None:
    result = cli("config", "write", "--", "-h", "other")
    assert (result.code, result.out) == (1, "")


def test_flags_before_the_command_are_refused(cli: Cli) -> None:
    result = cli("-token=x", "version")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Invalid flags before the subcommand.")


def test_an_unknown_format_is_refused_before_anything_is_asked(cli: Cli, agent: object) -> None:
    result = cli("catalog", "services", "-format=yaml")
    assert result.code == 1
    assert "Unknown format 'yaml' for -format: use pretty or json." in result.err
    assert not agent.requests  # type: ignore[attr-defined]
