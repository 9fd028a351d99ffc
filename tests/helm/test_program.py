"""helm's words: which command, how many arguments, what is said to those that do not fit."""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path

import pytest

from pellucid.helm.command_table import ABSENT_COMMANDS, ABSENT_FLAGS, ALIASES, COMMANDS, GLOBAL_FLAGS, GROUPS
from pellucid.helm.flags import UsageError
from pellucid.helm.program import command_words, run


def said(line: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(line.split(), {}, io.StringIO(), out, err, Path("/nowhere"))
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("line", "name", "rest"),
    [
        ("install a b", "install", ["a", "b"]),
        ("-n shop install a b", "install", ["-n", "shop", "a", "b"]),
        ("--debug -n=shop get -n shop values a", "get values", ["--debug", "-n=shop", "-n", "shop", "a"]),
        ("ls -A", "list", ["-A"]),
        ("delete a", "uninstall", ["a"]),
        ("inspect values a", "show values", ["a"]),
        ("repo ls", "repo list", []),
        ("get", "get", []),
        ("help upgrade", "upgrade", ["--help"]),
        ("help", "", ["--help"]),
        ("--help", "", ["--help"]),
    ],
)
def test_the_command_is_found_among_flags(line: str, name: str, rest: list[str]) -> None:
    assert command_words(line.split()) == (name, rest)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("instal", 'unknown command "instal" for "helm"\nRun \'helm --help\' for usage.'),
        ("get valuess x", 'unknown command "valuess" for "helm get"'),
        ("search repo x", '"helm search" is a command of helm\'s that this program does not have'),
    ],
)
def test_an_unknown_command_is_named(line: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        command_words(line.split())
    assert str(refused.value) == complaint


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("install a b c", '"helm install" accepts at most 2 arguments\n\nUsage:  helm install '),
        ("status", '"helm status" requires 1 argument\n\nUsage:  helm status RELEASE_NAME [flags]\n'),
        ("uninstall", '"helm uninstall" requires at least 1 argument\n'),
        ("list x", '"helm list" accepts no arguments\n'),
        (
            "install a --post-renderer x",
            "--post-renderer is a flag of helm's that this program does not have\n",
        ),
        ("list --nope", "unknown flag: --nope\n"),
    ],
)
def test_what_does_not_fit_ends_with_1_and_helms_words(line: str, complaint: str) -> None:
    code, out, err = said(line)
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: {complaint}")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_a_function(name: str) -> None:
    code, out, err = said(f"{name} --help")
    assert (code, err) == (0, "")
    assert f"Usage:\n  helm {COMMANDS[name].usage}\n" in out
    module, _, function = COMMANDS[name].place.partition(".")
    assert callable(getattr(import_module(f"pellucid.helm.commands.{module}"), function))


def test_help_lists_every_command() -> None:
    for group in ("", *GROUPS):
        code, out, err = said(group)
        assert (code, err) == (0, "")
        names = {name.removeprefix(f"{group} ") for name in COMMANDS if name.startswith(group)}
        assert all(f"\n  {name} " in out for name in names if " " not in name)


def test_the_tables_agree() -> None:
    assert set(ALIASES.values()) <= COMMANDS.keys()
    assert not ABSENT_COMMANDS & {name.split()[0] for name in [*COMMANDS, *ALIASES]}
    for name, command in COMMANDS.items():
        flags = [flag.name for flag in (*command.flags, *GLOBAL_FLAGS)]
        letters = [flag.short for flag in (*command.flags, *GLOBAL_FLAGS) if flag.short]
        assert len(flags) == len(set(flags)), name
        assert len(letters) == len(set(letters)), name
        assert not ABSENT_FLAGS & set(flags), name
