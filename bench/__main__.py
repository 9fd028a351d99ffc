"""The bench's command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.figures import Figure, skipped
from bench.machine import this_machine
from bench.plan import OWN, Plan
from bench.report import Run, table, write_json
from bench.scenarios import SCENARIOS
from bench.server import BenchError

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 1 if something could not be measured."""
    options = _parser().parse_args(arguments)
    names = options.only or list(SCENARIOS)
    machine = this_machine()
    own, failed = _measure(Plan(OWN, quick=options.quick), names)
    peer: tuple[Figure, ...] = ()
    if options.peer_binary:
        binary = (str(options.peer_binary.resolve()),)
        peer, peer_failed = _measure(Plan(binary, quick=options.quick, peer=True), names)
        failed |= peer_failed
    run = Run(machine, own, peer, os.getloadavg())
    path = options.json or RESULTS / f"{machine.date.replace(':', '')}.json"
    write_json(run, path)
    print(table(run))
    print(f"every sample: {path}")
    return 1 if failed else 0


def _measure(plan: Plan, names: Iterable[str]) -> tuple[tuple[Figure, ...], bool]:
    """The figures, and whether some could not be had."""
    figures: list[Figure] = []
    failed = False
    for name in names:
        try:
            figures.extend(SCENARIOS[name](plan))
        except BenchError as error:
            failed = True
            plan.say(f"{name}: {error}")
            figures.append(skipped(name, str(error)))
    return tuple(figures), failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure the mesh with real programs; see docs/benchmarks.md."
    )
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: some three minutes")
    parser.add_argument(
        "--only", action="append", choices=list(SCENARIOS), help="this one only; repeatable", metavar="NAME"
    )
    parser.add_argument(
        "--peer-binary", type=Path, help="run the same load against this Consul-compatible binary too"
    )
    parser.add_argument("--json", type=Path, help="where to write the samples (default: bench/results/)")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; everything the bench started has been ended", file=sys.stderr)
        sys.exit(130)
