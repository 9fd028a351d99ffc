"""What every test of helm commands needs: helm, with a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helm.command_line import Helm


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    return Helm(tmp_path)
