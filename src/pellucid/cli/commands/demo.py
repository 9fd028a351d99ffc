"""`demo`: a transparent mesh on this machine, shown step by step."""

from __future__ import annotations

from pellucid.cli.command import Command, Invocation
from pellucid.cli.go_flags import TRUE_WORDS, Flag


def _run(invocation: Invocation) -> int:
    from pellucid.demo import run_demo

    online = invocation.flags.boolean("online") or invocation.environment.get("ONLINE", "") in TRUE_WORDS
    return run_demo(online=online)


DEMO = Command(
    usage="demo [options]",
    about=(
        "Starts an agent and two unmodified programs, puts them into a mesh and shows what intentions do to "
        "the traffic between them. Leaves nothing behind; exits non-zero when a step did not do what it "
        "says. Needs root."
    ),
    run=_run,
    flags=(
        Flag("online", "Call the real https://example.com instead of a stand-in. ONLINE=1.", kind="boolean"),
    ),
    takes_client=False,
)
