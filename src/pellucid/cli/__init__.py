"""The `pellucid` command, in the grammar of Consul's.

`command_table` names every command, `dispatching` finds and runs one, `commands/` holds them by family.
Reached through a link named `consul`, the same commands answer to that name; one named `kind` takes
kind's words for `cluster`, one named `helm` is the command `helm`.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return the exit code for the shell."""
    from pellucid.cli.command import Terminal
    from pellucid.cli.dispatching import dispatch

    program = "consul" if os.path.basename(sys.argv[0]) == "consul" else "pellucid"
    words = sys.argv[1:] if arguments is None else arguments
    if os.path.basename(sys.argv[0]) == "kind":
        from pellucid.cli.kind_grammar import KindUsageError, as_cluster_words

        try:
            words = as_cluster_words(words, os.environ)
        except KindUsageError as error:
            sys.stderr.write(f"ERROR: {error}\n")
            return 1
    if os.path.basename(sys.argv[0]) == "helm":
        words = ["helm", *words]
    colour = sys.stdout.isatty() and sys.stderr.isatty() and "NO_COLOR" not in os.environ
    terminal = Terminal(sys.stdin, sys.stdout, sys.stderr, colour)
    try:
        code = dispatch(program, words, os.environ, terminal)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`head`, a closed pager) has what it wanted; silence the flush at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
