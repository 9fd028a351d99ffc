"""`version`: what this program is and which Consul it speaks.

Through a link named `consul` the first line is Consul's own, because scripts parse it.
"""

from __future__ import annotations

from pellucid import __version__
from pellucid.cli.command import FORMAT, Command, Invocation

CONSUL_VERSION = "1.10.0"
PROTOCOL = {"Default": 2, "Min": 2, "Max": 3}


def _run(invocation: Invocation) -> int:
    if invocation.wants_json():
        invocation.output_json(
            {
                "Version": CONSUL_VERSION,
                "Revision": f"pellucid-{__version__}",
                "Prerelease": "",
                "RPC": PROTOCOL,
            }
        )
    elif invocation.program == "consul":
        invocation.output(f"Consul v{CONSUL_VERSION}\nRevision pellucid-{__version__}")
        invocation.output(
            f"Protocol {PROTOCOL['Default']} spoken by default, understands {PROTOCOL['Min']} to "
            f"{PROTOCOL['Max']} (agent will automatically use protocol >2 when speaking to compatible agents)"
        )
    else:
        invocation.output(f"pellucid v{__version__}\nSpeaks Consul v{CONSUL_VERSION}")
    return 0


VERSION = Command(
    usage="version [options]",
    about="Prints this program's version and the Consul version it is compatible with.",
    run=_run,
    flags=(FORMAT,),
    takes_client=False,
)
