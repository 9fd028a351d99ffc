"""Plain text tables: columns padded to their widest cell, two spaces between, no rules.

The last cell of a row is not padded, cells are trimmed, and an empty cell is blank.
Source: the layout of Consul's CLI tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[str]], gap: str = "  ") -> str:
    """Lay rows out as aligned lines, joined by newlines, without a trailing one."""
    cells = [[cell.strip() for cell in row] for row in rows]
    widths: list[int] = []
    for row in cells:
        widths += [0] * (len(row) - len(widths))
        for position, cell in enumerate(row):
            widths[position] = max(widths[position], len(cell))
    return "\n".join(
        gap.join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), *row[-1:]])
        for row in cells
    )
