"""What an intention does at a client's socket, in the real mesh: two programs under `pellucid run`.

The client opens connections all the time and holds one open. Times run from sending the write, or from
starting the command, to what the client's socket saw.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import load
from bench.figures import Figure, percentile, skipped
from bench.mesh import be_transparent, intend
from bench.plan import Plan
from bench.programs import program, said
from pellucid.demo.stage import Program

NAME = "effect"
ROUNDS = 20
QUICK_ROUNDS = 6
COMMAND_ROUNDS = 5
QUICK_COMMAND_ROUNDS = 2
_PROGRAMS = Path(load.__file__).parent
_SERVER, _CLIENT = "bench-server", "bench-client"
_PORT = "8080"
_SETTLE_SECONDS = 0.25


def measure(plan: Plan) -> Iterator[Figure]:
    """Deny and allow in turns: over HTTP, then by command."""
    if plan.peer:
        yield skipped(NAME, "`run` is not a command that other implementations have")
        return
    if os.geteuid() != 0:
        yield skipped(NAME, "needs root, for network namespaces")
        return
    plan.say(NAME)
    with plan.server() as server, ExitStack() as stack:
        be_transparent(server)
        command = (*plan.program, "run", f"-http-addr={server.http_address}", "-uplink=false")
        python = (sys.executable, "-u")
        app = (*python, str(_PROGRAMS / "http_server.py"), "0.0.0.0", _PORT)
        stack.enter_context(program(*command, f"-service={_SERVER}", f"-port={_PORT}", "--", *app))
        asking = (*python, str(_PROGRAMS / "prober.py"), f"{_SERVER}.virtual.consul", _PORT)
        client = stack.enter_context(program(*command, f"-service={_CLIENT}", "--", *asking))
        said(client, "held", True)

        def write(action: str) -> None:
            intend(server, _CLIENT, _SERVER, action)

        def run_command(action: str) -> None:
            words = ("intention", "create", f"-{action}", "-replace", _CLIENT, _SERVER)
            subprocess.run(
                [*plan.program, *words], env=server.environment, check=True, stdout=subprocess.DEVNULL
            )

        yield from _figures("HTTP write", client, write, QUICK_ROUNDS if plan.quick else ROUNDS)
        rounds = QUICK_COMMAND_ROUNDS if plan.quick else COMMAND_ROUNDS
        yield from _figures("`intention create`", client, run_command, rounds)


def _figures(how: str, client: Program, act: Callable[[str], None], rounds: int) -> Iterator[Figure]:
    refused: list[float] = []
    ended: list[float] = []
    answered: list[float] = []
    for _ in range(rounds):
        began = _act(act, "deny")
        refused.append((said(client, "answered", False, after=began)["at"] - began) * 1000)
        ended.append((said(client, "held", False, after=began)["at"] - began) * 1000)
        began = _act(act, "allow")
        answered.append((said(client, "answered", True, after=began)["at"] - began) * 1000)
        said(client, "held", True, after=began)
    for what, samples in (
        ("deny: first connection refused", refused),
        ("deny: open connection ended", ended),
        ("allow: first connection answered", answered),
    ):
        for rank, share in (("p50", 0.5), ("max", 1.0)):
            yield Figure(
                NAME,
                "",
                f"{how}, {what}, {rank}",
                percentile(samples, share),
                "ms",
                samples=tuple(samples) if rank == "p50" else (),
            )


def _act(act: Callable[[str], None], action: str) -> float:
    """Do it once things are quiet; when it began."""
    time.sleep(_SETTLE_SECONDS)
    began = time.monotonic()
    act(action)
    return began
