"""kind's command line as ours, for a link to this program that is named `kind`.

Source: kind v0.23, its commands and flags; flags may be anywhere, as the pflag package reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NAME_VARIABLE = "KIND_CLUSTER_NAME"
_SHORT = {"n": "name", "q": "quiet", "v": "verbosity", "h": "help", "A": "all"}
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


class KindUsageError(ValueError):
    """The words are none of kind's; the text is as kind has it."""


@dataclass(frozen=True)
class KindCommand:
    """One of kind's commands.

    ours: our words for it. valued, switches: its flags, and ours for each; empty for one without effect.
    argument: our flag that each argument becomes; empty if arguments stay arguments.
    """

    ours: tuple[str, ...]
    valued: Mapping[str, str] = field(default_factory=dict)
    switches: Mapping[str, str] = field(default_factory=dict)
    argument: str = ""


_NAME = {"name": "name"}
_CONFIG = {"kubeconfig": "kubeconfig"}
_CREATE = _NAME | _CONFIG | {"config": "config", "image": "image", "wait": "wait"}
_LOAD = _NAME | {"nodes": ""}
_INSIDE = {"internal": "internal"}
_ALL = {"all": "all", "all-clusters": "all"}

COMMANDS = {
    ("create", "cluster"): KindCommand(("cluster", "create"), _CREATE, {"retain": "retain"}),
    ("delete", "cluster"): KindCommand(("cluster", "delete"), _NAME | _CONFIG),
    ("delete", "clusters"): KindCommand(("cluster", "delete"), _CONFIG, {"all": "all"}),
    ("get", "clusters"): KindCommand(("cluster", "list")),
    ("get", "nodes"): KindCommand(("cluster", "nodes"), _NAME, _ALL),
    ("get", "kubeconfig"): KindCommand(("cluster", "kubeconfig"), _NAME, _INSIDE),
    ("export", "kubeconfig"): KindCommand(("cluster", "kubeconfig", "-merge"), _NAME | _CONFIG, _INSIDE),
    ("export", "logs"): KindCommand(("cluster", "logs"), _NAME),
    ("load", "image-archive"): KindCommand(("cluster", "load"), _LOAD),
    ("load", "docker-image"): KindCommand(("cluster", "load"), _LOAD, argument="docker-image"),
    ("version",): KindCommand(("version",)),
}
_EVERYWHERE_VALUED = {"verbosity": "", "loglevel": ""}
_EVERYWHERE_SWITCHES = {"quiet": "quiet", "help": "help"}
_QUIET_COMMANDS = frozenset({("cluster", "create"), ("cluster", "delete")})


def as_cluster_words(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """A command line of kind's as one of ours; help on `cluster` where kind would show its own.

    Raises KindUsageError.
    """
    flags, arguments = _leading(words)
    place, command = _command(arguments)
    if command is None:
        return ["cluster"]
    valued = _EVERYWHERE_VALUED | dict(command.valued)
    switches = _EVERYWHERE_SWITCHES | dict(command.switches)
    said, rest = _parsed([*flags, *arguments[len(place) :]], valued, switches)
    if command.valued.get("name") and "name" not in dict(said) and (name := environment.get(NAME_VARIABLE)):
        said.append(("name", name))
    ours = [f"-{flag}={value}" for flag, value in said if flag != "quiet" or command.ours in _QUIET_COMMANDS]
    if command.argument:
        ours += [f"-{command.argument}={one}" for one in rest]
        rest = []
    return [*command.ours, *ours, *rest]


def _leading(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """kind's flags for every command may come before it."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        name = words[position].lstrip("-")
        position += 2 if _SHORT.get(name, name) in _EVERYWHERE_VALUED else 1
    return list(words[:position]), list(words[position:])


def _command(words: Sequence[str]) -> tuple[tuple[str, ...], KindCommand | None]:
    for place, command in COMMANDS.items():
        if tuple(words[: len(place)]) == place:
            return place, command
    plain = [word for word in words if not word.startswith("-")]
    if len(plain) > 1 or (plain and not any(place[0] == plain[0] for place in COMMANDS)):
        raise KindUsageError(f'unknown command "{" ".join(plain[:2])}" for "kind"')
    return (), None


def _parsed(
    words: Sequence[str], valued: Mapping[str, str], switches: Mapping[str, str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Our flags with their values, and the arguments."""
    said: list[tuple[str, str]] = []
    arguments: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return said, [*arguments, *left]
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            continue
        shown, name, value = _flag(word)
        if name in switches:
            flag, value = switches[name], "true" if value is None or value in _TRUE else "false"
        elif name in valued:
            if value is None and not left:
                raise KindUsageError(f"flag needs an argument: {shown}")
            flag, value = valued[name], left.pop(0) if value is None else value
        else:
            raise KindUsageError(f"unknown flag: {shown}")
        if flag:
            said.append((flag, value))
    return said, arguments


def _flag(word: str) -> tuple[str, str, str | None]:
    """As it was written, its long name, and its value if that came with it."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return f"--{name}", name, value if equals else None
    letter, value = word[1], word[2:].removeprefix("=")
    return f"-{letter}", _SHORT.get(letter, letter), value or None
