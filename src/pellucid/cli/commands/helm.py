"""`helm`: Helm charts on a Kubernetes cluster, in helm's own grammar."""

from __future__ import annotations

from pathlib import Path

from pellucid.cli.command import Command, CommandFailed, Invocation

CHARTS_VARIABLE = "PELLUCID_CHARTS_DIRECTORY"


def _run(invocation: Invocation) -> int:
    try:
        from pellucid.helm.program import run
    except ImportError as error:
        raise CommandFailed(f"Error: {error}") from None
    terminal = invocation.terminal
    return run(
        invocation.arguments,
        invocation.environment,
        terminal.stdin,
        terminal.stdout,
        terminal.stderr,
        _own_charts(invocation),
    )


def _own_charts(invocation: Invocation) -> Path:
    """The directory of this project's charts: beside the sources, unless the environment says otherwise."""
    named = invocation.environment.get(CHARTS_VARIABLE)
    return Path(named) if named else Path(__file__).parents[4] / "charts"


HELM = Command(
    usage="helm <command> [options]",
    about="Helm, in its own grammar.",
    run=_run,
    takes_client=False,
    own_grammar=True,
)
