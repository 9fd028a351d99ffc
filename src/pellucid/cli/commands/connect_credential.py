"""`connect credential`: a new secret by which a sidecar elsewhere proves whose it is.

Sidecars on the agent's own machine need none. The secret goes to a file unless standard output is asked
for, so that it does not end up on a screen by accident.
"""

from __future__ import annotations

from pellucid.cli.command import Attempt, Command, CommandFailed, Invocation, UsageFailed
from pellucid.cli.go_flags import Flag

STANDARD_OUTPUT = "-"


def _run(invocation: Invocation) -> int:
    from pathlib import Path

    from pellucid.foundation.private_file import write_private

    if len(invocation.arguments) != 1:
        raise UsageFailed("A single service ID must be specified.")
    file = invocation.flags.text("out")
    if not file:
        raise CommandFailed("Must specify the -out parameter: a file for the credential, or - to print it")
    service = invocation.arguments[0]
    with Attempt(f"Error issuing a credential for {service}"):
        credential = invocation.client().put(f"/v1/agent/connect/credential/{service}")["Credential"]
    if file == STANDARD_OUTPUT:
        invocation.output(credential)
        return 0
    try:
        write_private(Path(file), f"{credential}\n".encode())
    except OSError as error:
        raise CommandFailed(f"Error writing {file}: {error.strerror}; issue another credential") from None
    invocation.output(f"Credential of {service} written to {file}")
    return 0


CREDENTIAL = Command(
    usage="connect credential [options] -out <file> SERVICE_ID",
    about=(
        "Issues a new credential for a registered service or sidecar; the one before it ends. A sidecar on "
        "another machine than the agent shows it as its token:\n\n"
        "    $ {program} connect credential -out web.credential web-sidecar-proxy\n"
        "    $ {program} connect envoy -sidecar-for web -token-file web.credential\n\n"
        "Works on the agent's machine, or from elsewhere with the current credential as token."
    ),
    run=_run,
    flags=(Flag("out", "The file to keep the credential in, mode 0600; - prints it.", placeholder="file"),),
)
