"""All help as one golden text, read in review like documentation. `--refresh-golden` rewrites it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pellucid.cli.command_table import TABLE
from tests.cli.conftest import Result

GOLDEN = Path(__file__).parent / "help.golden.txt"
SHARED_SECTION = re.compile(r"HTTP API Options\n.*?(?=\n\n\S|\n\Z)", re.DOTALL)
WIDEST = 110


def test_help_is_as_reviewed(cli: Callable[..., Result], refresh_golden: bool) -> None:
    seen: set[str] = set()

    def once(section: re.Match[str]) -> str:
        """The shared flags are the same everywhere; each of their sets is worth reading once."""
        if section[0] in seen:
            return f"HTTP API Options\n\n  ({section[0].count('  -')} flags, as above)"
        seen.add(section[0])
        return section[0]

    names = ["", *sorted(TABLE)]
    texts = [f"$ pellucid {name} -h\n{cli(*name.split(), '-h').out}" for name in names]
    shown = "\n".join(SHARED_SECTION.sub(once, text) for text in texts)
    if refresh_golden:
        GOLDEN.write_text(shown)
    assert shown == GOLDEN.read_text()


def test_help_fits_a_terminal(cli: Callable[..., Result]) -> None:
    for name in TABLE:
        assert max(map(len, cli(*name.split(), "-h").out.splitlines())) <= WIDEST
