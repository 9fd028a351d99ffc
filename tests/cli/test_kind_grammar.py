"""kind's command line, as ours."""

from __future__ import annotations

import pytest

from pellucid.cli.command_table import TABLE, Entry, longest_match
from pellucid.cli.kind_grammar import COMMANDS, KindUsageError, as_cluster_words


def ours(line: str, **environment: str) -> list[str]:
    return as_cluster_words(line.split(), environment)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ("create cluster --name tproxy", "cluster create -name=tproxy"),
        ("create cluster --name=a --wait 60s", "cluster create -name=a -wait=60s"),
        (
            "create cluster -n a --config f.yaml --retain",
            "cluster create -name=a -config=f.yaml -retain=true",
        ),
        ("create cluster --image kindest/node:v1.29.2", "cluster create -image=kindest/node:v1.29.2"),
        ("create cluster -na --kubeconfig /k", "cluster create -name=a -kubeconfig=/k"),
        ("create cluster -v 3 -q", "cluster create -quiet=true"),
        ("-v 1 --quiet create cluster", "cluster create -quiet=true"),
        ("delete cluster --name a", "cluster delete -name=a"),
        ("delete clusters a b", "cluster delete a b"),
        ("delete clusters --all", "cluster delete -all=true"),
        ("delete clusters -A", "cluster delete -all=true"),
        ("get clusters -q", "cluster list"),
        ("get nodes -A", "cluster nodes -all=true"),
        ("get kubeconfig --name a --internal", "cluster kubeconfig -name=a -internal=true"),
        ("export kubeconfig --name a", "cluster kubeconfig -merge -name=a"),
        ("export logs /tmp/x --name a", "cluster logs -name=a /tmp/x"),
        ("load image-archive a.tar --name x", "cluster load -name=x a.tar"),
        ("load docker-image a:1 b:2 -n x", "cluster load -name=x -docker-image=a:1 -docker-image=b:2"),
        ("load docker-image a:1 --nodes x-worker", "cluster load -docker-image=a:1"),
        ("version", "version"),
        ("create cluster --retain=false", "cluster create -retain=false"),
        ("create cluster --help", "cluster create -help=true"),
        ("", "cluster"),
        ("create", "cluster"),
        ("--help", "cluster"),
    ],
)
def test_each_of_kinds_lines_is_one_of_ours(theirs: str, expected: str) -> None:
    assert ours(theirs) == expected.split()


def test_the_name_may_come_from_the_environment_as_kinds_does() -> None:
    assert ours("create cluster", KIND_CLUSTER_NAME="a") == ["cluster", "create", "-name=a"]
    assert ours("create cluster -n b", KIND_CLUSTER_NAME="a") == ["cluster", "create", "-name=b"]
    assert ours("get clusters", KIND_CLUSTER_NAME="a") == ["cluster", "list"]


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ("create cluster --nam a", "unknown flag: --nam"),
        ("create cluster --name", "flag needs an argument: --name"),
        ("create cluster -n", "flag needs an argument: -n"),
        ("build node-image", 'unknown command "build node-image" for "kind"'),
        ("create nodes", 'unknown command "create nodes" for "kind"'),
    ],
)
def test_what_is_not_kinds_is_refused_in_its_words(theirs: str, said: str) -> None:
    with pytest.raises(KindUsageError) as caught:
        ours(theirs)
    assert str(caught.value) == said


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: " ".join(command.ours))
def test_every_command_and_flag_it_leads_to_is_ours(command: object) -> None:
    from importlib import import_module

    from pellucid.cli.kind_grammar import KindCommand

    assert isinstance(command, KindCommand)
    words = [word for word in command.ours if not word.startswith("-")]
    name, _ = longest_match(words)
    entry = TABLE[name]
    assert isinstance(entry, Entry)
    found = getattr(import_module(f"pellucid.cli.commands.{entry.module}"), entry.attribute)
    known = {flag.name for flag in found.all_flags()}
    used = {*command.valued.values(), *command.switches.values(), command.argument} - {""}
    assert used <= known
