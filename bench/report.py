"""How figures are shown: a table to read, and JSON with every sample to check it by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.figures import Figure, better
from bench.machine import Machine

HEADING = ("", "", "Consul 1.10 *", "times better", "peer", "times better")
FOOTNOTE = (
    "* a Consul 1.10 server on a machine like this (two cores), not measured in this run; "
    "`--peer-binary` measures one here"
)


class Run(msgspec.Struct, frozen=True):
    """Everything a run gave."""

    machine: Machine
    figures: tuple[Figure, ...]
    peer: tuple[Figure, ...] = ()
    load_average_after: tuple[float, float, float] = (0.0, 0.0, 0.0)


def write_json(run: Run, path: Path) -> None:
    """Write all of a run, samples included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))


def table(run: Run) -> str:
    """A run, for people."""
    peers = {figure.key: figure for figure in run.peer}
    blocks = [_machine(run), ""]
    for place, figures in _grouped(run.figures).items():
        rows = [HEADING[: 6 if run.peer else 4]]
        rows += [_row(figure, peers.get(figure.key), with_peer=bool(run.peer)) for figure in figures]
        scenario, conditions = place
        blocks += [f"{scenario}: {conditions}" if conditions else scenario, *_aligned(rows), ""]
    return "\n".join([*blocks, FOOTNOTE])


def _machine(run: Run) -> str:
    machine = run.machine
    packages = ", ".join(f"{name} {found}" for name, found in machine.packages.items())
    before, after = (
        " ".join(f"{each:.1f}" for each in loads) for loads in (machine.load_average, run.load_average_after)
    )
    return (
        f"{machine.date}  {machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, "
        f"Linux {machine.kernel}\nPython {machine.python}, {packages}\n"
        f"load average before: {before}; after: {after}"
    )


def _grouped(figures: Iterable[Figure]) -> Mapping[tuple[str, str], list[Figure]]:
    groups: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        groups.setdefault((figure.scenario, figure.conditions), []).append(figure)
    return groups


def _row(figure: Figure, peer: Figure | None, *, with_peer: bool) -> tuple[str, ...]:
    measure = f"{figure.measure} ({figure.note})" if figure.note else figure.measure
    unit = figure.unit
    row = (measure, _value(figure.value, unit), _value(figure.consul, unit), _times(figure.ratio))
    if not with_peer:
        return row
    ratio = better(figure, peer.value) if peer is not None and peer.value is not None else None
    return (*row, _value(peer.value if peer else None, figure.unit), _times(ratio))


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if not any(row[2] for row in rows[1:]):
        rows = [(*row[:2], "", "", *row[4:]) for row in rows]
    return [_line(row, widths) for row in rows if any(row)]


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  " + "  ".join((row[0].ljust(widths[0]), *numbers)).rstrip()
