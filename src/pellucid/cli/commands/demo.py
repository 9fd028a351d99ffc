"""`demo`: the mesh shown step by step, on Kubernetes or on this machine alone."""

from __future__ import annotations

from pathlib import Path

from pellucid.cli.command import Command, Invocation
from pellucid.cli.go_flags import TRUE_WORDS, Flag


def _run(invocation: Invocation) -> int:
    from pellucid.demo.telling import Telling

    flags = invocation.flags
    online = flags.boolean("online") or invocation.environment.get("ONLINE", "") in TRUE_WORDS
    telling = Telling(pause=flags.boolean("pause"))
    if flags.boolean("local"):
        from pellucid.demo.one_machine import run_one_machine

        return run_one_machine(telling, online=online)
    from pellucid.demo.cluster_stage import Wishes

    files = flags.text("files")
    wishes = Wishes(online=online, keep=flags.boolean("keep"), files=Path(files).resolve() if files else None)
    if flags.boolean("more"):
        from pellucid.demo.more import run_more

        return run_more(telling, wishes)
    from pellucid.demo.walkthrough import run_walkthrough

    return run_walkthrough(telling, wishes)


DEMO = Command(
    usage="demo [options]",
    about=(
        "Makes a Kubernetes cluster on this machine, runs two unmodified workloads on it, installs the mesh "
        "with Helm, brings the workloads into it and shows what intentions do to the traffic between them. "
        "Every command is shown before it runs and can be typed by hand. Leaves nothing behind; exits "
        "non-zero when a step did not do what it says. Needs root."
    ),
    run=_run,
    flags=(
        Flag("local", "Without Kubernetes: two programs, each in a namespace of its own.", kind="boolean"),
        Flag("more", "What the walkthrough leaves out: other names, protocols and ways to dial.", "boolean"),
        Flag("pause", "Wait for Enter before each command.", kind="boolean"),
        Flag("keep", "Leave the cluster running, and say how to go on.", kind="boolean"),
        Flag("files", "A folder with the walkthrough's files, instead of our own.", placeholder="directory"),
        Flag("online", "Call the real https://example.com instead of a stand-in. ONLINE=1.", kind="boolean"),
    ),
    takes_client=False,
)
