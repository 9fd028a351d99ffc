"""Where the walkthrough's files are: the originals beside the checkout, and our own of the same names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ORIGINALS = Path(__file__).parents[3] / "shared" / "walkthrough"
OWN = Path(__file__).parents[2] / "examples" / "hello"


def originals() -> Path:
    """Skips the test where they are missing; continuous integration must have them."""
    if not ORIGINALS.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the walkthrough's files are not at {ORIGINALS}")
        pytest.skip("the walkthrough's files are not beside this checkout")
    return ORIGINALS
